//! Every reason to say no, and the one table that turns each into a gRPC status
//! with its details.
//!
//! A refusal that a retry can overcome carries `google.rpc.RetryInfo` and the
//! trailer `grpc-retry-pushback-ms` (gRFC A6) with the same delay; any other
//! carries a push-back of -1, "do not retry".

mod aws;
mod credentials;
mod remedy;

use std::collections::HashMap;
use std::time::Duration;

use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::caller::Caller;
use crate::region::Region;
use crate::upstream;
use aws::upstream_row;

pub use credentials::Credentials;
pub(crate) use remedy::{known, reasons, remedy};

/// `ErrorInfo.domain` of what the gateway decides.
pub const GATEWAY_DOMAIN: &str = "faceliveness.v1";

/// `ErrorInfo.domain` of what AWS said.
pub const AWS_DOMAIN: &str = "rekognition.amazonaws.com";

/// Metadata: how long to wait before a retry, in milliseconds; negative: never.
pub const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// Metadata: the id of the request at AWS.
pub const AWS_REQUEST_ID: &str = "x-amzn-requestid";

/// A slot frees as soon as any call ends, and a call takes a fraction of this.
const RETRY_OVERLOADED: Duration = Duration::from_secs(1);

/// Another replica can serve the retry at once; this one is leaving.
const RETRY_DRAINING: Duration = Duration::from_millis(100);

/// An issuer answers within a second, or its operator must act.
const RETRY_KEYS: Duration = Duration::from_secs(1);

/// A reason to say no.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The request is outside the constraints.
    #[error("{}", summary(.0))]
    InvalidRequest(Vec<Violation>),
    /// The bytes of the request are not a request.
    #[error("{0}")]
    Undecodable(String),
    /// There is no such method, or it does not speak that encoding.
    #[error("{0}")]
    Unimplemented(String),
    /// The region is not served here.
    #[error("region {asked} is not served here; served are {}", names(.served))]
    RegionNotServed {
        /// What the request asks for.
        asked: String,
        /// What it could ask for.
        served: Vec<Region>,
    },
    /// The caller does not prove who it is.
    #[error("{0}")]
    Unauthenticated(Credentials),
    /// The keys that verify callers' tokens are not known, or too many calls wait for them.
    #[error("the keys of the token issuer are not known at the moment; retry after the delay")]
    KeysUnavailable,
    /// The caller may not call at all.
    #[error("{caller} is not admitted: no rule of this gateway lets it create sessions")]
    NotAdmitted {
        /// Who.
        caller: Caller,
    },
    /// The request asks for what the caller may not ask for.
    #[error("the policy for {caller}: {}", summary(.violations))]
    Policy {
        /// Who.
        caller: Caller,
        /// The rule that holds for it, as the configuration names it.
        rule: Box<str>,
        /// What it must not ask for.
        violations: Vec<Violation>,
    },
    /// The caller calls more often than it may.
    #[error("{caller} calls more often than it may; retry in {wait:?}")]
    CallerRate {
        /// Who.
        caller: Caller,
        /// How long until its next call passes.
        wait: Duration,
    },
    /// The deadline passed.
    #[error("the deadline passed before the session was there")]
    Deadline,
    /// Too much is in flight.
    #[error("the gateway has as many calls in flight as it takes, in all or of one caller")]
    Overloaded,
    /// The peer's address has too many streams open that need no proof.
    #[error("your address has as many health watches and reflections open as one may; end some")]
    TooManyStreams,
    /// The gateway is shutting down.
    #[error("this replica of the gateway is shutting down")]
    Draining,
    /// The gateway has a defect.
    #[error("the gateway failed; its log says why")]
    Internal,
    /// AWS made no session.
    #[error(transparent)]
    Upstream(#[from] upstream::Error),
}

/// One constraint that the request breaks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Violation {
    /// The field's path in the protobuf request, or the metadata's name.
    pub field: String,
    /// What must hold.
    pub description: String,
}

/// The first violation and the number of others: the details have them all.
fn summary(violations: &[Violation]) -> String {
    let Some((first, others)) = violations.split_first() else {
        return "the request is invalid".to_owned();
    };
    let summary = format!("{} {}", first.field, first.description);
    match others.len() {
        0 => summary,
        others => format!("{summary}; and {others} more, see the field violations"),
    }
}

