//! Tries again what may do better a moment later, always with the same upstream
//! token, so that AWS answers an attempt whose answer was lost with the session
//! that it made.
//!
//! Sits inside the ledger, which has every repeat of a call share the attempts,
//! and outside the quota, so that each attempt takes a permit.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};
use tower::retry::RetryLayer;
use tower::retry::budget::{Budget as _, TpsBudget};

use super::{Cause, Error, Request};
use crate::region::Region;
use crate::session::Session;
use crate::telemetry::call;
use crate::telemetry::metrics;

/// Attempts of one call, the first among them. Their pauses add up to at most
/// three quarters of a second: enough to outlast a broken connection or a
/// restart behind AWS's load balancer. What lasts longer is for the caller,
/// whose own retry finds the same session.
const MAX_ATTEMPTS: u32 = 5;

/// The longest pause before the second attempt; it doubles from there. A call
/// takes AWS about as long.
const FIRST_BACKOFF: Duration = Duration::from_millis(50);

/// The longest pause that the gateway chooses by itself.
const MAX_BACKOFF: Duration = Duration::from_secs(1);

/// Retries a success pays for: when everything fails, AWS sees a fifth more
/// calls and not five times as many.
const BUDGET_SHARE: f32 = 0.2;

/// Retries a second that are free, so that a quiet gateway retries at all: a
/// fifth of AWS's default quota of 25 a second.
const BUDGET_FLOOR: u32 = 5;

/// How long a success counts: long enough to smooth bursts, short enough that
/// an outage does not live on the traffic before it.
const BUDGET_WINDOW: Duration = Duration::from_secs(10);

/// Retries calls to these regions. All services that the layer and its clones
/// make share one budget a region, so that a region in trouble does not use up
/// the retries of another.
#[must_use]
pub(crate) fn layer(
    regions: impl IntoIterator<Item = Region>,
    metrics: metrics::Upstream,
) -> RetryLayer<Policy> {
    let budget = || TpsBudget::new(BUDGET_WINDOW, BUDGET_FLOOR, BUDGET_SHARE);
    let budgets = regions.into_iter().map(|region| (region, budget()));
    RetryLayer::new(Policy {
        budgets: budgets.collect(),
        attempts: 0,
        last: None,
        metrics,
    })
}

/// Whether, and when, a call is tried again. A clone serves one call.
#[derive(Clone, Debug)]
pub struct Policy {
    budgets: Arc<[(Region, TpsBudget)]>,
    /// Attempts made.
    attempts: u32,
    /// What the attempt before failed with.
    last: Option<Error>,
    metrics: metrics::Upstream,
}

impl Policy {
    fn budget(&self, request: &Request) -> Option<&TpsBudget> {
        let mut budgets = self.budgets.iter();
        budgets.find_map(|(region, budget)| (*region == request.session.region).then_some(budget))
    }

    /// A call that got no permit to try again failed for what it wanted to try
    /// again after; that there is no permit says only how long to wait.
    fn keep_the_cause(&mut self, error: &mut Error) {
        if let Some(last) = self.last.take() {
            *error = Error {
                retry_after: error.retry_after,
                out_of_time: error.out_of_time,
                ..last
            };
        }
    }

    /// A call whose deadline passed while it was tried again tells what it was tried
    /// again after.
    fn keep_as_source(&mut self, error: &mut Error) {
        if let Some(last) = self.last.take() {
            error.source = Some(Arc::new(last));
        }
    }

    /// When to try again after `error`; never when that would be too late.
    fn retry_at(&self, request: &Request, error: &mut Error) -> Option<Instant> {
        if !error.cause.is_transient() || self.attempts >= MAX_ATTEMPTS {
            return None;
        }
        // The back-off comes on top of what AWS asked for: all who were told
        // the same pause must not come back at the same moment.
        let pause = error.retry_after.unwrap_or_default() + backoff(self.attempts);
        let at = Instant::now() + pause;
        error.out_of_time = at >= request.deadline;
        (!error.out_of_time && self.budget(request)?.withdraw()).then_some(at)
    }
}

impl tower::retry::Policy<Request, Session, Error> for Policy {
    type Future = Sleep;

