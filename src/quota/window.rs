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

/// Admits at most `limit` in any half-open `span`.
#[derive(Clone, Debug)]
pub struct Window {
    limit: usize,
    span: Duration,
    /// The last `limit` admissions, the oldest first.
    taken: VecDeque<Instant>,
}

impl Window {
    /// A window in which nothing has been taken.
    #[must_use]
    pub fn new(bound: Bound) -> Self {
        Self {
            limit: usize::try_from(bound.limit.get()).unwrap_or(usize::MAX),
            span: bound.span,
            taken: VecDeque::new(),
        }
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
            self.taken.pop_front();
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
        Self {
            windows: bounds.map(Window::new).collect(),
            last: None,
        }
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
            window.taken = std::iter::repeat_n(now, window.limit).collect();
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
        if self.windows.is_empty() {
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
mod tests {
    use super::*;
    use crate::quota::limits::{Flow, GUARD, Limits};
    use std::num::NonZeroU32;

    const SECOND: Duration = Duration::from_secs(1);

    fn limits(creates: u32, sessions: u32) -> Limits {
        Limits {
            creates_per_second: NonZeroU32::new(creates),
            sessions_in_flow: NonZeroU32::new(sessions).map(|sessions| Flow {
                sessions,
                session_length: SECOND * 10,
            }),
        }
    }

    /// A generator of arrivals that is the same in every run.
    struct Arrivals(u64);

    impl Arrivals {
        fn gap(&mut self) -> Duration {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            // Mostly storms, at times a lull.
            let random = self.0 >> 33;
            match random % 20 {
                0 => Duration::from_millis(random % 3_000),
                _ => Duration::from_micros(random % 30_000),
            }
        }
    }

    fn most_in_any(span: Duration, taken: &[Instant]) -> usize {
        let counts = taken.iter().enumerate().map(|(first, &at)| {
            let end = taken.partition_point(|&other| other < at + span);
            end - first
        });
        counts.max().unwrap_or(0)
    }

    #[test]
    fn no_span_ever_holds_more_than_the_limit() {
        for seed in 0..20 {
            let mut arrivals = Arrivals(seed);
            let mut windows = Windows::new(limits(25, 75));
            let mut now = Instant::now();
            let mut taken = Vec::new();
            for _ in 0..3_000 {
                now += arrivals.gap();
                if windows.next_slot(now) <= now {
                    windows.take(now);
                    taken.push(now);
                }
            }
            assert_eq!(most_in_any(SECOND + GUARD, &taken), 25, "seed {seed}");
            assert_eq!(most_in_any(SECOND * 10 + GUARD, &taken), 75, "seed {seed}");
        }
    }

    #[test]
    fn the_first_second_lets_no_second_burst_through() {
        let start = Instant::now();
        let mut windows = Windows::new(limits(25, 0));
        let mut taken = 0;
        for millisecond in 0..1_000 {
            let now = start + Duration::from_millis(millisecond);
            while windows.next_slot(now) <= now {
                windows.take(now);
                taken += 1;
            }
        }
        assert_eq!(taken, 25);
    }

    #[test]
    fn the_slot_after_others_is_the_one_that_they_leave() {
        let now = Instant::now();
        let mut windows = Windows::new(limits(2, 5));
        let foretold: Vec<_> = (0..8).map(|ahead| windows.slot_after(now, ahead)).collect();
        let taken: Vec<_> = (0..8)
            .map(|_| {
                let slot = windows.next_slot(now);
                windows.take(slot);
                slot
            })
            .collect();
        assert_eq!(foretold, taken);
        let second = SECOND + GUARD;
        let ten = SECOND * 10 + GUARD;
        let since: Vec<_> = taken.into_iter().map(|slot| slot - now).collect();
        let zero = Duration::ZERO;
        assert_eq!(
            since,
            [
                zero,
                zero,
                second,
                second,
                second * 2,
                ten,
                ten,
                ten + second
            ]
        );
    }

    #[test]
    fn turns_are_spread_over_the_span_and_as_many_as_the_slots() {
        let now = Instant::now();
        let mut windows = Windows::new(limits(0, 75));
        for _ in 0..25 {
            windows.take(now);
        }
        let turns: Vec<_> = (0..275)
            .map(|ahead| windows.turn_after(now, ahead))
            .collect();
        let ten = SECOND * 10 + GUARD;
        let by = |end| turns.partition_point(|&turn| turn < now + end);
        assert_eq!((by(ten), by(ten * 2), by(ten * 3)), (50, 125, 200));
        let gaps = turns.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(
            gaps.max().unwrap() < SECOND / 3,
            "somebody waits for a span's end"
        );
        assert!(most_in_any(ten, &turns) <= 75);
    }

    #[test]
    fn turns_after_a_hasty_burst_are_spread_too() {
        let now = Instant::now();
        let mut windows = Windows::new(limits(25, 0));
        for millisecond in 0..25 {
            windows.take(now + Duration::from_millis(millisecond));
        }
        let now = now + SECOND + GUARD;
        let gap = windows.turn_after(now, 1) - windows.turn_after(now, 0);
        assert_eq!(gap, (SECOND + GUARD) / 25);
    }

    #[test]
    fn late_turns_do_not_delay_the_next() {
        let now = Instant::now();
        let mut windows = Windows::new(limits(10, 0));
        windows.take(now);
        let turn = windows.next_turn(now);
        windows.take_turn(turn, turn + GUARD);
        let next = windows.next_turn(turn + GUARD);
        assert_eq!(next - turn, turn - now);
    }

    #[test]
    fn history_counts_in_any_order_and_full_windows_have_no_slot() {
        let now = Instant::now();
        let history = [now, now - SECOND / 2];
        let windows = Windows::from_history(limits(2, 0), history);
        assert_eq!(windows.next_slot(now), now + SECOND / 2 + GUARD);
        let mut windows = Windows::new(limits(2, 5));
        windows.fill(now);
        assert_eq!(windows.next_slot(now), now + SECOND * 10 + GUARD);
    }

    #[test]
    fn a_slot_given_back_is_there_again() {
        let now = Instant::now();
        let mut windows = Windows::new(limits(1, 0));
        windows.take(now);
        windows.give_back(now);
        assert_eq!(windows.next_slot(now), now);
    }

    #[test]
    fn a_delayed_admission_frees_its_slot_as_much_later() {
        let now = Instant::now();
        let mut windows = Windows::new(limits(2, 0));
        windows.take(now);
        windows.take(now + SECOND / 10);
        windows.delay(now, now + SECOND / 2);
        let slots = [0, 1].map(|ahead| windows.slot_after(now, ahead) - now);
        assert_eq!(
            slots,
            [SECOND * 11 / 10, SECOND * 3 / 2].map(|slot| slot + GUARD)
        );
    }

    #[test]
    fn a_delay_that_is_known_too_late_changes_nothing() {
        let now = Instant::now();
        let mut windows = Windows::new(limits(1, 0));
        windows.take(now);
        let next = now + SECOND + GUARD;
        windows.take(next);
        windows.delay(now, next);
        assert_eq!(windows.next_slot(next), next + SECOND + GUARD);
    }

    #[test]
    fn limits_that_are_off_hold_nobody_up() {
        let now = Instant::now();
        let mut windows = Windows::new(Limits::default());
        windows.take(now);
        assert_eq!(windows.slot_after(now, 1_000), now);
    }
}
