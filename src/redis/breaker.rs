//! Spares callers the wait for a server that does not answer.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long nothing is asked after a failure: short, because what is not asked is
/// not shared, and long next to the time that a command has.
const PAUSE: Duration = Duration::from_millis(500);

/// A circuit breaker: after a failure nobody passes for a while, then one at a
/// time until one succeeds.
#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum State {
    /// All pass.
    #[default]
    Closed,
    /// Nobody passes until then.
    Open(Instant),
    /// One has passed, to see.
    Probing,
}

/// The permission to ask once. Dropped without a report it says nothing: the next
/// may try.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    breaker: &'a Breaker,
    probes: bool,
}

impl Breaker {
    /// Lets the caller pass, or not.
    pub(super) fn pass(&self) -> Option<Pass<'_>> {
        let mut state = self.lock();
        let probes = match *state {
            State::Closed => false,
            State::Open(until) if until <= Instant::now() => true,
            State::Open(_) | State::Probing => return None,
        };
        if probes {
            *state = State::Probing;
        }
        Some(Pass {
            breaker: self,
            probes,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// There was an answer.
    pub(super) fn succeeded(mut self) {
        self.probes = false;
        *self.breaker.lock() = State::Closed;
    }

    /// There was none.
    pub(super) fn failed(mut self) {
        self.probes = false;
        *self.breaker.lock() = State::Open(Instant::now() + PAUSE);
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.probes {
            *self.breaker.lock() = State::Open(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    /// A breaker that has just met a failure.
    fn opened() -> Breaker {
        let breaker = Breaker::default();
        breaker.pass().unwrap().failed();
        breaker
    }

    #[tokio::test(start_paused = true)]
    async fn all_pass_until_one_fails_and_then_nobody_for_a_while() {
        let breaker = Breaker::default();
        let (one, other) = (breaker.pass().unwrap(), breaker.pass().unwrap());
        one.succeeded();
        other.failed();
        assert!(breaker.pass().is_none());
        advance(PAUSE).await;
        assert!(breaker.pass().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn one_at_a_time_tries_until_one_succeeds() {
        let breaker = opened();
        advance(PAUSE).await;
        let probe = breaker.pass().unwrap();
        assert!(breaker.pass().is_none());
        probe.failed();
        assert!(breaker.pass().is_none());
        advance(PAUSE).await;
        breaker.pass().unwrap().succeeded();
        let all = [breaker.pass(), breaker.pass()];
        assert!(all.iter().all(Option::is_some));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_gives_up_leaves_the_try_to_the_next() {
        let breaker = opened();
        advance(PAUSE).await;
        drop(breaker.pass().unwrap());
        assert!(breaker.pass().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_gives_up_without_need_stops_nobody() {
        let breaker = Breaker::default();
        drop(breaker.pass().unwrap());
        assert!(breaker.pass().is_some());
    }
}
