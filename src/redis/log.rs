//! The admissions of one window, and what a replica may take for its own of a
//! log that it no longer shares. Pure: instants come in, instants go out.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;

/// Spans up to this are let pass when a replica loses sight of the others, and
/// their slots are kept apart.
pub(super) const SHORT_SPAN: Duration = Duration::from_secs(2);

/// At most `limit` admissions in any `span`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Window {
    /// How many.
    pub limit: NonZeroU32,
    /// In how long; already stretched by what the way to AWS may vary.
    pub span: Duration,
}

/// The latest admissions of a window, at most `limit` of them.
///
/// It is best thought of as `limit` places. An admission takes the place that
/// was taken longest ago, and a span must lie between two in one place.
#[derive(Clone, Debug)]
pub(super) struct Log {
    limit: usize,
    span: Duration,
    taken: VecDeque<Instant>,
}

impl Log {
    pub(super) fn new(window: Window, taken: impl IntoIterator<Item = Instant>) -> Self {
        let limit = usize::try_from(window.limit.get()).unwrap_or(usize::MAX);
        let mut log = Self {
            limit,
            span: window.span,
            taken: VecDeque::new(),
        };
        taken.into_iter().for_each(|at| log.take(at));
        log
    }

    /// A log of which nothing is known but that all places may just have been
    /// taken.
    pub(super) fn taken(window: Window, at: Instant) -> Self {
        let limit = usize::try_from(window.limit.get()).unwrap_or(usize::MAX);
        Self::new(window, std::iter::repeat_n(at, limit))
    }

    /// The same admissions in a log of the shape of `other`. Places of which nothing
    /// is known count as taken at `unknown`.
    pub(super) fn shaped(&self, other: &Self, unknown: Option<Instant>) -> Self {
        let missing = other.limit.saturating_sub(self.taken.len());
        let mut shaped = Self {
            limit: other.limit,
            span: other.span,
            taken: VecDeque::new(),
        };
        let unknown = unknown.into_iter();
        let unknown = unknown.flat_map(|at| std::iter::repeat_n(at, missing));
        let known = self.taken.iter().copied();
        unknown.chain(known).for_each(|at| shaped.take(at));
        shaped
    }

    /// The first moment not before `now` at which there is a place.
    pub(super) fn next(&self, now: Instant) -> Instant {
        match self.taken.front() {
            Some(&oldest) if self.taken.len() >= self.limit => now.max(oldest + self.span),
            _ => now,
        }
    }

    /// The admissions, the oldest first.
    pub(super) fn history(&self) -> impl ExactSizeIterator<Item = Instant> {
        self.taken.iter().copied()
    }

    /// Records an admission.
    pub(super) fn take(&mut self, at: Instant) {
        let behind = self.taken.partition_point(|taken| *taken <= at);
        self.taken.insert(behind, at);
        if self.taken.len() > self.limit {
            self.taken.pop_front();
        }
    }

    /// Counts every place as taken at `at` at the earliest.
    pub(super) fn fill(&mut self, at: Instant) {
        self.taken
            .iter_mut()
            .for_each(|taken| *taken = at.max(*taken));
        while self.taken.len() < self.limit {
            self.taken.push_front(at);
        }
    }

    /// One of `parts` equal shares of the places: of each group of `parts`
    /// neighbours one place, as taken as the latest of them, so that all
    /// replicas together have never used more places than have come free. A share
    /// of less than one place is one in a longer span: the rate is the share's,
    /// though replicas' places may meet in one span.
    pub(super) fn share(&self, parts: usize) -> Self {
        let limit = self.limit / parts;
        if limit == 0 {
            return Self {
                limit: 1,
                span: self.span.mul_f64(parts as f64 / self.limit as f64),
                taken: self.taken.back().copied().into_iter().collect(),
            };
        }
        let latest_first = self.taken.iter().rev().step_by(parts).take(limit);
        let mut taken: VecDeque<_> = latest_first.copied().collect();
        taken.make_contiguous().reverse();
        Self {
            limit,
            span: self.span,
            taken,
        }
    }
}

