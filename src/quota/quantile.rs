//! The usual time of a call upstream.

use std::collections::VecDeque;
use std::time::Duration;

/// Enough for a steady tail, few enough to follow a change within seconds.
const WINDOW: usize = 128;

/// The first calls open connections: with as many, no more than a tenth of the
/// window, it is theirs that are slow and not the usual time that is long.
const SETTLED: usize = 16;

/// The 95th percentile of the last 128 durations: a call that gets its permit so
/// long before its deadline is in vain once in twenty times, and its session lost.
///
/// ```
/// use face_liveness_gateway::quota::RunningQuantile;
/// use std::time::Duration;
///
/// let mut usual = RunningQuantile::default();
/// assert_eq!(usual.get(), None);
/// usual.record(Duration::from_millis(80));
/// assert_eq!(usual.get(), Some(Duration::from_millis(80)));
/// ```
#[derive(Clone, Debug, Default)]
pub struct RunningQuantile {
    last: VecDeque<Duration>,
    /// Computed when a duration comes in: it is asked for more often.
    value: Option<Duration>,
}

impl RunningQuantile {
    /// Counts a duration.
    pub fn record(&mut self, took: Duration) {
        if self.last.len() == WINDOW {
            self.last.pop_front();
        }
        self.last.push_back(took);
        self.value = percentile_95(&self.last);
    }

    /// What `took` has beyond the quantile, or all of it while there are too few
    /// durations to tell what is usual.
    #[must_use]
    pub fn excess(&self, took: Duration) -> Duration {
        let usual = if self.last.len() < SETTLED {
            None
        } else {
            self.value
        };
        took.saturating_sub(usual.unwrap_or_default())
    }

    /// The quantile; `None` until there is a duration.
    #[must_use]
    pub fn get(&self) -> Option<Duration> {
        self.value
    }
}

fn percentile_95(durations: &VecDeque<Duration>) -> Option<Duration> {
    let mut sorted: Vec<_> = durations.iter().copied().collect();
    let rank = (sorted.len() * 95).div_ceil(100).checked_sub(1)?;
    Some(*sorted.select_nth_unstable(rank).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(range: impl IntoIterator<Item = u64>) -> RunningQuantile {
        let mut quantile = RunningQuantile::default();
        range
            .into_iter()
            .for_each(|ms| quantile.record(Duration::from_millis(ms)));
        quantile
    }

    #[test]
    fn nineteen_in_twenty_are_at_most_the_quantile() {
        assert_eq!(milliseconds(1..=100).get(), Some(Duration::from_millis(95)));
        assert_eq!(
            milliseconds((1..=10).rev()).get(),
            Some(Duration::from_millis(10))
        );
    }

    #[test]
    fn all_of_a_time_is_excess_until_sixteen_have_shown_what_is_usual() {
        let took = Duration::from_millis(50);
        assert_eq!(milliseconds([80; 15]).excess(took * 2), took * 2);
        assert_eq!(
            milliseconds([80; 16]).excess(took * 2),
            Duration::from_millis(20)
        );
        assert_eq!(milliseconds([80; 16]).excess(took), Duration::ZERO);
    }

    #[test]
    fn durations_beyond_the_last_128_are_forgotten() {
        let slow_then_quick = (0..500).map(|n| if n < 372 { 9_000 } else { 80 });
        assert_eq!(
            milliseconds(slow_then_quick).get(),
            Some(Duration::from_millis(80))
        );
    }
}
