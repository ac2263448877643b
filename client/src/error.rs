//! Why a call failed, and what can be done about it.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::reason::Reason;
use crate::retry::{self, Hint};
use crate::session::{AWS_REQUEST_ID, Malformed, REQUEST_ID, text};

/// Where a failure arose.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The gateway, or a proxy before it, answered no.
    Refused,
    /// No answer came: the name did not resolve, no connection could be made, or
    /// it broke.
    Transport,
    /// The deadline passed on this side.
    Deadline,
    /// The bearer-token callback failed; the call was not sent.
    Token,
    /// The gateway's answer holds no valid session.
    Malformed,
}

/// A failed call.
///
/// `Display` gives the code, the reason and the message in one line, fit for a
/// log; neither it nor `Debug` shows a token or a session id.
///
/// ```
/// use face_liveness_client::{Error, Reason};
///
/// fn advice(error: &Error) -> &'static str {
///     match error.reason() {
///         Some(Reason::AccountQuota) => "ask the user to wait",
///         Some(Reason::TokenReused) => "use a new client_request_token",
///         _ if error.is_retryable() => "try again later",
///         _ => "report it with its request id",
///     }
/// }
/// ```
///
/// # Troubleshooting
/// Start with [`reason`](Self::reason); without one the gateway did not answer:
/// [`kind`](Self::kind) says what happened instead, and [`source`](StdError::source)
/// has the cause.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    status: Status,
    reason: Option<Reason>,
    hint: Hint,
    violations: Vec<FieldViolation>,
    request_id: Option<String>,
    aws_request_id: Option<String>,
    client_request_token: Option<String>,
    attempts: u32,
}

/// A field of the request that breaks a constraint.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct FieldViolation {
    /// The field's path in the protobuf request, such as
    /// `settings.output_config.s3_bucket`.
    pub field: String,
    /// What must hold.
    pub description: String,
}

impl Error {
    /// Reads an answer's status, or one that this library made itself.
    pub(crate) fn new(kind: ErrorKind, status: Status) -> Self {
        let details = status.get_error_details();
        let violations = details.bad_request().map(|bad| &bad.field_violations);
        Self(Box::new(Inner {
            kind,
            reason: details
                .error_info()
                .map(|info| Reason::from(info.reason.as_str())),
            hint: Hint::of(&status),
            violations: violations
                .into_iter()
                .flatten()
                .map(|violation| FieldViolation {
                    field: violation.field.clone(),
                    description: violation.description.clone(),
                })
                .collect(),
            request_id: text(status.metadata(), REQUEST_ID),
            aws_request_id: text(status.metadata(), AWS_REQUEST_ID),
            client_request_token: None,
            attempts: 0,
            status,
        }))
    }

    /// The deadline passed on this side, while `last` was the latest failure.
    pub(crate) fn deadline(limit: Option<Duration>, last: Option<&Self>) -> Self {
        let mut message = match limit {
            Some(limit) => format!("no session within {limit:?}"),
            None => "no session within the deadline".to_owned(),
        };
        if let Some(last) = last {
            message.push_str("; the attempt before failed: ");
            message.push_str(&last.to_string());
        }
        let mut error = Self::new(ErrorKind::Deadline, Status::deadline_exceeded(message));
        error.0.reason = Some(Reason::Deadline);
        error
    }

    /// The answer is not what the protocol promises.
    pub(crate) fn malformed(malformed: Malformed) -> Self {
        let mut status = Status::internal(malformed.to_string());
        status.set_source(std::sync::Arc::new(malformed));
        Self::new(ErrorKind::Malformed, status)
    }

    /// Tells which intent failed, after how many attempts.
    pub(crate) fn of_intent(mut self, token: &str, attempts: u32) -> Self {
        self.0.client_request_token = Some(token.to_owned());
        self.0.attempts = attempts;
        self
    }

    pub(crate) fn hint(&self) -> Hint {
        self.0.hint
    }

