//! The sliding logs of a region: when the next create may go.

use std::time::Duration;

use tokio::time::Instant;

use super::limits::{Bounds, GUARD, Share};
use super::pace::Pace;
use super::window::Window;

/// The windows of a region: an admission needs a slot in each.
///
/// ```
/// use face_liveness_gateway::quota::{Limits, Windows};
/// use std::num::NonZeroU32;
/// use tokio::time::Instant;
///
/// let limits = Limits { creates_per_second: NonZeroU32::new(1), ..Limits::default() };
/// let mut windows = Windows::new(limits);
/// let now = Instant::now();
/// assert_eq!(windows.next_slot(now), now);
/// windows.take(now);
/// assert!(windows.next_slot(now) > now);
/// ```
#[derive(Clone, Debug)]
pub struct Windows {
    /// Of the bounds that are on, or one that bounds nothing.
    windows: Vec<Window>,
    /// When the last admission was, or was due if it came a little late; `None`
    /// lets the next turn be at once.
    last: Option<Instant>,
}

impl Windows {
    /// Windows in which nothing has been taken.
    #[must_use]
    pub fn new(bounds: impl Into<Bounds>) -> Self {
        let Bounds { creates, sessions } = bounds.into();
        let bounds = [creates, sessions].into_iter().flatten();
        let mut windows: Vec<_> = bounds.map(Window::new).collect();
        if windows.is_empty() {
            windows.push(Window::unbounded());
        }
        Self {
            windows,
            last: None,
        }
    }

    /// Goes by `bounds` from now on. What has been taken stays counted; what is not
    /// remembered any more, and could matter to a longer span, counts as taken as
    /// late as it can have been.
    pub fn rebound(&mut self, bounds: impl Into<Bounds>) {
        // All logs have the same admissions; this one's reach back farthest.
        let farthest = self.windows.iter().min_by_key(|window| window.forgotten());
        let mut windows = Self::new(bounds).windows;
        if let Some(farthest) = farthest {
            let followed = windows.into_iter().map(|window| window.following(farthest));
            windows = followed.collect();
        }
        self.windows = windows;
    }

    /// Each log has only what its own span before `now` holds.
    pub fn forget_before_spans(&mut self, now: Instant) {
        for window in &mut self.windows {
            let begin = now.checked_sub(window.bound().span);
            window.forget_before(begin.unwrap_or(now));
        }
    }

    /// Nothing is known of what came before `at`.
    pub fn forget_before(&mut self, at: Instant) {
        for window in &mut self.windows {
            window.forget_before(at);
        }
    }

    /// Whether nothing is bounded.
    #[must_use]
    pub fn are_unbounded(&self) -> bool {
        self.windows.iter().all(Window::is_unbounded)
    }

    /// Windows with a log each of what has been taken, in any order: first that of
    /// the creates, then that of the sessions; what is not bounded has none.
    #[must_use]
    pub fn from_logs<L>(bounds: impl Into<Bounds>, logs: impl IntoIterator<Item = L>) -> Self
    where
        L: IntoIterator<Item = Instant>,
    {
        let mut all = Self::new(bounds);
        for (window, log) in all.windows.iter_mut().zip(logs) {
            for at in log {
                window.take(at);
                all.last = all.last.max(Some(at));
            }
        }
        all
    }

    /// The latest admissions, the oldest first: as many as bound the next one.
    pub fn taken(&self) -> impl Iterator<Item = Instant> {
        let logs = self.windows.iter().map(Window::taken);
        logs.max_by_key(ExactSizeIterator::len)
            .into_iter()
            .flatten()
    }

    /// Assumes that every slot has been taken at `now` or later: for a replica that
    /// does not know what others did.
    pub fn fill(&mut self, now: Instant) {
        self.fill_if(now, |_| true);
    }

    /// Assumes so of the windows that have no places for bursts.
    pub fn fill_short(&mut self, now: Instant) {
        self.fill_if(now, |window| !window.bound().has_bursts());
    }

