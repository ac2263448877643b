//! The methods that there are. What else a peer asks for must not become names
//! of spans, lines or time series: there is no end to it.

use std::collections::HashMap;
use std::sync::Arc;

use prost::{DecodeError, Message as _};
use prost_types::FileDescriptorSet;

use crate::telemetry::traces::Method;

/// The longest name that is kept of a method that there is not, in bytes.
const MAX_ORIGINAL: usize = 128;

/// The methods that there are, by path.
#[derive(Clone, Debug, Default)]
pub(crate) struct Methods(Arc<HashMap<String, Arc<str>>>);

impl Methods {
    /// The methods that the encoded `FileDescriptorSet`s define.
    ///
    /// # Errors
    /// When one cannot be decoded.
    pub(crate) fn of(descriptors: &[&[u8]]) -> Result<Self, DecodeError> {
        let mut methods = HashMap::new();
        for set in descriptors {
            let set = FileDescriptorSet::decode(*set)?;
            for file in &set.file {
                for service in &file.service {
                    for method in &service.method {
                        let name =
                            format!("{}.{}/{}", file.package(), service.name(), method.name());
                        methods.insert(format!("/{name}"), Arc::from(name));
                    }
                }
            }
        }
        Ok(Self(Arc::new(methods)))
    }

    /// The method that this path names.
    pub(crate) fn method(&self, path: &str) -> Method {
        match self.0.get(path) {
            Some(name) => Method::Known(Arc::clone(name)),
            None => {
                let asked = path.strip_prefix('/').unwrap_or(path);
                Method::Other(asked.chars().take(MAX_ORIGINAL).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use face_liveness_client::v1::FILE_DESCRIPTOR_SET;

    #[test]
    fn only_methods_that_there_are_keep_their_names() {
        let methods = Methods::of(&[FILE_DESCRIPTOR_SET]).unwrap();
        let create = "faceliveness.v1.FaceLivenessService/CreateSession";
        assert_eq!(methods.method(&format!("/{create}")).name(), create);
        let made_up = format!("/made.up/{}", "x".repeat(999));
        let Method::Other(original) = methods.method(&made_up) else {
            panic!("known");
        };
        assert_eq!(original.len(), MAX_ORIGINAL);
        assert_eq!(methods.method(&made_up).name(), "_OTHER");
    }
}