/// When all `logs` have a place.
pub(super) fn next(logs: &[Log], now: Instant) -> Instant {
    let places = logs.iter().map(|log| log.next(now));
    places.fold(now, Instant::max)
}

/// The share of a replica that lost sight of the others: `known` is what it saw
/// at `since`, and by `until` the other `parts - 1` may have taken all that
/// could be had, and hold a slot each that is yet to come.
pub(super) fn share(known: &[Log], since: Instant, until: Instant, parts: usize) -> Vec<Log> {
    let most = known.iter().map(|log| log.limit).max().unwrap_or(0);
    let mut worst = known.to_vec();
    let mut others = known.to_vec();
    for _ in 0..most {
        let at = next(&others, since);
        if at > until {
            break;
        }
        others.iter_mut().for_each(|log| log.take(at));
        worst.iter_mut().for_each(|log| log.take(until));
    }
    for _ in 1..parts {
        for log in &mut worst {
            log.take(log.next(until));
        }
    }
    let mut shares: Vec<_> = worst.iter().map(|log| log.share(parts)).collect();
    // What the others saw differs by what was on its way. A span so short is
    // sooner waited for than reckoned with.
    let short = shares.iter_mut().filter(|log| log.span <= SHORT_SPAN);
    short.for_each(|log| log.fill(until));
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn window(limit: u32) -> Window {
        Window {
            limit: NonZeroU32::new(limit).unwrap(),
            span: SECOND,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_comes_free_a_span_after_it_was_taken() {
        let now = Instant::now();
        let mut log = Log::new(window(2), []);
        assert_eq!(log.next(now), now);
        log.take(now + SECOND / 2);
        log.take(now);
        assert_eq!(log.next(now), now + SECOND);
        log.take(now + SECOND);
        assert_eq!(log.next(now), now + SECOND * 3 / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn free_places_count_as_taken_as_far_as_the_others_could_take_them() {
        let now = Instant::now();
        let slow = Window {
            limit: NonZeroU32::new(60).unwrap(),
            span: SECOND * 60,
        };
        let known = [Log::new(window(6), []), Log::new(slow, [])];
        let own = share(&known, now, now + SECOND / 10, 3);
        // Six creates could be had since, and two slots may be held.
        assert_eq!(own[0].limit, 2);
        assert_eq!(own[0].taken.len(), 2);
        assert_eq!(own[1].limit, 20);
        assert_eq!(own[1].taken.len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn shares_of_one_log_together_stay_within_the_limit() {
        let start = Instant::now();
        for limit in [3_u32, 7, 25] {
            for age in 0..limit {
                let old: Vec<_> = (0..=age).map(|i| start + SECOND * i / limit).collect();
                let since = *old.last().unwrap();
                let known = [Log::new(window(limit), old.iter().copied())];
                let mut all = old;
                for _replica in 0..3 {
                    let mut own = share(&known, since, since, 3);
                    let mut at = since;
                    while at < since + SECOND * 4 {
                        at = next(&own, at);
                        own[0].take(at);
                        all.push(at);
                    }
                }
                all.sort();
                let most = usize::try_from(limit).unwrap();
                for (first, last) in all.iter().zip(all.iter().skip(most)) {
                    assert!(*last - *first >= SECOND, "limit {limit}, age {age}");
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_share_of_less_than_one_place_is_one_in_a_longer_span() {
        let now = Instant::now();
        let mut own = share(&[Log::new(window(2), [])], now, now, 3);
        let mut taken = Vec::new();
        let mut at = now;
        for _ in 0..4 {
            at = next(&own, at);
            own[0].take(at);
            taken.push(at);
        }
        assert!(taken[0] >= now + SECOND);
        for pair in taken.windows(2) {
            assert_eq!(pair[1] - pair[0], SECOND * 3 / 2);
        }
    }
}
