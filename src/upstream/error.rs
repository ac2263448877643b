//! Why AWS made no session, told apart by what the caller can do about it.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_rekognition::error::{BuildError, ProvideErrorMetadata as _, SdkError};
use aws_sdk_rekognition::operation::RequestId as _;
use aws_sdk_rekognition::operation::create_face_liveness_session::CreateFaceLivenessSessionError as Modeled;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

/// The header with which AWS asks for a pause, in milliseconds.
const RETRY_AFTER: &str = "x-amz-retry-after";

/// Why AWS made no session.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{cause}")]
pub struct Error {
    /// What went wrong.
    pub cause: Cause,
    /// The id of the request at AWS, if it got there.
    pub request_id: Option<String>,
    /// The pause that AWS asked for, or until the quota has room again.
    pub retry_after: Option<Duration>,
    /// Whether it was the deadline that ended the attempts: with a later one
    /// there might be a session.
    pub out_of_time: bool,
    /// Everything that the SDK knows: for the log, never for the caller.
    #[source]
    pub source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What went wrong upstream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Cause {
    /// AWS refused the parameters.
    InvalidParameter,
    /// The account's own quota at AWS is used up: AWS said so.
    Quota,
    /// The account's own quota at AWS is used up past the deadline: the gateway
    /// knows and did not ask AWS.
    AccountQuota,
    /// So many wait for the account's quota that there is no room for one more.
    QueueFull,
    /// AWS is short of capacity, for everybody.
    Throttled,
    /// AWS failed, or could not be reached, or did not answer in time.
    Unavailable,
    /// The gateway's credentials do not permit the call, or the region has no
    /// Face Liveness: AWS answers both alike.
    AccessDenied,
    /// The gateway's credentials are expired, missing or unknown to AWS.
    Credentials,
    /// AWS answered with something that is not a session.
    Malformed,
    /// AWS refused for a reason that the gateway does not know.
    Rejected,
    /// The caller's deadline passed.
    Deadline,
    /// The token was used before, with other parameters.
    TokenReused {
        /// The paths of the fields that differ, in the protobuf request.
        fields: Vec<&'static str>,
    },
    /// The token's session has too little of its life left to be of use.
    SessionExpiring {
        /// How much is left.
        left: Duration,
    },
}

impl Cause {
    /// Whether the same call may do better a moment later: AWS is in trouble,
    /// or cannot be reached, and nothing that was asked for is at fault.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, Self::Quota | Self::Throttled | Self::Unavailable)
    }

    /// What kind of failure it is, in one word: for telemetry.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::InvalidParameter => "invalid_parameter",
            Self::Quota => "quota",
            Self::AccountQuota => "account_quota",
            Self::QueueFull => "queue_full",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
            Self::AccessDenied => "access_denied",
            Self::Credentials => "credentials",
            Self::Malformed => "malformed",
            Self::Rejected => "rejected",
            Self::Deadline => "deadline",
            Self::TokenReused { .. } => "token_reused",
            Self::SessionExpiring { .. } => "session_expiring",
        }
    }

    /// The rest is the callers' business.
    fn concerns_operators(&self) -> bool {
        matches!(
            self,
            Self::Quota
                | Self::Throttled
                | Self::Unavailable
                | Self::AccessDenied
                | Self::Credentials
                | Self::Malformed
                | Self::Rejected
        )
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidParameter => "AWS refused the parameters",
            Self::Quota => "the account's quota at AWS is used up",
            Self::AccountQuota => "the account's quota at AWS is used up past the deadline",
            Self::QueueFull => "too many wait for the account's quota at AWS",
            Self::Throttled => "AWS is throttling",
            Self::Unavailable => "AWS failed or could not be reached",
            Self::AccessDenied => "AWS denied access",
            Self::Credentials => "AWS does not accept the gateway's credentials",
            Self::Malformed => "AWS's answer is not a session",
            Self::Rejected => "AWS refused for an unknown reason",
            Self::Deadline => "the deadline passed",
            Self::TokenReused { .. } => "the token was used with other parameters",
            Self::SessionExpiring { .. } => "the token's session is about to expire",
        })
    }
}

impl Error {
    /// An error that the SDK has no part in.
    pub(crate) fn new(cause: Cause, request_id: Option<String>) -> Self {
        Self {
            out_of_time: cause == Cause::Deadline,
            cause,
            request_id,
            retry_after: None,
            source: None,
        }
    }

    /// What the attempt before the last failed with, if the deadline ended the
    /// last.
    pub(crate) fn before(&self) -> Option<&Self> {
        self.source.as_deref()?.downcast_ref()
    }

    /// Whether something is wrong at AWS or with the gateway's place there, so
    /// that its operator may want to know.
    pub(crate) fn concerns_operators(&self) -> bool {
        let concerns = |error: &Self| error.cause.concerns_operators();
        concerns(self) || self.before().is_some_and(concerns)
    }

