//! The client library knows every reason that the gateway gives, with its code and
//! its domain.

use std::iter;
use std::time::Duration;

use face_liveness_client::Reason;
use face_liveness_gateway::caller::Caller;
use face_liveness_gateway::refusal::{Credentials, Refusal};
use face_liveness_gateway::upstream::{Cause, Error};
use tonic::Status;
use tonic_types::StatusExt as _;

#[test]
fn the_clients_table_of_reasons_is_that_of_the_gateway() {
    let own = iter::successors(Some(Refusal::InvalidRequest(Vec::new())), after);
    let upstream = iter::successors(Some(Cause::InvalidParameter), after_cause);
    let upstream = upstream.map(|cause| Refusal::from(error(cause)));
    let mut count = 0;
    for status in own.chain(upstream).map(Status::from) {
        let info = status.get_details_error_info().unwrap();
        let reason = Reason::from(info.reason.as_str());
        assert_ne!(reason, Reason::Unknown(info.reason.clone()));
        assert_eq!(reason.code(), Some(status.code()), "{reason}");
        assert_eq!(reason.domain(), Some(info.domain.as_str()), "{reason}");
        count += 1;
    }
    assert!(count >= 20, "{count} refusals");
}

/// Each kind leads to the next, the last one to those of AWS: a new kind does not
/// compile before it has its place here.
fn after(refusal: &Refusal) -> Option<Refusal> {
    Some(match refusal {
        Refusal::InvalidRequest(_) => Refusal::Undecodable(String::new()),
        Refusal::Undecodable(_) => Refusal::Unimplemented(String::new()),
        Refusal::Unimplemented(_) => Refusal::RegionNotServed {
            asked: String::new(),
            served: Vec::new(),
        },
        Refusal::RegionNotServed { .. } => Refusal::CallerRate {
            caller: Caller::Anonymous,
            wait: Duration::ZERO,
        },
        Refusal::CallerRate { .. } => Refusal::Deadline,
        Refusal::Deadline => Refusal::Overloaded,
        Refusal::Overloaded => Refusal::TooManyStreams,
        Refusal::TooManyStreams => Refusal::Draining,
        Refusal::Draining => Refusal::Internal,
        Refusal::Internal => Refusal::Unauthenticated(Credentials::Missing {
            certificate: true,
            bearer: true,
        }),
        Refusal::Unauthenticated(_) => Refusal::KeysUnavailable,
        Refusal::KeysUnavailable => Refusal::NotAdmitted {
            caller: Caller::Anonymous,
        },
        Refusal::NotAdmitted { .. } => Refusal::Policy {
            caller: Caller::Anonymous,
            rule: "default_caller".into(),
            violations: Vec::new(),
        },
        Refusal::Policy { .. } => Refusal::from(error(Cause::Rejected)),
        Refusal::Upstream(_) => return None,
    })
}

fn after_cause(cause: &Cause) -> Option<Cause> {
    Some(match cause {
        Cause::InvalidParameter => Cause::Quota,
        Cause::Quota => Cause::AccountQuota,
        Cause::AccountQuota => Cause::QueueFull,
        Cause::QueueFull => Cause::Throttled,
        Cause::Throttled => Cause::Unavailable,
        Cause::Unavailable => Cause::AccessDenied,
        Cause::AccessDenied => Cause::Credentials,
        Cause::Credentials => Cause::Malformed,
        Cause::Malformed => Cause::Rejected,
        Cause::Rejected => Cause::Deadline,
        Cause::Deadline => Cause::TokenReused { fields: Vec::new() },
        Cause::TokenReused { .. } => Cause::SessionExpiring {
            left: Duration::ZERO,
        },
        Cause::SessionExpiring { .. } => return None,
    })
}

fn error(cause: Cause) -> Error {
    Error {
        cause,
        request_id: None,
        retry_after: None,
        out_of_time: false,
        source: None,
    }
}
