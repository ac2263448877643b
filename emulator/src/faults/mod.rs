//! Faults: what can be made to go wrong, and when.

mod latency;
mod plan;
mod syntax;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use latency::Latency;
pub use plan::FaultStatus;
pub(crate) use plan::Plan;
pub use syntax::ParseError;

use crate::protocol::{ApiError, Operation};

/// What goes wrong.
///
/// *Refusals* answer an error in place of processing the call. *Connection* faults act on the
/// socket before the call is processed. *Answer* faults process the call first, so the session
/// exists and the quota is spent; they leave a call that was refused anyway as it is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FaultKind {
    /// Holds the answer back. The call is processed on arrival: a client that gives up waiting
    /// has made a session all the same. Goes together with any other fault.
    Latency(Latency),
    /// Refusal: `ThrottlingException`, HTTP 500, with `x-amz-retry-after` when a wait is given.
    Throttling {
        /// The wait that the answer advises.
        retry_after: Option<Duration>,
    },
    /// Refusal: `InternalServerError`, HTTP 500.
    InternalServerError,
    /// Refusal: `AccessDeniedException`, HTTP 400, without a message.
    AccessDenied,
    /// Refusal: `ExpiredTokenException`, HTTP 400.
    ExpiredToken,
    /// Refusal: `InvalidParameterException`, HTTP 400.
    InvalidParameter,
    /// Refusal: `ProvisionedThroughputExceededException`, HTTP 400.
    ProvisionedThroughputExceeded,
    /// Refusal: `UnrecognizedClientException`, HTTP 400.
    UnrecognizedClient,
    /// Refusal: `ServiceUnavailable`, HTTP 503.
    ServiceUnavailable,
    /// Connection: reset before the call is processed.
    Reset,
    /// Connection: never answers, until the client goes or the emulator stops.
    Hang,
    /// Answer: the session is made, then the connection is reset without an answer.
    ResetAfterCreate,
    /// Answer: the connection closes before the announced content length was sent.
    CutShort,
    /// Answer: HTTP 200 with a body that is not JSON.
    NotJson,
    /// Answer: without its `SessionId`.
    NoSessionId,
    /// Answer: with this text for its `SessionId`.
    MalformedSessionId(String),
}

impl FaultKind {
    /// The fault's name in flags, JSON and the journal.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Latency(_) => "latency",
            Self::Throttling { .. } => "throttling",
            Self::InternalServerError => "internal-server-error",
            Self::AccessDenied => "access-denied",
            Self::ExpiredToken => "expired-token",
            Self::InvalidParameter => "invalid-parameter",
            Self::ProvisionedThroughputExceeded => "provisioned-throughput-exceeded",
            Self::UnrecognizedClient => "unrecognized-client",
            Self::ServiceUnavailable => "service-unavailable",
            Self::Reset => "reset",
            Self::Hang => "hang",
            Self::ResetAfterCreate => "reset-after-create",
            Self::CutShort => "cut-short",
            Self::NotJson => "not-json",
            Self::NoSessionId => "no-session-id",
            Self::MalformedSessionId(_) => "malformed-session-id",
        }
    }

    /// The error that a refusal answers; none for the other faults.
    pub(crate) fn refusal(&self) -> Option<ApiError> {
        Some(match self {
            Self::Throttling { retry_after } => ApiError::throttling(*retry_after),
            Self::InternalServerError => ApiError::internal_server_error(),
            Self::AccessDenied => ApiError::access_denied(),
            Self::ExpiredToken => ApiError::expired_token(),
            Self::InvalidParameter => ApiError::invalid_parameter("Request has invalid parameters"),
            Self::ProvisionedThroughputExceeded => {
                ApiError::provisioned_throughput_exceeded("Provisioned rate exceeded")
            }
            Self::UnrecognizedClient => ApiError::unrecognized_client(),
            Self::ServiceUnavailable => ApiError::service_unavailable(),
            _ => return None,
        })
    }
}

/// A fault and when it happens.
///
/// Every fault counts the calls of its operation from the moment it was set, whether or not
/// another fault hit them; calls with a refused signature are not counted. Without a schedule it
/// hits every call. Where several hit one call, the first in the list does (and the first latency
/// besides). Unless told otherwise a fault concerns `CreateFaceLivenessSession` only.
///
/// The text form, which the command line uses, is
/// `[create/|get/|any/]NAME[:VALUE][=PROBABILITY][@CALL[..CALL]][#TIMES]`:
///
/// ```
/// use rekognition_emulator::Fault;
///
/// let third_call: Fault = "reset-after-create@3".parse()?;
/// assert_eq!(third_call, Fault::reset_after_create().on_call(3));
///
/// let first_two: Fault = "throttling:500ms@1..2".parse()?;
/// let wait = std::time::Duration::from_millis(500);
/// assert_eq!(first_two, Fault::throttling_after(wait).on_call(1).times(2));
///
/// let at_most_four: Fault = "any/hang=0.1#4".parse()?;
/// assert_eq!(at_most_four, Fault::hang().on_any_operation().with_probability(0.1).times(4));
/// # Ok::<(), rekognition_emulator::FaultParseError>(())
/// ```
///
/// As JSON it is an object: `{"fault": "throttling", "retry_after_ms": 500, "on_call": 1,
/// "times": 2}`, with `operation` (`create`, `get` or `any`), `probability`, `latency` and
/// `session_id` as further members.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "syntax::Wire", into = "syntax::Wire")]
pub struct Fault {
    kind: FaultKind,
    operation: Option<Operation>,
    probability: f64,
    on_call: Option<u64>,
    times: Option<u64>,
}

