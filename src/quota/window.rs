//! Exact sliding logs. A leaky bucket that holds `n` lets up to `2n` through in
//! its first span; a log of the last `n` admissions never does.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::limits::{Bound, Bounds, GUARD};
use super::pace::Pace;

/// In spans up to this, calls are spread from the first: those of a burst reach
/// AWS by ways of different length, and would meet the next span's.
const SHORT_SPAN: Duration = Duration::from_secs(2);

/// How many admissions are remembered while nothing bounds them, for a bound that
/// comes later.
const REMEMBERED: usize = 1024;

/// Admits at most `limit` in any half-open `span`.
#[derive(Clone, Debug)]
pub struct Window {
    limit: usize,
    span: Duration,
    /// The last `limit` admissions, the oldest first.
    taken: VecDeque<Instant>,
    /// The latest admission that the log has lost; it has all that came after.
    forgotten: Option<Instant>,
}

impl Window {
    /// A window in which nothing has been taken.
    #[must_use]
    pub fn new(bound: Bound) -> Self {
        Self {
            limit: usize::try_from(bound.limit.get()).unwrap_or(usize::MAX),
            span: bound.span,
            taken: VecDeque::new(),
            forgotten: None,
        }
    }

    /// A log that bounds nothing: a place is free again at once.
    fn unbounded() -> Self {
        Self {
            limit: REMEMBERED,
            span: Duration::ZERO,
            taken: VecDeque::new(),
            forgotten: None,
        }
    }

    /// Goes on from another's log. As many as could be may have been taken when that
    /// log forgot for the last time.
    fn following(mut self, earlier: &Self) -> Self {
        if let Some(forgotten) = earlier.forgotten {
            self.fill(forgotten);
        }
        for &at in &earlier.taken {
            self.take(at);
        }
        self
    }

    /// Counts every place as taken at `at`.
    fn fill(&mut self, at: Instant) {
        self.taken = std::iter::repeat_n(at, self.limit).collect();
        self.forgotten = Some(at);
    }

    fn next_slot(&self, pace: Pace) -> Instant {
        match self.taken.front() {
            Some(&oldest) if self.taken.len() >= self.limit => pace.end_of(oldest, self.span),
            _ => pace.start(),
        }
    }

    /// Where an admission after `last` would leave the free slots spread evenly
    /// until the next one comes free, and no two closer than the limit's rate. A
    /// long span keeps half its places for bursts.
    fn next_turn(&self, last: Instant, pace: Pace) -> Instant {
        let by_rate = (pace.end_of(last, self.span) - last).div_f64(self.limit as f64);
        let ended = self.taken.partition_point(|&at| at + self.span <= last);
        let free = self.limit.saturating_sub(self.taken.len() - ended);
        if self.span > SHORT_SPAN && free * 2 > self.limit {
            // Room for a burst.
            return last;
        }
        let until_free = self.taken.get(ended).map_or(Duration::ZERO, |&oldest| {
            pace.end_of(oldest, self.span) - last
        });
        last + by_rate.max(until_free.div_f64(free as f64 + 1.0))
    }

    /// Keeps the log in order though `at` may be late: replicas' clocks differ.
    fn take(&mut self, at: Instant) {
        let place = self.taken.partition_point(|&taken| taken <= at);
        self.taken.insert(place, at);
        if self.taken.len() > self.limit {
            self.forgotten = self.forgotten.max(self.taken.pop_front());
        }
    }

    /// What the log has lost to make room for `at` was over by then, so that
    /// the log without `at` is whole again.
    fn give_back(&mut self, at: Instant) -> bool {
        let place = self.taken.binary_search(&at);
        if let Ok(place) = place {
            self.taken.remove(place);
        }
        place.is_ok()
    }
}

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
        let farthest = self.windows.iter().min_by_key(|window| window.forgotten);
        let mut windows = Self::new(bounds).windows;
        if let Some(farthest) = farthest {
            let followed = windows.into_iter().map(|window| window.following(farthest));
            windows = followed.collect();
        }
        self.windows = windows;
    }

    /// Whether nothing is bounded.
    #[must_use]
    pub fn are_unbounded(&self) -> bool {
        self.windows.iter().all(|window| window.span.is_zero())
    }

    /// Windows in which `history` has been taken, in any order.
    #[must_use]
    pub fn from_history(
        bounds: impl Into<Bounds>,
        history: impl IntoIterator<Item = Instant>,
    ) -> Self {
        let mut windows = Self::new(bounds);
        for at in history {
            windows.take(at);
        }
        windows
    }

    /// Assumes that every slot has been taken just now: for a replica that does
    /// not know what others did.
    pub fn fill(&mut self, now: Instant) {
        self.last = Some(now);
        for window in &mut self.windows {
            window.fill(now);
        }
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
