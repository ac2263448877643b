//! The server's clock, seen from here.

use std::time::Duration;

use tokio::time::Instant;

/// Translates the server's microseconds into local instants.
///
/// The server read its clock some time between question and answer; every
/// exchange narrows down by how much the two clocks differ. What is left of
/// doubt makes instants late, never early.
#[derive(Debug)]
pub(super) struct Clock {
    zero: Instant,
    /// The least and the most by which the server's clock is ahead.
    ahead: Option<(i64, i64)>,
}

impl Clock {
    pub(super) fn new(zero: Instant) -> Self {
        Self { zero, ahead: None }
    }

    /// The server read `server` between `sent` and `received`.
    pub(super) fn observe(&mut self, server: i64, sent: Instant, received: Instant) {
        let new = (server - self.micros(received), server - self.micros(sent));
        let both = self.ahead.map(|old| (old.0.max(new.0), old.1.min(new.1)));
        // One of the clocks was set, or drifted: what was known is void.
        self.ahead = Some(both.filter(|(least, most)| least <= most).unwrap_or(new));
    }

    /// The local instant of the server's time.
    pub(super) fn local(&self, server: i64) -> Instant {
        let micros = server - self.ahead.map_or(0, |(least, _)| least);
        match u64::try_from(micros) {
            Ok(after) => self.zero + Duration::from_micros(after),
            Err(_) => self
                .zero
                .checked_sub(Duration::from_micros(micros.unsigned_abs()))
                .unwrap_or(self.zero),
        }
    }

    fn micros(&self, at: Instant) -> i64 {
        signed_micros(at, self.zero)
    }
}

/// From `from` to `to`, in microseconds.
pub(super) fn signed_micros(to: Instant, from: Instant) -> i64 {
    let micros = |d: Duration| i64::try_from(d.as_micros()).unwrap_or(i64::MAX);
    micros(to.saturating_duration_since(from)) - micros(from.saturating_duration_since(to))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn quick_answers_correct_slow_ones_and_a_clock_that_was_set_counts_anew() {
        let zero = Instant::now();
        let mut clock = Clock::new(zero);
        clock.observe(1_000_000, zero, zero + MILLI * 40);
        assert_eq!(clock.local(1_000_000), zero + MILLI * 40);
        clock.observe(1_100_000, zero + MILLI * 99, zero + MILLI * 101);
        assert_eq!(clock.local(1_100_000), zero + MILLI * 101);
        assert_eq!(clock.local(1_000_000), zero + MILLI);
        clock.observe(9_000_000, zero + MILLI * 200, zero + MILLI * 202);
        assert_eq!(clock.local(9_000_000), zero + MILLI * 202);
    }
}