    fn fill_if(&mut self, now: Instant, filled: impl Fn(&Window) -> bool) {
        for window in self.windows.iter_mut().filter(|window| filled(window)) {
            window.fill(now);
            self.last = self.last.max(Some(now));
        }
    }

    /// A replica's own part of windows of which it has lost sight. Replicas whose
    /// shares add up to 1 together never exceed the windows' bounds, unless the
    /// share of one is less than a place.
    #[must_use]
    pub fn part(&self, share: Share) -> Self {
        Self {
            windows: self.windows.iter().map(|all| all.part(share)).collect(),
            last: self.last,
        }
    }

    /// How many places the largest window has.
    #[must_use]
    pub fn places(&self) -> usize {
        let places = self.windows.iter().map(Window::limit);
        places.max().unwrap_or_default()
    }

    /// How far apart admissions are that use all slots.
    #[must_use]
    pub fn interval(&self) -> Duration {
        let bounds = self.windows.iter().map(Window::bound);
        let intervals = bounds.map(|bound| bound.span / bound.limit.get());
        intervals.max().unwrap_or_default()
    }

    /// When the next admission may be: at the pace's start or later.
    #[must_use]
    pub fn next_slot(&self, pace: impl Into<Pace>) -> Instant {
        let pace = pace.into();
        let slots = self.windows.iter().map(|window| window.next_slot(pace));
        slots.max().unwrap_or_else(|| pace.start())
    }

    /// When the next admission of several that wait shall be: a slot, and not
    /// sooner than spreads the slots over the span.
    ///
    /// Were they taken as soon as they are there, those who wait would use them
    /// up at the beginning of each span, and a caller that comes after would
    /// wait for its end, however fair the turns. As many are admitted in a span
    /// either way.
    #[must_use]
    pub fn next_turn(&self, pace: impl Into<Pace>) -> Instant {
        let pace = pace.into();
        let slot = self.next_slot(pace);
        let Some(last) = self.last else {
            return slot;
        };
        let turns = self
            .windows
            .iter()
            .map(|window| window.next_turn(last, pace));
        turns.fold(slot, Instant::max)
    }

    /// When the admission after `ahead` others may be, if each of them takes the
    /// earliest slot it can. Exact; takes time in proportion to `ahead`.
    #[must_use]
    pub fn slot_after(&self, pace: impl Into<Pace>, ahead: usize) -> Instant {
        self.after(ahead, pace.into(), Self::next_slot)
    }

    /// When the admission after `ahead` others shall be, if each of them has its
    /// [`next_turn`](Self::next_turn). Exact; takes time in proportion to
    /// `ahead`.
    #[must_use]
    pub fn turn_after(&self, pace: impl Into<Pace>, ahead: usize) -> Instant {
        self.after(ahead, pace.into(), Self::next_turn)
    }

    fn after(&self, ahead: usize, pace: Pace, next: impl Fn(&Self, Pace) -> Instant) -> Instant {
        if self.are_unbounded() {
            return pace.start();
        }
        let mut future = self.clone();
        for _ in 0..ahead {
            future.take(next(&future, pace));
        }
        next(&future, pace)
    }

    /// Takes the turn that was due at `turn`, `now`. What timers are late by
    /// does not delay the turns to come.
    pub fn take_turn(&mut self, turn: Instant, now: Instant) {
        self.take(now);
        if now <= turn + GUARD {
            self.last = Some(turn);
        }
    }

    /// Takes a slot at `at`.
    pub fn take(&mut self, at: Instant) {
        self.last = self.last.max(Some(at));
        for window in &mut self.windows {
            window.take(at);
        }
    }

    /// Counts an admission at `at` as one at `later`: it reached AWS only then.
    /// Too late for a window in which its slot has been taken again.
    pub fn delay(&mut self, at: Instant, later: Instant) {
        for window in &mut self.windows {
            if window.give_back(at) {
                window.take(later);
            }
        }
    }

    /// Gives back a slot that was taken at `at` and not used.
    pub fn give_back(&mut self, at: Instant) {
        self.last = None;
        for window in &mut self.windows {
            window.give_back(at);
        }
    }
}

#[cfg(test)]
mod tests;
