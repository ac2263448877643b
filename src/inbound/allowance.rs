//! Holds each caller to its own rate, before anything is decoded and before any
//! shared budget is spent.
//!
//! Sits inside the identity, and outside admission: a caller over its rate takes
//! no slot from the others.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::{Either, Ready, ready as done};
use hashlink::LruCache;
use http::{Extensions, Request, Response};
use tokio::time::Instant;
use tower::{Layer, Service};

use super::identity::{caller, rule};
use super::refuse;
use crate::caller::{Caller, Rate};
use crate::refusal::Refusal;

/// Callers whose recent calls are remembered, some 100 bytes each. Beyond that
/// the one that was looked at longest ago is forgotten, and has its full burst
/// again.
const MAX_REMEMBERED: usize = 10_000;

/// The rates of all callers, shared by all connections.
#[derive(Debug)]
pub(crate) struct Allowance {
    /// When each caller's past calls are paid off: the "theoretical arrival
    /// time" of GCRA.
    paid_off: Mutex<LruCache<Caller, Instant>>,
}

impl Allowance {
    pub(crate) fn new() -> Self {
        Self {
            paid_off: Mutex::new(LruCache::new(MAX_REMEMBERED)),
        }
    }

    /// Counts the call that `extensions` belong to, or refuses it.
    fn admit(&self, extensions: &Extensions) -> Result<(), Refusal> {
        let Some(rate) = rule(extensions)?.rate else {
            return Ok(());
        };
        let caller = caller(extensions);
        let spent = self.spend(&caller, &rate, Instant::now());
        spent.map_err(|wait| Refusal::CallerRate { caller, wait })
    }

    /// Counts a call of `caller` at `now`, or tells how long it must wait.
    fn spend(&self, caller: &Caller, rate: &Rate, now: Instant) -> Result<(), Duration> {
        let mut callers = self.paid_off.lock().unwrap_or_else(PoisonError::into_inner);
        let paid_off = callers.get(caller).copied().unwrap_or(now).max(now);
        // Nobody pays a new rate's price for what an older one allowed.
        let next = spend(
            rate,
            paid_off.min(now + rate.interval() * rate.burst()),
            now,
        )?;
        callers.insert(caller.clone(), next);
        forget_idle(&mut callers, now);
        Ok(())
    }
}

/// How many callers each call looks at for one that is idle: more than one, so
/// that they are forgotten sooner than others come.
const LOOKED_AT: usize = 2;

/// Forgets callers who have paid for all their calls: whether they are remembered
/// makes no difference any more. Those who have not go to the back, so that nobody
/// with a slow rate hides the idle behind it.
fn forget_idle(paid_off: &mut LruCache<Caller, Instant>, now: Instant) {
    for _ in 0..LOOKED_AT {
        match paid_off.remove_lru() {
            Some((caller, at)) if at > now => {
                paid_off.insert(caller, at);
            }
            _ => {}
        }
    }
}

/// GCRA: a call costs `rate.interval()`, and the caller may be that many ahead
/// of time as its burst allows. Gives the new time at which all is paid off.
fn spend(rate: &Rate, paid_off: Instant, now: Instant) -> Result<Instant, Duration> {
    let next = paid_off + rate.interval();
    let latest = now + rate.interval() * rate.burst();
    if next <= latest {
        Ok(next)
    } else {
        Err(next - latest)
    }
}

/// Refuses callers over their rate; see the module.
#[derive(Clone, Debug)]
pub(crate) struct AllowanceLayer(Arc<Allowance>);

impl AllowanceLayer {
    pub(crate) fn new(allowance: Arc<Allowance>) -> Self {
        Self(allowance)
    }
}

