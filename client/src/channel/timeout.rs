//! The `grpc-timeout` that a call carries.

use std::time::Duration;

use http::HeaderMap;
use tonic::metadata::MetadataMap;

const GRPC_TIMEOUT: &str = "grpc-timeout";

/// A call's time limit, if it has a valid one.
pub(super) fn of(headers: &HeaderMap) -> Option<Duration> {
    parse(headers.get(GRPC_TIMEOUT)?.to_str().ok()?)
}

/// As [`tonic::Request::set_timeout`] has put it into the metadata.
pub(crate) fn of_metadata(metadata: &MetadataMap) -> Option<Duration> {
    parse(metadata.get(GRPC_TIMEOUT)?.to_str().ok()?)
}

/// At most eight digits and a unit, as the gRPC protocol has it.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_read_as_tonic_writes_it() {
        for timeout in [
            Duration::ZERO,
            Duration::from_nanos(12),
            Duration::from_millis(1234),
            Duration::from_secs(9),
            Duration::from_secs(100_000),
        ] {
            let mut request = tonic::Request::new(());
            request.set_timeout(timeout);
            assert_eq!(of_metadata(request.metadata()), Some(timeout));
        }
    }

    #[test]
    fn what_is_no_timeout_is_none() {
        for text in ["", "S", "1", "1s", "-1S", "+1S", "123456789n", "1é"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
