//! Calls: how many, how they end, how long they take, and why they are refused.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, BoundUpDownCounter, Meter};
use tonic::Code;

use super::{DURATION_BUCKETS, OTHER, Refusals, Refused, Series, durations};
use crate::refusal;
use crate::telemetry::semconv;

/// The methods on the gRPC port; all others count as [`OTHER`].
const METHODS: [&str; 5] = [
    "faceliveness.v1.FaceLivenessService/CreateSession",
    "grpc.health.v1.Health/Check",
    "grpc.health.v1.Health/Watch",
    "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// The codes of gRPC are numbered from 0.
const CODES: i32 = 17;

/// Counts and times calls. By default nobody reads it.
#[derive(Clone, Default)]
pub(crate) struct Rpc {
    instruments: Option<Arc<Instruments>>,
    refusals: Refusals,
}

struct Instruments {
    methods: Vec<OfMethod>,
    refused: HashMap<&'static str, BoundCounter<u64>>,
}

struct OfMethod {
    in_flight: BoundUpDownCounter<i64>,
    /// By status code.
    ended: Vec<Series>,
}

impl Rpc {
    pub(super) fn new(meter: &Meter) -> Self {
        let ended = durations(
            meter,
            semconv::RPC_SERVER_CALL_DURATION,
            "How long calls took, by method and status",
            DURATION_BUCKETS,
        );
        let in_flight = meter
            .i64_up_down_counter("face_liveness.calls.in_flight")
            .with_unit("{call}")
            .with_description("Calls that have begun and not ended")
            .build();
        let refused = meter
            .u64_counter("face_liveness.refusals")
            .with_unit("{call}")
            .with_description("Calls that were refused, by reason")
            .build();
        let of_method = |method| OfMethod {
            in_flight: in_flight.bind(&[KeyValue::new(semconv::RPC_METHOD, method)]),
            ended: (0..CODES)
                .map(|code| Series::new(&ended, labels(method, Code::from_i32(code))))
                .collect(),
        };
        let of_reason =
            |reason: &'static str| (reason, refused.bind(&[KeyValue::new("reason", reason)]));
        Self {
            instruments: Some(Arc::new(Instruments {
                methods: METHODS.into_iter().chain([OTHER]).map(of_method).collect(),
                refused: refusal::reasons().chain([OTHER]).map(of_reason).collect(),
            })),
            refusals: Refusals::default(),
        }
    }

    /// A call of the method at this path begins.
    pub(crate) fn begin(&self, path: &str) -> Call {
        let name = path.strip_prefix('/').unwrap_or(path);
        let method = METHODS.iter().position(|method| *method == name);
        let call = Call {
            rpc: self.clone(),
            method: method.unwrap_or(METHODS.len()),
            began: Instant::now(),
            code: Code::Cancelled,
        };
        if let Some(of_method) = call.of_method() {
            of_method.in_flight.add(1);
        }
        call
    }

    /// The last refusals.
    pub(crate) fn refusals(&self) -> &Refusals {
        &self.refusals
    }
}

fn labels(method: &'static str, code: Code) -> Vec<KeyValue> {
    let name = semconv::code_name(code);
    let mut labels = vec![
        KeyValue::new(semconv::RPC_SYSTEM_NAME, semconv::GRPC),
        KeyValue::new(semconv::RPC_METHOD, method),
        KeyValue::new(semconv::RPC_RESPONSE_STATUS_CODE, name),
    ];
    if semconv::is_server_error(code) {
        labels.push(KeyValue::new(semconv::ERROR_TYPE, name));
    }
    labels
}

/// A call under way. Dropped, it counts as cancelled.
#[derive(Debug)]
pub(crate) struct Call {
    rpc: Rpc,
    /// The place in [`METHODS`], or the one after the last.
    method: usize,
    began: Instant,
    code: Code,
}

impl Call {
    /// The name of the method, if there is one.
    pub(crate) fn method(&self) -> &'static str {
        METHODS.get(self.method).copied().unwrap_or(OTHER)
    }

    /// The call has ended with this code.
    pub(crate) fn ended(mut self, code: Code) {
        self.code = code;
    }

    /// The call has ended with a refusal.
    pub(crate) fn refused(self, refused: Refused) {
        if let Some(instruments) = &self.rpc.instruments {
            let counter = instruments.refused.get(refused.reason);
            if let Some(counter) = counter.or_else(|| instruments.refused.get(OTHER)) {
                counter.add(1);
            }
        }
        let code = refused.code;
        self.rpc.refusals.push(refused);
        self.ended(code);
    }

    fn of_method(&self) -> Option<&OfMethod> {
        self.rpc.instruments.as_ref()?.methods.get(self.method)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(of_method) = self.of_method() {
            of_method.in_flight.add(-1);
            if let Some(series) = of_method.ended.get(self.code as usize) {
                series.record(self.began.elapsed());
            }
        }
    }
}

impl fmt::Debug for Rpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rpc").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use face_liveness_client::v1::FILE_DESCRIPTOR_SET;
    use prost::Message as _;
    use prost_types::FileDescriptorSet;
    use std::collections::BTreeSet;

    #[test]
    fn the_methods_are_those_of_the_services() {
        let mut served = BTreeSet::new();
        for set in [
            FILE_DESCRIPTOR_SET,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ] {
            for file in FileDescriptorSet::decode(set).unwrap().file {
                for service in &file.service {
                    let names = service.method.iter().map(|method| {
                        format!("{}.{}/{}", file.package(), service.name(), method.name())
                    });
                    served.extend(names);
                }
            }
        }
        assert_eq!(served, METHODS.map(str::to_owned).into());
    }
}
