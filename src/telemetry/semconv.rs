//! The names of what the gateway tells, as OpenTelemetry's semantic conventions
//! have them, and what is the gateway's own.
//!
//! Source: "Semantic conventions for RPC spans", "for gRPC" and "for AWS SDK client
//! spans", 1.42. (1.45 renames `rpc.response.status_code`.) Calls of AWS have
//! `rpc.system.name` too, instead of the `rpc.system` that it replaced.

use tonic::Code;

/// The conventions that spans, metrics and log records follow.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.42.0";

/// The logical name of the service.
pub const SERVICE_NAME: &str = "service.name";
/// Its version.
pub const SERVICE_VERSION: &str = "service.version";
/// Which of its replicas it is.
pub const SERVICE_INSTANCE_ID: &str = "service.instance.id";

/// Which RPC system carries the call.
pub const RPC_SYSTEM_NAME: &str = "rpc.system.name";
/// The fully qualified method, `package.Service/Method`, or [`METHOD_OTHER`].
pub const RPC_METHOD: &str = "rpc.method";
/// What was asked for, if [`RPC_METHOD`] does not tell.
pub const RPC_METHOD_ORIGINAL: &str = "rpc.method_original";
/// How the call ended: the name of the gRPC code.
pub const RPC_RESPONSE_STATUS_CODE: &str = "rpc.response.status_code";
/// What kind of error ended the operation.
pub const ERROR_TYPE: &str = "error.type";
/// The id of the request at AWS.
pub const AWS_REQUEST_ID: &str = "aws.request_id";
/// The region at AWS.
pub const CLOUD_REGION: &str = "cloud.region";

/// Who calls. Never on metrics: there may be any number of callers.
pub const CALLER: &str = "faceliveness.caller";
/// Which attempt at AWS it is, from 1.
pub const ATTEMPT: &str = "faceliveness.attempt";
/// How many attempts at AWS the call took.
pub const ATTEMPTS: &str = "faceliveness.attempts";
/// The time in the queue for the account's quota, in seconds: of an attempt, or of
/// all attempts of a call.
pub const QUEUE_TIME: &str = "faceliveness.queue_time";
/// How the wait in the queue ended: `granted`, `denied`, or `abandoned` by the
/// caller.
pub const QUEUE_OUTCOME: &str = "faceliveness.queue.outcome";
/// What the ledger had: a `session`, or a `call` under way.
pub const LEDGER_FOUND: &str = "faceliveness.ledger.found";
/// The pause before the next attempt, in seconds.
pub const RETRY_PAUSE: &str = "faceliveness.retry.pause";
/// What a call is called in logs and answers.
pub const REQUEST_ID: &str = "faceliveness.request_id";

/// The event of leaving the queue for the account's quota.
pub const QUEUE_EVENT: &str = "faceliveness.queue";
/// The event of an answer from the ledger.
pub const LEDGER_EVENT: &str = "faceliveness.ledger.hit";
/// The event of a failed attempt that another follows.
pub const RETRY_EVENT: &str = "faceliveness.retry";
/// Whether the session was made by an earlier call with the same token.
pub const REPLAYED: &str = "faceliveness.replayed";

/// The value of [`RPC_SYSTEM_NAME`] for calls of the gateway.
pub const GRPC: &str = "grpc";
/// The value of [`RPC_SYSTEM_NAME`] for calls of AWS.
pub const AWS_API: &str = "aws-api";
/// The value of [`RPC_METHOD`] for the call of AWS.
pub const CREATE_AT_AWS: &str = "Rekognition/CreateFaceLivenessSession";
/// The name of its span.
pub const CREATE_AT_AWS_SPAN: &str = "Rekognition.CreateFaceLivenessSession";
/// The value of [`RPC_METHOD`] for a method that there is not: what a peer makes
/// up must not become names of spans or time series.
pub const METHOD_OTHER: &str = "_OTHER";

/// The histogram of the duration of calls, in seconds.
pub const RPC_SERVER_CALL_DURATION: &str = "rpc.server.call.duration";

/// The name of a gRPC code, as [`RPC_RESPONSE_STATUS_CODE`] has it.
#[must_use]
pub fn code_name(code: Code) -> &'static str {
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

/// Whether a code counts as the server's error: the others are the caller's.
#[must_use]
pub fn is_server_error(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_six_codes_are_errors_of_the_server() {
        let errors: Vec<_> = (0..=16)
            .map(Code::from_i32)
            .filter(|code| is_server_error(*code))
            .map(code_name)
            .collect();
        assert_eq!(
            errors,
            [
                "UNKNOWN",
                "DEADLINE_EXCEEDED",
                "UNIMPLEMENTED",
                "INTERNAL",
                "UNAVAILABLE",
                "DATA_LOSS"
            ]
        );
    }
}
