//! The methods that there are. What else a peer asks for must not become names
//! of spans, lines or time series: there is no end to it.

use std::collections::HashMap;
use std::sync::Arc;

use prost::{DecodeError, Message as _};
use prost_types::FileDescriptorSet;

use crate::telemetry::traces::Method;

/// The longest name that is kept of a method that there is not, in bytes.
const MAX_ORIGINAL: usize = 128;

/// Whether this is the name of a method, such as `package.Service/Method`: what
/// else a peer asks for may be anything, a secret among it.
fn is_method(asked: &str) -> bool {
    let named = |name: &str, extra: &[u8]| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || extra.contains(&byte);
        !name.is_empty() && name.bytes().all(fits)
    };
    asked.len() <= MAX_ORIGINAL
        && asked
            .split_once('/')
            .is_some_and(|(service, method)| named(service, b".") && named(method, b""))
}

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
                let asked = path.strip_prefix('/').filter(|asked| is_method(asked));
                Method::Other(asked.map(str::to_owned))
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
        let too_long = format!("/made.up/{}", "x".repeat(MAX_ORIGINAL));
        for (path, kept) in [
            ("/made.Up/Method_2", Some("made.Up/Method_2")),
            ("/token-4711", None),
            ("/made.Up/token-4711", None),
            ("/made.Up/Method?token", None),
            (&too_long, None),
        ] {
            let Method::Other(original) = methods.method(path) else {
                panic!("known: {path}");
            };
            assert_eq!(original.as_deref(), kept);
            assert_eq!(methods.method(path).name(), "_OTHER");
        }
    }
}
