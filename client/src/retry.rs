//! Whether and when to try again: gRFC A6 with the codes of AIP-194.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::Error;

/// Metadata of an answer: how long to wait before a retry, in milliseconds;
/// negative: do not retry (gRFC A6).
pub(crate) const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// Metadata of a retry: how many attempts came before it (gRFC A6).
pub(crate) const PREVIOUS_ATTEMPTS: &str = "grpc-previous-rpc-attempts";

/// The most attempts that gRFC A6 lets a client make.
pub const DEFAULT_MAX_ATTEMPTS: u32 = 5;

/// A replica's restart behind a balancer, or one lost connection, is over sooner
/// than the second retry that follows from this.
pub const DEFAULT_INITIAL_BACKOFF: Duration = Duration::from_millis(100);

/// With four retries never reached; with more, half of the default deadline.
pub const DEFAULT_MAX_BACKOFF: Duration = Duration::from_secs(5);

/// Retries stop at half of it: 50 failures in a row are an outage, which retries
/// only prolong.
pub const DEFAULT_RETRY_TOKENS: u32 = 100;

/// What a success pays back of a failure's one token: in the long run at most
/// one call in ten is a retry (the ratio of gRFC A6's example).
pub const DEFAULT_TOKEN_RATIO: f64 = 0.1;

/// What [`Builder::on_retry`](crate::Builder::on_retry) is told before each wait.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RetryEvent {
    /// The attempt that failed; the first is 1.
    pub attempt: u32,
    /// How long the client waits before the next.
    pub delay: Duration,
    /// Why the attempt failed.
    pub error: Error,
}

/// What an answer says about trying again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Hint {
    /// The server forbids it.
    Never,
    /// The server asks to wait this long first.
    After(Duration),
    /// The server says nothing.
    Silent,
}

impl Hint {
    /// The push-back if there is one, else `google.rpc.RetryInfo`.
    pub(crate) fn of(status: &Status) -> Self {
        let mut pushbacks = status.metadata().get_all(PUSHBACK).into_iter();
        if let Some(pushback) = pushbacks.next() {
            let millis = pushback.to_str().ok().and_then(|text| text.parse().ok());
            return match (millis, pushbacks.next()) {
                (Some(millis), None) => Self::After(Duration::from_millis(millis)),
                // Negative, not a number, or several.
                _ => Self::Never,
            };
        }
        match status.get_details_retry_info().map(|info| info.retry_delay) {
            Some(Some(delay)) => Self::After(delay),
            _ => Self::Silent,
        }
    }
}

/// Whether an attempt that ended so may be followed by another.
pub(crate) fn is_retryable(code: Code, hint: Hint) -> bool {
    match (code, hint) {
        (_, Hint::Never) => false,
        (Code::Unavailable, _) | (Code::ResourceExhausted, Hint::After(_)) => true,
        _ => false,
    }
}

/// How a call backs off when the server names no delay.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    pub(crate) initial: Duration,
    pub(crate) max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            initial: DEFAULT_INITIAL_BACKOFF,
            max: DEFAULT_MAX_BACKOFF,
        }
    }
}

impl Backoff {
    /// Anything up to `initial · 2ⁿ` and `max`: evenly spread, so that clients
    /// that failed together do not come back together.
    pub(crate) fn delay(self, retry: u32) -> Duration {
        let factor = 2_u32.saturating_pow(retry);
        let ceiling = self.initial.saturating_mul(factor).min(self.max);
        ceiling.mul_f64(fastrand::f64())
    }
}

/// The retry budget: gRFC A6's token bucket. It knows no clock, so a client
/// that has seen an outage probes with each new call's first attempt only,
/// until enough calls have succeeded.
pub(crate) struct Throttle {
    max: f64,
    ratio: f64,
    tokens: Mutex<f64>,
}

impl Throttle {
    pub(crate) fn new(max: u32, ratio: f64) -> Self {
        let max = f64::from(max);
        Self {
            max,
            ratio,
            tokens: Mutex::new(max),
        }
    }

    /// A call has succeeded.
    pub(crate) fn succeeded(&self) {
        self.add(self.ratio);
    }

    /// An attempt has failed in a way that counts. Whether a retry may follow.
    pub(crate) fn failed(&self) -> bool {
        self.add(-1.0) > self.max / 2.0
    }

    fn add(&self, amount: f64) -> f64 {
        let mut tokens = crate::lock(&self.tokens);
        *tokens = (*tokens + amount).clamp(0.0, self.max);
        *tokens
    }
}

impl fmt::Debug for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Throttle")
            .field("max", &self.max)
            .field("ratio", &self.ratio)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::metadata::MetadataMap;
    use tonic_types::ErrorDetails;

    fn pushed_back(values: &[&str]) -> Hint {
        let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(9)));
        let mut metadata = MetadataMap::new();
        for value in values {
            metadata.append(PUSHBACK, value.parse().unwrap());
        }
        Hint::of(&Status::with_error_details_and_metadata(
            Code::Unavailable,
            "",
            details,
            metadata,
        ))
    }

    #[test]
    fn a_pushback_goes_before_retry_info() {
        assert_eq!(pushed_back(&[]), Hint::After(Duration::from_secs(9)));
        assert_eq!(pushed_back(&["0"]), Hint::After(Duration::ZERO));
        let some = Hint::After(Duration::from_millis(1500));
        assert_eq!(pushed_back(&["1500"]), some);
    }

    #[test]
    fn a_pushback_that_is_no_delay_forbids_the_retry() {
        for values in [&["-1"][..], &["soon"], &[""], &["1.5"], &["1", "2"]] {
            assert_eq!(pushed_back(values), Hint::Never, "{values:?}");
        }
    }

    #[test]
    fn only_unavailable_is_retried_without_a_delay() {
        let after = Hint::After(Duration::ZERO);
        for code in (0..=16).map(Code::from_i32) {
            let unavailable = code == Code::Unavailable;
            let exhausted = code == Code::ResourceExhausted;
            assert_eq!(is_retryable(code, Hint::Silent), unavailable, "{code:?}");
            assert_eq!(is_retryable(code, after), unavailable || exhausted);
            assert!(!is_retryable(code, Hint::Never));
        }
    }

    #[test]
    fn back_off_stays_under_a_ceiling_that_doubles() {
        let backoff = Backoff {
            initial: Duration::from_millis(10),
            max: Duration::from_millis(100),
        };
        for (retry, ceiling) in [(0, 10), (1, 20), (3, 80), (4, 100), (99, 100)] {
            for _ in 0..100 {
                assert!(backoff.delay(retry) <= Duration::from_millis(ceiling));
            }
        }
    }

    #[test]
    fn the_budget_ends_at_half_and_successes_refill_it() {
        let throttle = Throttle::new(4, 0.5);
        assert!(throttle.failed());
        assert!(!throttle.failed());
        throttle.succeeded();
        throttle.succeeded();
        throttle.succeeded();
        throttle.succeeded();
        assert!(throttle.failed());
        assert!(!throttle.failed());
    }
}