    /// Where the failure arose.
    ///
    /// # Troubleshooting
    /// - [`ErrorKind::Transport`]: the message names the address; check the
    ///   endpoint, the network and, for `https://`, the certificates.
    /// - [`ErrorKind::Token`]: the bearer-token callback failed; its error is the
    ///   [`source`](StdError::source).
    /// - [`ErrorKind::Malformed`]: what answers is not this gateway, or has a
    ///   defect.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The gRPC code.
    ///
    /// # Troubleshooting
    /// `UNIMPLEMENTED`, or `UNKNOWN` without a [`reason`](Self::reason), mean that the endpoint
    /// is another server or a proxy that does not know gRPC.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.status.code()
    }

    /// The reason that the gateway gave. None when it gave no answer, or a proxy
    /// answered in its place.
    ///
    /// # Troubleshooting
    /// - [`Reason::TokenReused`], [`Reason::SessionExpiring`]: use a new
    ///   `client_request_token` for a new session.
    /// - [`Reason::Policy`], [`Reason::Unauthenticated`], [`Reason::UpstreamAccessDenied`],
    ///   [`Reason::UpstreamCredentials`]: ask the gateway's operator.
    /// - [`Reason::AccountQuota`]: give the call a later deadline, or have the
    ///   account's quota raised.
    #[must_use]
    pub fn reason(&self) -> Option<&Reason> {
        self.0.reason.as_ref()
    }

    /// Whether the same call, with the same `client_request_token`, may succeed
    /// later. True for `UNAVAILABLE`, and for `RESOURCE_EXHAUSTED` with a delay;
    /// never when the server forbids a retry.
    ///
    /// # Troubleshooting
    /// The client has retried already if this is true, up to its attempts, its
    /// deadline and its retry budget: see [`attempts`](Self::attempts). After a
    /// [`Reason::Deadline`] this is false, since a session may have been made:
    /// call again with the same [`client_request_token`](Self::client_request_token)
    /// to get it.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        retry::is_retryable(self.code(), self.0.hint)
    }

    /// How long the gateway asks to wait before the next call. None when it names
    /// no delay, or forbids a retry.
    ///
    /// # Troubleshooting
    /// A delay together with few [`attempts`](Self::attempts) means that it did
    /// not fit the call's deadline.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self.0.hint {
            Hint::After(delay) => Some(delay),
            Hint::Never | Hint::Silent => None,
        }
    }

    /// Every constraint that the request breaks.
    ///
    /// # Troubleshooting
    /// Empty for any other failure. The paths are those of the protobuf schema:
    /// `settings.challenge_preferences[1].type`.
    #[must_use]
    pub fn field_violations(&self) -> &[FieldViolation] {
        &self.0.violations
    }

    /// The id of the request at the gateway (`x-request-id`).
    ///
    /// # Troubleshooting
    /// The gateway's operator finds the call's log lines and trace by it. None:
    /// the call did not reach the gateway.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// The id of the request at AWS (`x-amzn-requestid`).
    ///
    /// # Troubleshooting
    /// AWS's support asks for it. None: the gateway did not call AWS.
    #[must_use]
    pub fn aws_request_id(&self) -> Option<&str> {
        self.0.aws_request_id.as_deref()
    }

    /// The token that all attempts shared, given or generated.
    ///
    /// # Troubleshooting
    /// Call again with it within three minutes, and a session that was made after
    /// all is returned instead of a second one.
    #[must_use]
    pub fn client_request_token(&self) -> Option<&str> {
        self.0.client_request_token.as_deref()
    }

    /// How many attempts were made.
    ///
    /// # Troubleshooting
    /// One, for a retryable failure: the deadline left no time for a retry, or
    /// the retry budget is used up because most calls fail.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// What went wrong, without code and reason.
    ///
    /// # Troubleshooting
    /// It is for people and may change; let programs look at
    /// [`reason`](Self::reason).
    #[must_use]
    pub fn message(&self) -> &str {
        self.0.status.message()
    }

    /// The status as tonic has it, with all details and metadata.
    ///
    /// # Troubleshooting
    /// `tonic-types` reads further `google.rpc` details, such as `QuotaFailure`.
    #[must_use]
    pub fn status(&self) -> &Status {
        &self.0.status
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(code_name(self.code()))?;
        if let Some(reason) = self.reason() {
            write!(f, " ({reason})")?;
        }
        write!(f, ": {}", self.message())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("code", &self.code())
            .field("reason", &self.0.reason)
            .field("message", &self.message())
            .field("retryable", &self.is_retryable())
            .field("retry_after", &self.retry_after())
            .field("field_violations", &self.0.violations)
            .field("request_id", &self.0.request_id)
            .field("aws_request_id", &self.0.aws_request_id)
            .field("attempts", &self.0.attempts)
            .finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.status.source()
    }
}

/// The code's name in the gRPC specification.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
