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
use http::{Request, Response};
use tokio::time::Instant;
use tower::{Layer, Service};

use super::identity::caller;
use super::refuse;
use crate::caller::{Caller, Callers, Rate};
use crate::refusal::Refusal;

/// Callers whose recent calls are remembered, some 100 bytes each. Beyond that
/// the one that has been idle longest is forgotten, and has its full burst again.
const MAX_REMEMBERED: usize = 10_000;

/// The rates of all callers, shared by all connections.
#[derive(Debug)]
pub(crate) struct Allowance {
    callers: Arc<Callers>,
    /// When each caller's past calls are paid off: the "theoretical arrival
    /// time" of GCRA.
    paid_off: Mutex<LruCache<Caller, Instant>>,
}

impl Allowance {
    pub(crate) fn new(callers: Arc<Callers>) -> Self {
        Self {
            callers,
            paid_off: Mutex::new(LruCache::new(MAX_REMEMBERED)),
        }
    }

    /// Counts a call of `caller` at `now`, or tells how long it must wait.
    fn spend(&self, caller: &Caller, now: Instant) -> Result<(), Duration> {
        let Some(rate) = self.callers.rule(caller).rate else {
            return Ok(());
        };
        let mut callers = self.paid_off.lock().unwrap_or_else(PoisonError::into_inner);
        let paid_off = callers.get(caller).copied().unwrap_or(now).max(now);
        let next = spend(&rate, paid_off, now)?;
        callers.insert(caller.clone(), next);
        forget_idle(&mut callers, now);
        Ok(())
    }
}

/// Forgets those who have been idle until all was paid off: whether they are
/// remembered makes no difference any more.
fn forget_idle(paid_off: &mut LruCache<Caller, Instant>, now: Instant) {
    while paid_off.iter().next().is_some_and(|(_, &at)| at <= now) {
        paid_off.remove_lru();
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
        let caller = caller(request.extensions());
        match self.allowance.spend(&caller, Instant::now()) {
            Ok(()) => Either::Right(self.inner.call(request)),
            Err(wait) => Either::Left(done(Ok(refuse(Refusal::CallerRate { caller, wait })))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::Rule;

    fn allowance(per_second: f64, burst: u32) -> Allowance {
        let rule = Rule {
            rate: Rate::new(per_second, burst),
            ..Rule::default()
        };
        Allowance::new(Arc::new(Callers::new(rule, [])))
    }

    fn named(name: &str) -> Caller {
        Caller::named(name).unwrap()
    }

    /// How many of `calls` at once are let through, and the first wait told.
    fn let_through(
        allowance: &Allowance,
        caller: &Caller,
        calls: u32,
        now: Instant,
    ) -> (u32, Option<Duration>) {
        let answers: Vec<_> = (0..calls).map(|_| allowance.spend(caller, now)).collect();
        let passed = answers.iter().filter(|answer| answer.is_ok()).count();
        (
            u32::try_from(passed).unwrap(),
            answers.into_iter().find_map(Result::err),
        )
    }

    #[test]
    fn after_a_burst_the_wait_told_is_the_time_until_the_next_call_passes() {
        let (allowance, caller, now) = (allowance(4.0, 3), named("a"), Instant::now());
        let wait = Duration::from_millis(250);
        assert_eq!(let_through(&allowance, &caller, 10, now), (3, Some(wait)));
        let early = now + wait - Duration::from_millis(1);
        assert_eq!(let_through(&allowance, &caller, 1, early).0, 0);
        assert_eq!(let_through(&allowance, &caller, 10, now + wait).0, 1);
    }

    #[test]
    fn a_refused_call_costs_nothing() {
        let (allowance, caller, now) = (allowance(1.0, 1), named("a"), Instant::now());
        assert_eq!(let_through(&allowance, &caller, 100, now).0, 1);
        assert_eq!(
            let_through(&allowance, &caller, 1, now + Duration::from_secs(1)).0,
            1
        );
    }

    #[test]
    fn an_idle_caller_does_not_save_up_more_than_its_burst() {
        let (allowance, caller, now) = (allowance(1.0, 2), named("a"), Instant::now());
        let_through(&allowance, &caller, 2, now);
        assert_eq!(
            let_through(&allowance, &caller, 10, now + Duration::from_secs(3600)).0,
            2
        );
    }

    #[test]
    fn callers_do_not_spend_each_others_allowance_and_are_forgotten_when_they_are_many() {
        let (allowance, now) = (allowance(1.0, 1), Instant::now());
        for index in 0..2 * MAX_REMEMBERED {
            assert!(
                allowance
                    .spend(&named(&format!("caller-{index}")), now)
                    .is_ok()
            );
        }
        assert_eq!(allowance.paid_off.lock().unwrap().len(), MAX_REMEMBERED);
    }

    #[test]
    fn an_idle_caller_is_forgotten() {
        let (allowance, now) = (allowance(1.0, 5), Instant::now());
        for name in ["a", "b"] {
            allowance.spend(&named(name), now).unwrap();
        }
        let later = now + Duration::from_secs(1);
        allowance.spend(&named("c"), later).unwrap();
        assert_eq!(allowance.paid_off.lock().unwrap().len(), 1);
    }

    #[test]
    fn without_a_rate_every_call_passes() {
        let allowance = Allowance::new(Arc::new(Callers::new(Rule::default(), [])));
        assert_eq!(
            let_through(&allowance, &Caller::Anonymous, 1000, Instant::now()).0,
            1000
        );
    }
}