    /// Whether AWS may have made the session all the same: the answer was lost,
    /// or is none that the gateway understands.
    pub(super) fn is_uncertain(&self) -> bool {
        matches!(self.cause, Cause::Unavailable | Cause::Malformed)
            && !self.source.as_deref().is_some_and(never_connected)
    }

    /// The SDK does not take the parameters.
    pub(super) fn unbuildable(error: BuildError) -> Self {
        Self {
            source: Some(Arc::new(error)),
            ..Self::new(Cause::Rejected, None)
        }
    }
}

impl From<SdkError<Modeled, HttpResponse>> for Error {
    fn from(error: SdkError<Modeled, HttpResponse>) -> Self {
        Self {
            cause: cause(&error),
            request_id: error.request_id().map(str::to_owned),
            retry_after: error.raw_response().and_then(retry_after),
            out_of_time: false,
            source: Some(Arc::new(error)),
        }
    }
}

fn cause(error: &SdkError<Modeled, HttpResponse>) -> Cause {
    match error {
        SdkError::ServiceError(service) if service.raw().status().is_success() => Cause::Malformed,
        SdkError::ServiceError(service) => modeled(service.err())
            .unwrap_or_else(|| by_code(service.err().code(), service.raw().status().as_u16())),
        // The connection broke before the answer was whole.
        error @ SdkError::ResponseError(_) if is_caused_by::<hyper::Error>(error) => {
            Cause::Unavailable
        }
        SdkError::ResponseError(response) if response.raw().status().is_success() => {
            Cause::Malformed
        }
        SdkError::ResponseError(response) => by_code(None, response.raw().status().as_u16()),
        error if is_caused_by::<CredentialsError>(error) => Cause::Credentials,
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) => Cause::Unavailable,
        _ => Cause::Rejected,
    }
}

fn modeled(error: &Modeled) -> Option<Cause> {
    Some(match error {
        Modeled::InvalidParameterException(_) => Cause::InvalidParameter,
        Modeled::ProvisionedThroughputExceededException(_) => Cause::Quota,
        Modeled::ThrottlingException(_) => Cause::Throttled,
        Modeled::InternalServerError(_) => Cause::Unavailable,
        Modeled::AccessDeniedException(_) => Cause::AccessDenied,
        _ => return None,
    })
}

/// The errors that any of AWS's services may answer with.
/// Source: "Common Error Types" of the Amazon Rekognition API reference.
fn by_code(code: Option<&str>, status: u16) -> Cause {
    match code {
        Some(
            "ExpiredToken"
            | "ExpiredTokenException"
            | "IncompleteSignature"
            | "IncompleteSignatureException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "RequestExpired"
            | "SignatureDoesNotMatch"
            | "UnrecognizedClientException",
        ) => Cause::Credentials,
        Some("AccessDenied" | "NotAuthorized" | "OptInRequired") => Cause::AccessDenied,
        Some("RequestLimitExceeded" | "SlowDown" | "Throttling" | "TooManyRequestsException") => {
            Cause::Throttled
        }
        Some("ValidationError" | "ValidationException") => Cause::InvalidParameter,
        _ if status == 429 => Cause::Throttled,
        _ if status >= 500 => Cause::Unavailable,
        _ => Cause::Rejected,
    }
}

/// Whether an `E` is among the causes of `error`.
pub(super) fn is_caused_by<E: StdError + 'static>(error: &(dyn StdError + 'static)) -> bool {
    causes(error).any(|error| error.is::<E>())
}

fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// Whether there was no connection to send the request on.
fn never_connected(error: &(dyn StdError + Send + Sync + 'static)) -> bool {
    causes(error)
        .filter_map(|error| error.downcast_ref::<hyper_util::client::legacy::Error>())
        .any(hyper_util::client::legacy::Error::is_connect)
}

/// A pause beyond this is a mistake, not a plan.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);

fn retry_after(response: &HttpResponse) -> Option<Duration> {
    let millis = response.headers().get(RETRY_AFTER)?.parse().ok()?;
    Some(Duration::from_millis(millis).min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unmodelled_errors_are_told_apart_by_code_then_by_status() {
        let cases = [
            (Some("ExpiredTokenException"), 400, Cause::Credentials),
            (Some("UnrecognizedClientException"), 400, Cause::Credentials),
            (Some("InvalidSignatureException"), 400, Cause::Credentials),
            (Some("Throttling"), 400, Cause::Throttled),
            (None, 429, Cause::Throttled),
            (Some("ServiceUnavailable"), 503, Cause::Unavailable),
            (None, 500, Cause::Unavailable),
            (Some("SerializationException"), 400, Cause::Rejected),
            (None, 404, Cause::Rejected),
        ];
        for (code, status, expected) in cases {
            assert_eq!(by_code(code, status), expected, "{code:?} {status}");
        }
    }
}
