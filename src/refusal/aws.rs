//! The rows of the table for what became of a call upstream: what AWS said, and what
//! the quota, the ledger and the deadline say on the way there.

use std::collections::HashMap;
use std::time::Duration;

use tonic::Code;

use super::{AWS_DOMAIN, GATEWAY_DOMAIN, Refusal, Row};
use crate::upstream;

/// The quota is counted by the second.
const RETRY_QUOTA: Duration = Duration::from_secs(1);

/// AWS's SDKs begin to back off with up to this.
const RETRY_UPSTREAM: Duration = Duration::from_secs(1);

/// New credentials are fetched within seconds, or by an operator.
const RETRY_CREDENTIALS: Duration = Duration::from_secs(5);

/// A row for what the gateway decides and no retry changes.
fn final_row(code: Code, reason: &'static str, message: String) -> Row {
    Row {
        code,
        domain: GATEWAY_DOMAIN,
        reason,
        retry: None,
        message,
        info: HashMap::new(),
    }
}

/// The rows for what AWS said. Its own words stay out of them: nobody knows
/// what they hold.
pub(super) fn upstream_row(error: &upstream::Error) -> Row {
    use upstream::Cause;
    let (code, reason, retry, message) = match &error.cause {
        Cause::Deadline => return deadline_row(error.before()),
        Cause::AccountQuota => {
            return account_quota_row(
                error,
                "past the call's deadline; retry after the delay, or give the call a later deadline",
            );
        }
        Cause::QueueFull => {
            return account_quota_row(
                error,
                "and as many calls as may wait for it do; retry after the delay",
            );
        }
        Cause::TokenReused { fields } => {
            return final_row(
                Code::AlreadyExists,
                "TOKEN_REUSED",
                format!(
                    "client_request_token was used within three minutes with another {}; use a new token for a new session",
                    fields.join(", ")
                ),
            );
        }
        Cause::SessionExpiring { left } => {
            return final_row(
                Code::FailedPrecondition,
                "SESSION_EXPIRING",
                format!(
                    "the session of this client_request_token has {} s left, too little to be of use; use a new token for a new session",
                    left.as_secs()
                ),
            );
        }
        Cause::InvalidParameter => (
            Code::InvalidArgument,
            "UPSTREAM_INVALID_PARAMETER",
            None,
            "Amazon Rekognition refused the parameters; check the KMS key, and that the bucket lies in the session's region",
        ),
        Cause::Quota => (
            Code::ResourceExhausted,
            "UPSTREAM_QUOTA",
            Some(RETRY_QUOTA),
            "the account's quota at Amazon Rekognition is used up; retry after the delay",
        ),
        Cause::Throttled => (
            Code::Unavailable,
            "UPSTREAM_THROTTLED",
            Some(RETRY_UPSTREAM),
            "Amazon Rekognition is short of capacity; retry after the delay",
        ),
        Cause::Unavailable => (
            Code::Unavailable,
            "UPSTREAM_UNAVAILABLE",
            Some(RETRY_UPSTREAM),
            "Amazon Rekognition failed or could not be reached; retry after the delay with the same client_request_token",
        ),
        Cause::AccessDenied => (
            Code::Internal,
            "UPSTREAM_ACCESS_DENIED",
            None,
            "Amazon Rekognition denied access: either the gateway's IAM policy lacks \
             rekognition:CreateFaceLivenessSession (or s3:PutObject for the bucket), or the region has no Face Liveness",
        ),
        Cause::Credentials => (
            Code::Unavailable,
            "UPSTREAM_CREDENTIALS",
            Some(RETRY_CREDENTIALS),
            "AWS does not accept the gateway's credentials: they are expired, missing or unknown; its operator must act",
        ),
        Cause::Malformed => (
            Code::Internal,
            "UPSTREAM_MALFORMED",
            None,
            "Amazon Rekognition's answer holds no valid session id",
        ),
        Cause::Rejected => (
            Code::Internal,
            "UPSTREAM_REJECTED",
            None,
            "Amazon Rekognition refused for a reason that the gateway does not know; its log has the details",
        ),
    };
    let retry = retry.map(|usual| error.retry_after.unwrap_or(usual));
    let info = error
        .request_id
        .iter()
        .map(|id| ("aws_request_id".to_owned(), id.clone()))
        .collect();
    Row {
        code,
        domain: AWS_DOMAIN,
        reason,
        retry,
        message: message.to_owned(),
        info,
    }
}

/// Says also what the attempts failed with that the deadline cut short: the code
/// and the reason stay those of a deadline.
fn deadline_row(before: Option<&upstream::Error>) -> Row {
    let row = Refusal::Deadline.row();
    let Some(Row {
        reason, message, ..
    }) = before.map(upstream_row)
    else {
        return row;
    };
    Row {
        message: format!("{}; what came before it: {message}", row.message),
        info: HashMap::from([("last_failure".to_owned(), reason.to_owned())]),
        ..row
    }
}

/// The gateway, not AWS, says no: nothing was sent.
fn account_quota_row(error: &upstream::Error, and_so: &str) -> Row {
    let wait = error.retry_after.unwrap_or(RETRY_QUOTA);
    Row {
        code: Code::ResourceExhausted,
        domain: GATEWAY_DOMAIN,
        reason: "ACCOUNT_QUOTA",
        retry: Some(wait),
        message: format!(
            "the account's quota at Amazon Rekognition is used up for the next {} ms, {and_so}",
            wait.as_millis()
        ),
        info: HashMap::new(),
    }
}
