//! An exact sliding log. A leaky bucket that holds `n` lets up to `2n` through in
//! its first span; a log of the last `n` admissions never does.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;

use super::limits::{Bound, Share};
use super::pace::Pace;

/// How many admissions are remembered while nothing bounds them, for a bound that
/// comes later.
const REMEMBERED: NonZeroU32 = NonZeroU32::MIN.saturating_add(1023);

/// Admits at most the bound's `limit` in any half-open `span` of it.
///
/// It is best thought of as `limit` places. An admission takes the place that
/// was taken longest ago, and a span must lie between two in one place.
#[derive(Clone, Debug)]
pub(super) struct Window {
    bound: Bound,
    /// The last `limit` admissions, the oldest first.
    taken: VecDeque<Instant>,
    /// The latest admission that the log has lost; it has all that came after.
    forgotten: Option<Instant>,
}

impl Window {
    /// A window in which nothing has been taken.
    pub(super) fn new(bound: Bound) -> Self {
        Self {
            bound,
            taken: VecDeque::new(),
            forgotten: None,
        }
    }

    /// A log that bounds nothing: a place is free again at once.
    pub(super) fn unbounded() -> Self {
        Self::new(Bound {
            limit: REMEMBERED,
            span: Duration::ZERO,
        })
    }

    /// Whether a place is free again at once.
    pub(super) fn is_unbounded(&self) -> bool {
        self.bound.span.is_zero()
    }

    /// Goes on from another's log. As many as could be may have been taken when that
    /// log forgot for the last time.
    pub(super) fn following(mut self, earlier: &Self) -> Self {
        if let Some(forgotten) = earlier.forgotten {
            self.fill(forgotten);
        }
        for at in earlier.taken() {
            self.take(at);
        }
        self
    }

    /// Nothing is known of what came before `at`.
    pub(super) fn forget_before(&mut self, at: Instant) {
        self.forgotten = self.forgotten.max(Some(at));
    }

    /// When it forgot for the last time.
    pub(super) fn forgotten(&self) -> Option<Instant> {
        self.forgotten
    }

    pub(super) fn bound(&self) -> Bound {
        self.bound
    }

    pub(super) fn limit(&self) -> usize {
        usize::try_from(self.bound.limit.get()).unwrap_or(usize::MAX)
    }

    /// The latest admissions, the oldest first.
    pub(super) fn taken(&self) -> impl ExactSizeIterator<Item = Instant> {
        self.taken.iter().copied()
    }

    /// The earliest at which there is a place.
    pub(super) fn next_slot(&self, pace: Pace) -> Instant {
        match self.taken.front() {
            Some(&oldest) if self.taken.len() >= self.limit() => {
                pace.end_of(oldest, self.bound.span)
            }
            _ => pace.start(),
        }
    }

    /// Where an admission after `last` would leave the free slots spread evenly
    /// until the next one comes free, and no two closer than the limit's rate. A
    /// window for bursts keeps half its places for them.
    pub(super) fn next_turn(&self, last: Instant, pace: Pace) -> Instant {
        let span = self.bound.span;
        let by_rate = (pace.end_of(last, span) - last).div_f64(self.limit() as f64);
        let ended = self.taken.partition_point(|&at| at + span <= last);
        let free = self.limit().saturating_sub(self.taken.len() - ended);
        if self.bound.has_bursts() && free * 2 > self.limit() {
            // Room for a burst.
            return last;
        }
        let until_free = self
            .taken
            .get(ended)
            .map_or(Duration::ZERO, |&oldest| pace.end_of(oldest, span) - last);
        last + by_rate.max(until_free.div_f64(free as f64 + 1.0))
    }

    /// Keeps the log in order though `at` may be late: replicas' clocks differ.
    pub(super) fn take(&mut self, at: Instant) {
        let place = self.taken.partition_point(|&taken| taken <= at);
        self.taken.insert(place, at);
        if self.taken.len() > self.limit() {
            self.forgotten = self.forgotten.max(self.taken.pop_front());
        }
    }

    /// What the log has lost to make room for `at` was over by then, so that
    /// the log without `at` is whole again.
    pub(super) fn give_back(&mut self, at: Instant) -> bool {
        let place = self.taken.binary_search(&at);
        if let Ok(place) = place {
            self.taken.remove(place);
        }
        place.is_ok()
    }

    /// Counts every place as taken at `at` at the earliest.
    pub(super) fn fill(&mut self, at: Instant) {
        for taken in &mut self.taken {
            *taken = at.max(*taken);
        }
        while self.taken.len() < self.limit() {
            self.taken.push_front(at);
        }
        self.forget_before(at);
    }

    /// A replica's own places: each comes free with the place of all that makes
    /// its share of those that are free one more. Replicas whose shares add up to
    /// 1 have thus never more free places than there are, whatever each does with
    /// its own.
    ///
    /// Who has less than one place has one in a longer span. It comes free last,
    /// and may meet others' in one span: only the rate is the share's.
    pub(super) fn part(&self, share: Share) -> Self {
        let limit = self.bound.limit.get();
        let known = u32::try_from(self.taken.len()).unwrap_or(u32::MAX);
        let counted = (limit.saturating_sub(known)..).zip(self.taken());
        let own = counted
            .filter(|&(before, _)| share.of(before + 1) > share.of(before))
            .map(|(_, at)| at);
        let taken = if share.of(limit) == 0 {
            self.taken.back().copied().into_iter().collect()
        } else {
            own.collect()
        };
        Self {
            bound: self.bound.part(share),
            taken,
            forgotten: self.forgotten,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn window(limit: u32) -> Window {
        Window::new(Bound {
            limit: NonZeroU32::new(limit).unwrap(),
            span: SECOND,
        })
    }

    #[test]
    fn own_places_come_free_with_every_third_of_all() {
        let start = Instant::now();
        let mut all = window(7);
        for place in 0..5 {
            all.take(start + SECOND / 10 * place);
        }
        // Two places were never taken, and are free already.
        let own = all.part(Share::new(1.0 / 3.0));
        assert_eq!(own.limit(), 2);
        let taken: Vec<_> = own.taken().map(|at| at - start).collect();
        assert_eq!(taken, [Duration::ZERO, SECOND / 10 * 3]);
    }

    #[test]
    fn a_share_of_less_than_one_place_comes_free_last_in_a_longer_span() {
        let start = Instant::now();
        let mut all = window(2);
        all.take(start);
        all.take(start + SECOND / 2);
        let own = all.part(Share::new(0.25));
        assert_eq!(own.next_slot(start.into()), start + SECOND * 5 / 2);
    }

    #[test]
    fn a_full_window_is_as_full_as_it_was_or_just_taken() {
        let start = Instant::now();
        let mut all = window(3);
        all.take(start);
        all.take(start + SECOND / 2);
        all.fill(start + SECOND / 4);
        let taken: Vec<_> = all.taken().map(|at| at - start).collect();
        assert_eq!(taken, [SECOND / 4, SECOND / 4, SECOND / 2]);
    }
}