    fn retry(
        &mut self,
        request: &mut Request,
        result: &mut Result<Session, Error>,
    ) -> Option<Sleep> {
        self.attempts += 1;
        match result {
            Ok(_) => {
                if let Some(budget) = self.budget(request) {
                    budget.deposit();
                }
                None
            }
            Err(error) if matches!(error.cause, Cause::AccountQuota | Cause::QueueFull) => {
                self.keep_the_cause(error);
                None
            }
            Err(error) if error.cause == Cause::Deadline => {
                self.keep_as_source(error);
                None
            }
            Err(error) => {
                let at = self.retry_at(request, error)?;
                call::retry(error.cause.kind(), at.duration_since(Instant::now()));
                self.metrics.retried(&request.session.region, &error.cause);
                tracing::debug!(cause = %error.cause, attempts = self.attempts, "trying again");
                self.last = Some(error.clone());
                Some(sleep_until(at))
            }
        }
    }

    fn clone_request(&mut self, request: &Request) -> Option<Request> {
        Some(request.clone())
    }
}

/// The pause after so many attempts: between half and all of a time that
/// doubles. (The back-offs of tower copy their random state into every call, so
/// that all calls would pause alike.)
fn backoff(attempts: u32) -> Duration {
    let doublings = attempts.saturating_sub(1);
    let most = FIRST_BACKOFF
        .saturating_mul(2_u32.saturating_pow(doublings))
        .min(MAX_BACKOFF);
    most.mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Token;
    use crate::upstream::testing::{request, session};
    use futures_util::future::join_all;
    use std::sync::Mutex;
    use tower::{Layer as _, ServiceExt as _};

    const LONG: Duration = Duration::from_secs(30);

    fn layer_for<const N: usize>(regions: [Region; N]) -> RetryLayer<Policy> {
        layer(regions, metrics::Upstream::default())
    }

    fn region() -> Region {
        Region::parse("us-east-1").unwrap()
    }

    /// When each attempt came, and with which token.
    type Attempts = Arc<Mutex<Vec<(Instant, Token)>>>;

    /// Calls an upstream that fails so many times before it makes a session.
    async fn call(
        layer: &RetryLayer<Policy>,
        failures: usize,
        error: Error,
        left: Duration,
    ) -> (Result<Session, Error>, Vec<(Instant, Token)>) {
        let attempts = Attempts::default();
        let seen = Arc::clone(&attempts);
        let upstream = tower::service_fn(move |request: Request| {
            let mut seen = seen.lock().unwrap();
            seen.push((Instant::now(), request.token));
            let fails = seen.len() <= failures;
            let answer = if fails {
                Err(error.clone())
            } else {
                Ok(session())
            };
            std::future::ready(answer)
        });
        let request = request(Instant::now() + left);
        let answer = layer.layer(upstream).oneshot(request).await;
        let attempts = attempts.lock().unwrap().clone();
        (answer, attempts)
    }

    fn error(cause: Cause) -> Error {
        Error::new(cause, None)
    }

    #[tokio::test(start_paused = true)]
    async fn a_passing_trouble_is_outlasted_with_the_same_token_each_time() {
        for cause in [Cause::Quota, Cause::Throttled, Cause::Unavailable] {
            let (answer, attempts) = call(&layer_for([region()]), 4, error(cause), LONG).await;
            assert!(answer.is_ok());
            assert_eq!(attempts.len(), 5);
            assert!(attempts.iter().all(|(_, token)| *token == attempts[0].1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_double_and_are_jittered() {
        let (_, attempts) = call(&layer_for([region()]), 4, error(Cause::Throttled), LONG).await;
        let pauses = attempts.windows(2).map(|pair| pair[1].0 - pair[0].0);
        for (pause, most) in pauses.zip([50, 100, 200, 400]) {
            // Tokio's timers round up to the next millisecond.
            let range = Duration::from_millis(most / 2)..=Duration::from_millis(most + 1);
            assert!(range.contains(&pause), "{pause:?} not in {range:?}");
        }
        assert!((0..9).any(|_| backoff(5) != backoff(5)));
        assert!(backoff(u32::MAX) <= MAX_BACKOFF);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_error_is_the_callers_when_the_attempts_are_used_up() {
        let (answer, attempts) =
            call(&layer_for([region()]), 9, error(Cause::Throttled), LONG).await;
        let error = answer.unwrap_err();
        assert_eq!((error.cause, error.out_of_time), (Cause::Throttled, false));
        assert_eq!(attempts.len(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn who_gets_no_permit_to_try_again_learns_what_failed_and_how_long_to_wait() {
        let mut failures = vec![
            Error {
                retry_after: Some(LONG),
                out_of_time: true,
                ..error(Cause::AccountQuota)
            },
            error(Cause::Unavailable),
        ];
        let upstream =
            tower::service_fn(move |_: Request| std::future::ready(Err(failures.pop().unwrap())));
        let request = request(Instant::now() + LONG);
        let answer: Result<Session, _> =
            layer_for([region()]).layer(upstream).oneshot(request).await;
        let error = answer.unwrap_err();
        assert_eq!(
            (error.cause, error.retry_after),
            (Cause::Unavailable, Some(LONG))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_passes_while_trying_again_tells_what_failed_before() {
        let mut failures = vec![error(Cause::Deadline), error(Cause::Throttled)];
        let upstream =
            tower::service_fn(move |_: Request| std::future::ready(Err(failures.pop().unwrap())));
        let request = request(Instant::now() + LONG);
        let answer: Result<Session, _> =
            layer_for([region()]).layer(upstream).oneshot(request).await;
        let error = answer.unwrap_err();
        assert_eq!(error.cause, Cause::Deadline);
        assert_eq!(error.before().unwrap().cause, Cause::Throttled);
    }

    #[tokio::test(start_paused = true)]
    async fn what_no_retry_changes_is_not_retried() {
        for cause in [
            Cause::InvalidParameter,
            Cause::AccessDenied,
            Cause::Credentials,
            Cause::Malformed,
            Cause::Rejected,
            Cause::Deadline,
        ] {
            let (answer, attempts) =
                call(&layer_for([region()]), 1, error(cause.clone()), LONG).await;
            assert_eq!((answer.unwrap_err().cause, attempts.len()), (cause, 1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_pause_that_aws_asks_for_is_kept() {
        let asked = Duration::from_secs(3);
        let error = Error {
            retry_after: Some(asked),
            ..error(Cause::Throttled)
        };
        let (answer, attempts) = call(&layer_for([region()]), 1, error, LONG).await;
        assert!(answer.is_ok());
        assert!(attempts[1].0 - attempts[0].0 >= asked);
    }

    #[tokio::test(start_paused = true)]
    async fn a_retry_that_would_come_too_late_is_not_waited_for() {
        let error = Error {
            retry_after: Some(LONG),
            ..error(Cause::Throttled)
        };
        let started = Instant::now();
        let (answer, attempts) = call(&layer_for([region()]), 1, error, LONG).await;
        let error = answer.unwrap_err();
        assert_eq!(
            (error.cause, error.retry_after),
            (Cause::Throttled, Some(LONG))
        );
        assert!(error.out_of_time);
        assert_eq!((attempts.len(), started.elapsed()), (1, Duration::ZERO));
    }

    /// The attempts of so many simultaneous calls that all fail.
    async fn attempts_of(layer: &RetryLayer<Policy>, calls: usize) -> usize {
        let calls = (0..calls).map(|_| call(layer, 9, error(Cause::Unavailable), LONG));
        let answers = join_all(calls).await;
        answers.iter().map(|(_, attempts)| attempts.len()).sum()
    }

    /// The retries that are free in one window.
    const FREE: usize = 50;

    #[tokio::test(start_paused = true)]
    async fn when_everything_fails_the_budget_bounds_the_retries() {
        let layer = layer_for([region()]);
        assert_eq!(attempts_of(&layer, 1000).await, 1000 + FREE);
        tokio::time::advance(BUDGET_WINDOW * 2).await;
        assert_eq!(attempts_of(&layer, 1000).await, 1000 + FREE);
    }

    #[tokio::test(start_paused = true)]
    async fn every_fifth_success_pays_for_a_retry() {
        let layer = layer_for([region()]);
        for _ in 0..200 {
            assert!(call(&layer, 0, error(Cause::Quota), LONG).await.0.is_ok());
        }
        assert_eq!(attempts_of(&layer, 1000).await, 1000 + FREE + 40);
    }

    #[tokio::test(start_paused = true)]
    async fn a_region_in_trouble_leaves_the_others_their_retries() {
        let (here, there) = (region(), Region::parse("eu-west-1").unwrap());
        let layer = layer_for([there, here]);
        attempts_of(&layer, 100).await;
        let mut elsewhere = request(Instant::now() + LONG);
        elsewhere.session.region = Region::parse("eu-west-1").unwrap();
        let attempts = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&attempts);
        let upstream = tower::service_fn(move |_: Request| {
            *counted.lock().unwrap() += 1;
            std::future::ready(Err::<Session, _>(error(Cause::Unavailable)))
        });
        assert!(layer.layer(upstream).oneshot(elsewhere).await.is_err());
        assert_eq!(*attempts.lock().unwrap(), 5);
    }
}
