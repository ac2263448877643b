//! What the fake answers.

use std::time::Duration;

use tonic::metadata::{MetadataKey, MetadataMap, MetadataValue};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::reason::{GATEWAY_DOMAIN, Reason};
use crate::retry::PUSHBACK;
use crate::v1::CreateSessionResponse;

/// The delay that a retryable [`Refusal`] asks for: real ones ask for more, but
/// tests wait for it.
const SHORT_DELAY: Duration = Duration::from_millis(10);

/// An answer to one call.
#[derive(Clone, Debug)]
pub struct Answer {
    pub(super) delay: Duration,
    pub(super) drains: bool,
    pub(super) metadata: MetadataMap,
    pub(super) action: Action,
}

#[derive(Clone, Debug)]
pub(super) enum Action {
    Session,
    Respond(Box<CreateSessionResponse>),
    Refuse(Box<Status>),
    DropConnection,
    Never,
}

impl Answer {
    fn new(action: Action) -> Self {
        Self {
            delay: Duration::ZERO,
            drains: false,
            metadata: MetadataMap::new(),
            action,
        }
    }

    /// A session, as if nothing had been scripted.
    #[must_use]
    pub fn session() -> Self {
        Self::new(Action::Session)
    }

    /// This message, whether it makes sense or not.
    #[must_use]
    pub fn response(message: CreateSessionResponse) -> Self {
        Self::new(Action::Respond(Box::new(message)))
    }

    /// A closed connection in place of an answer.
    #[must_use]
    pub fn drop_connection() -> Self {
        Self::new(Action::DropConnection)
    }

    /// No answer at all: the call ends by its deadline.
    #[must_use]
    pub fn never() -> Self {
        Self::new(Action::Never)
    }

    /// The same, this much later.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// And ends the connection with it in good order (GOAWAY), as a replica does
    /// that shuts down.
    #[must_use]
    pub fn and_drain(mut self) -> Self {
        self.drains = true;
        self
    }

    /// With ASCII metadata, such as `x-request-id`.
    ///
    /// # Panics
    /// When the key or the value is no ASCII metadata.
    #[must_use]
    #[expect(clippy::panic, reason = "it is a mistake in the test that calls it")]
    pub fn metadata(mut self, key: &str, value: &str) -> Self {
        let (Ok(name), Ok(text)) = (
            MetadataKey::from_bytes(key.as_bytes()),
            MetadataValue::try_from(value),
        ) else {
            panic!("{key}: {value} is no ASCII metadata");
        };
        self.metadata.append(name, text);
        self
    }
}

impl From<Status> for Answer {
    fn from(status: Status) -> Self {
        Self::new(Action::Refuse(Box::new(status)))
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Status::from(refusal).into()
    }
}

/// A refusal with the code and the details that the gateway gives it.
///
/// ```
/// use std::time::Duration;
/// use face_liveness_client::Reason;
/// use face_liveness_client::testing::Refusal;
///
/// let status = tonic::Status::from(
///     Refusal::new(Reason::AccountQuota).retry_after(Duration::from_millis(1500)),
/// );
/// assert_eq!(status.code(), tonic::Code::ResourceExhausted);
/// assert_eq!(status.metadata().get("grpc-retry-pushback-ms").unwrap(), "1500");
/// ```
#[derive(Clone, Debug)]
pub struct Refusal {
    reason: Reason,
    message: String,
    retry_after: Option<Duration>,
    pushback: Option<String>,
    violations: Vec<(String, String)>,
}

impl Refusal {
    /// Retryable ones ask for a delay of a few milliseconds. An unknown reason
    /// comes with the code `UNKNOWN`.
    #[must_use]
    pub fn new(reason: Reason) -> Self {
        let refusal = Self {
            message: format!("refused by the fake: {reason}"),
            reason,
            retry_after: None,
            pushback: Some("-1".to_owned()),
            violations: Vec::new(),
        };
        match refusal.reason.code() {
            Some(Code::Unavailable | Code::ResourceExhausted) => refusal.retry_after(SHORT_DELAY),
            _ => refusal,
        }
    }

    /// Asks for this delay, with `RetryInfo` and a push-back.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self.pushback = Some(delay.as_nanos().div_ceil(1_000_000).to_string());
        self
    }

    /// With this value of `grpc-retry-pushback-ms`, valid or not; none for no such
    /// trailer.
    ///
    /// # Panics
    /// When the status is made, if the value is no ASCII metadata.
    #[must_use]
    pub fn pushback(mut self, value: Option<&str>) -> Self {
        self.pushback = value.map(str::to_owned);
        self
    }

    /// Without `RetryInfo` and push-back: as a proxy refuses.
    #[must_use]
    pub fn without_delay(mut self) -> Self {
        self.retry_after = None;
        self.pushback = None;
        self
    }

    /// With this message.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// With one more field that breaks a constraint.
    #[must_use]
    pub fn violation(mut self, field: impl Into<String>, description: impl Into<String>) -> Self {
        self.violations.push((field.into(), description.into()));
        self
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let domain = refusal.reason.domain().unwrap_or(GATEWAY_DOMAIN);
        let info = std::collections::HashMap::new();
        let mut details = ErrorDetails::with_error_info(refusal.reason.as_str(), domain, info);
        if let Some(delay) = refusal.retry_after {
            details.set_retry_info(Some(delay));
        }
        for (field, description) in refusal.violations {
            details.add_bad_request_violation(field, description);
        }
        let code = refusal.reason.code().unwrap_or(Code::Unknown);
        let pushback = refusal
            .pushback
            .map(|value| Answer::session().metadata(PUSHBACK, &value).metadata);
        Self::with_error_details_and_metadata(
            code,
            refusal.message,
            details,
            pushback.unwrap_or_default(),
        )
    }
}