fn names(regions: &[Region]) -> String {
    regions
        .iter()
        .map(Region::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}

/// A row of the table.
struct Row {
    code: Code,
    domain: &'static str,
    reason: &'static str,
    /// Whether, and after how long, a retry helps.
    retry: Option<Duration>,
    message: String,
    info: HashMap<String, String>,
}

impl Refusal {
    /// The row of the table for this refusal.
    fn row(&self) -> Row {
        let (code, reason, retry) = match self {
            Self::InvalidRequest(_) | Self::Undecodable(_) => {
                (Code::InvalidArgument, "INVALID_REQUEST", None)
            }
            Self::Unimplemented(_) => (Code::Unimplemented, "UNIMPLEMENTED", None),
            Self::RegionNotServed { .. } => (Code::InvalidArgument, "REGION_NOT_SERVED", None),
            Self::Unauthenticated(_) => (Code::Unauthenticated, "UNAUTHENTICATED", None),
            Self::KeysUnavailable => (Code::Unavailable, "KEYS_UNAVAILABLE", Some(RETRY_KEYS)),
            Self::NotAdmitted { .. } | Self::Policy { .. } => {
                (Code::PermissionDenied, "POLICY", None)
            }
            Self::CallerRate { wait, .. } => (Code::ResourceExhausted, "CALLER_RATE", Some(*wait)),
            Self::Deadline => (Code::DeadlineExceeded, "DEADLINE", None),
            Self::Overloaded | Self::TooManyStreams => {
                (Code::Unavailable, "OVERLOADED", Some(RETRY_OVERLOADED))
            }
            Self::Draining => (Code::Unavailable, "DRAINING", Some(RETRY_DRAINING)),
            Self::Internal => (Code::Internal, "INTERNAL", None),
            Self::Upstream(error) => return upstream_row(error),
        };
        let info = self.info();
        Row {
            code,
            domain: GATEWAY_DOMAIN,
            reason,
            retry,
            message: self.to_string(),
            info,
        }
    }

    /// What `ErrorInfo` tells besides the reason.
    fn info(&self) -> HashMap<String, String> {
        let (caller, rule) = match self {
            Self::NotAdmitted { caller } => (caller, "admitted"),
            Self::Policy { caller, rule, .. } => (caller, &**rule),
            _ => return HashMap::new(),
        };
        [("caller", caller.to_string()), ("rule", rule.to_owned())]
            .map(|(key, value)| (key.to_owned(), value))
            .into()
    }

    /// Whose quota is used up, as `QuotaFailure` names it.
    fn quota_subject(&self) -> String {
        match self {
            Self::CallerRate { caller, .. } => format!("caller:{caller}"),
            _ => "aws:account".to_owned(),
        }
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let row = refusal.row();
        let mut details = ErrorDetails::with_error_info(row.reason, row.domain, row.info);
        if let Some(delay) = row.retry {
            details.set_retry_info(Some(delay));
        }
        if row.code == Code::ResourceExhausted {
            details.add_quota_failure_violation(refusal.quota_subject(), row.message.clone());
        }
        for violation in violations(&refusal) {
            details.add_bad_request_violation(violation.field, violation.description);
        }
        let mut metadata = MetadataMap::new();
        metadata.insert(PUSHBACK, pushback(row.retry));
        if let Refusal::Upstream(error) = &refusal {
            insert_request_id(&mut metadata, error.request_id.as_deref());
        }
        Self::with_error_details_and_metadata(row.code, row.message, details, metadata)
    }
}

fn violations(refusal: &Refusal) -> Vec<Violation> {
    match refusal {
        Refusal::InvalidRequest(violations) | Refusal::Policy { violations, .. } => {
            violations.clone()
        }
        Refusal::RegionNotServed { served, .. } => vec![Violation {
            field: "region".to_owned(),
            description: format!("must be one of {}", names(served)),
        }],
        Refusal::Upstream(upstream::Error {
            cause: upstream::Cause::TokenReused { fields },
            ..
        }) => fields.iter().map(|field| differing(field)).collect(),
        _ => Vec::new(),
    }
}

fn differing(field: &str) -> Violation {
    Violation {
        field: field.to_owned(),
        description: "must be as in the first call with this client_request_token".to_owned(),
    }
}

/// Rounded up: a retry must not come too early.
fn pushback(retry: Option<Duration>) -> MetadataValue<Ascii> {
    retry.map_or(MetadataValue::from_static("-1"), |delay| {
        let millis = delay.as_nanos().div_ceil(1_000_000);
        MetadataValue::from(u64::try_from(millis).unwrap_or(u64::MAX))
    })
}

/// Adds the id of the request at AWS, if there is one and it can be metadata.
pub(crate) fn insert_request_id(metadata: &mut MetadataMap, id: Option<&str>) {
    if let Some(Ok(id)) = id.map(MetadataValue::try_from) {
        metadata.insert(AWS_REQUEST_ID, id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use upstream::{Cause, Error};

    #[test]
    fn a_deadline_that_cut_retries_short_tells_what_they_were_for() {
        let cut = Error {
            source: Some(Arc::new(Error::new(Cause::Throttled, None))),
            ..Error::new(Cause::Deadline, None)
        };
        let status = Status::from(Refusal::from(cut));
        assert_eq!(status.code(), Code::DeadlineExceeded);
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!(
            (info.reason.as_str(), info.domain.as_str()),
            ("DEADLINE", GATEWAY_DOMAIN)
        );
        assert_eq!(info.metadata["last_failure"], "UPSTREAM_THROTTLED");
        assert!(status.message().contains("short of capacity"), "{status:?}");
    }

    #[test]
    fn what_the_ledger_refuses_is_final_and_the_gateways_own() {
        let reused = Cause::TokenReused {
            fields: vec!["kms_key_id", "region"],
        };
        let expiring = Cause::SessionExpiring {
            left: Duration::from_secs(9),
        };
        for (cause, code, reason, fields) in [
            (reused, Code::AlreadyExists, "TOKEN_REUSED", 2),
            (expiring, Code::FailedPrecondition, "SESSION_EXPIRING", 0),
        ] {
            let status = Status::from(Refusal::from(Error::new(cause, None)));
            let details = status.get_error_details();
            let info = details.error_info().unwrap();
            assert_eq!((status.code(), info.reason.as_str()), (code, reason));
            assert_eq!(info.domain, GATEWAY_DOMAIN);
            assert_eq!(status.metadata().get(PUSHBACK).unwrap(), "-1");
            let violations = details
                .bad_request()
                .map_or(0, |bad| bad.field_violations.len());
            assert_eq!(violations, fields);
            assert!(status.message().contains("use a new token"), "{status:?}");
        }
    }
}