impl Fault {
    /// A fault of this kind on every `CreateFaceLivenessSession`.
    pub fn new(kind: FaultKind) -> Self {
        Self {
            kind,
            operation: Some(Operation::CreateFaceLivenessSession),
            probability: 1.0,
            on_call: None,
            times: None,
        }
    }

    /// [`FaultKind::Latency`]
    pub fn latency(latency: Latency) -> Self {
        Self::new(FaultKind::Latency(latency))
    }

    /// [`FaultKind::Throttling`] without advice.
    pub fn throttling() -> Self {
        Self::new(FaultKind::Throttling { retry_after: None })
    }

    /// [`FaultKind::Throttling`] with `x-amz-retry-after`.
    pub fn throttling_after(wait: Duration) -> Self {
        Self::new(FaultKind::Throttling {
            retry_after: Some(wait),
        })
    }

    /// [`FaultKind::InternalServerError`]
    pub fn internal_server_error() -> Self {
        Self::new(FaultKind::InternalServerError)
    }

    /// [`FaultKind::AccessDenied`]
    pub fn access_denied() -> Self {
        Self::new(FaultKind::AccessDenied)
    }

    /// [`FaultKind::ExpiredToken`]
    pub fn expired_token() -> Self {
        Self::new(FaultKind::ExpiredToken)
    }

    /// [`FaultKind::InvalidParameter`]
    pub fn invalid_parameter() -> Self {
        Self::new(FaultKind::InvalidParameter)
    }

    /// [`FaultKind::ProvisionedThroughputExceeded`]
    pub fn provisioned_throughput_exceeded() -> Self {
        Self::new(FaultKind::ProvisionedThroughputExceeded)
    }

    /// [`FaultKind::UnrecognizedClient`]
    pub fn unrecognized_client() -> Self {
        Self::new(FaultKind::UnrecognizedClient)
    }

    /// [`FaultKind::ServiceUnavailable`]
    pub fn service_unavailable() -> Self {
        Self::new(FaultKind::ServiceUnavailable)
    }

    /// [`FaultKind::Reset`]
    pub fn reset() -> Self {
        Self::new(FaultKind::Reset)
    }

    /// [`FaultKind::Hang`]
    pub fn hang() -> Self {
        Self::new(FaultKind::Hang)
    }

    /// [`FaultKind::ResetAfterCreate`]
    pub fn reset_after_create() -> Self {
        Self::new(FaultKind::ResetAfterCreate)
    }

    /// [`FaultKind::CutShort`]
    pub fn cut_short() -> Self {
        Self::new(FaultKind::CutShort)
    }

    /// [`FaultKind::NotJson`]
    pub fn not_json() -> Self {
        Self::new(FaultKind::NotJson)
    }

    /// [`FaultKind::NoSessionId`]
    pub fn no_session_id() -> Self {
        Self::new(FaultKind::NoSessionId)
    }

    /// [`FaultKind::MalformedSessionId`]
    pub fn malformed_session_id(id: impl Into<String>) -> Self {
        Self::new(FaultKind::MalformedSessionId(id.into()))
    }

    /// Concerns this operation instead of `CreateFaceLivenessSession`.
    #[must_use]
    pub fn on_operation(mut self, operation: Operation) -> Self {
        self.operation = Some(operation);
        self
    }

    /// Concerns every operation; calls are then counted over all of them.
    #[must_use]
    pub fn on_any_operation(mut self) -> Self {
        self.operation = None;
        self
    }

    /// Hits a call with this probability, from the emulator's seed; held within 0 and 1.
    #[must_use]
    pub fn with_probability(mut self, probability: f64) -> Self {
        self.probability = if probability.is_nan() {
            0.0
        } else {
            probability.clamp(0.0, 1.0)
        };
        self
    }

    /// Hits the n-th call, counted from 1; with [`times`](Fault::times), that one and the
    /// following.
    #[must_use]
    pub fn on_call(mut self, n: u64) -> Self {
        self.on_call = Some(n.max(1));
        self
    }

    /// Hits at most this many calls: the next `n`, or `n` calls from [`on_call`](Fault::on_call).
    #[must_use]
    pub fn times(mut self, n: u64) -> Self {
        self.times = Some(n);
        self
    }

    /// What goes wrong.
    pub fn kind(&self) -> &FaultKind {
        &self.kind
    }

    fn concerns(&self, operation: Operation) -> bool {
        self.operation.is_none_or(|only| only == operation)
    }

    /// Whether the schedule reaches this call, given how often the fault has hit before.
    fn is_due(&self, call: u64, hits: u64) -> bool {
        match (self.on_call, self.times) {
            (Some(first), times) => call >= first && call - first < times.unwrap_or(1),
            (None, Some(times)) => hits < times,
            (None, None) => true,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        syntax::write(self, f)
    }
}