impl<S> Layer<S> for AllowanceLayer {
    type Service = AllowanceService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AllowanceService {
            inner,
            allowance: Arc::clone(&self.0),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct AllowanceService<S> {
    inner: S,
    allowance: Arc<Allowance>,
}

impl<S, B, R> Service<Request<B>> for AllowanceService<S>
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible>,
    R: Default,
{
    type Response = Response<R>;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response<R>, Infallible>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self.allowance.admit(request.extensions()) {
            Ok(()) => Either::Right(self.inner.call(request)),
            Err(refusal) => Either::Left(done(Ok(refuse(refusal)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(per_second: f64, burst: u32) -> Rate {
        Rate::new(per_second, burst).unwrap()
    }

    fn named(name: &str) -> Caller {
        Caller::named(name).unwrap()
    }

    /// How many of `calls` of one caller at once are let through, and the first
    /// wait told.
    fn let_through(
        allowance: &Allowance,
        rate: Rate,
        calls: u32,
        now: Instant,
    ) -> (u32, Option<Duration>) {
        let caller = named("a");
        let answers: Vec<_> = (0..calls)
            .map(|_| allowance.spend(&caller, &rate, now))
            .collect();
        let passed = answers.iter().filter(|answer| answer.is_ok()).count();
        (
            u32::try_from(passed).unwrap(),
            answers.into_iter().find_map(Result::err),
        )
    }

    #[test]
    fn after_a_burst_the_wait_told_is_the_time_until_the_next_call_passes() {
        let (allowance, rate, now) = (Allowance::new(), rate(4.0, 3), Instant::now());
        let wait = Duration::from_millis(250);
        assert_eq!(let_through(&allowance, rate, 10, now), (3, Some(wait)));
        let early = now + wait - Duration::from_millis(1);
        assert_eq!(let_through(&allowance, rate, 1, early).0, 0);
        assert_eq!(let_through(&allowance, rate, 10, now + wait).0, 1);
    }

    #[test]
    fn a_refused_call_costs_nothing() {
        let (allowance, rate, now) = (Allowance::new(), rate(1.0, 1), Instant::now());
        assert_eq!(let_through(&allowance, rate, 100, now).0, 1);
        let later = now + Duration::from_secs(1);
        assert_eq!(let_through(&allowance, rate, 1, later).0, 1);
    }

    #[test]
    fn an_idle_caller_does_not_save_up_more_than_its_burst() {
        let (allowance, rate, now) = (Allowance::new(), rate(1.0, 2), Instant::now());
        let_through(&allowance, rate, 2, now);
        let later = now + Duration::from_secs(3600);
        assert_eq!(let_through(&allowance, rate, 10, later).0, 2);
    }

    #[test]
    fn callers_do_not_spend_each_others_allowance_and_are_forgotten_when_they_are_many() {
        let (allowance, rate, now) = (Allowance::new(), rate(1.0, 1), Instant::now());
        for index in 0..2 * MAX_REMEMBERED {
            let caller = named(&format!("caller-{index}"));
            assert!(allowance.spend(&caller, &rate, now).is_ok());
        }
        assert_eq!(allowance.paid_off.lock().unwrap().len(), MAX_REMEMBERED);
    }

    #[test]
    fn a_new_rate_holds_at_once_and_asks_no_price_of_the_old_one() {
        let (allowance, now) = (Allowance::new(), Instant::now());
        let slow = rate(0.001, 1);
        assert_eq!(let_through(&allowance, slow, 2, now).0, 1);
        let wait = let_through(&allowance, rate(10.0, 1), 1, now).1.unwrap();
        assert_eq!(wait, Duration::from_millis(100));
    }

    #[test]
    fn idle_callers_are_forgotten_also_behind_one_who_pays_for_long() {
        let (allowance, now) = (Allowance::new(), Instant::now());
        let (slow, quick) = (rate(0.001, 1), rate(1.0, 5));
        allowance.spend(&named("slow"), &slow, now).unwrap();
        for name in ["a", "b", "c"] {
            allowance.spend(&named(name), &quick, now).unwrap();
        }
        let later = now + Duration::from_secs(1);
        for _ in 0..3 {
            allowance.spend(&named("d"), &quick, later).unwrap();
        }
        let remembered = allowance.paid_off.lock().unwrap();
        let mut names: Vec<_> = remembered
            .iter()
            .map(|(name, _)| name.to_string())
            .collect();
        names.sort();
        assert_eq!(names, ["d", "slow"]);
    }
}
