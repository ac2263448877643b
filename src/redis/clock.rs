//! The server's clock, seen from here.

use std::time::Duration;

use tokio::time::Instant;

/// Translates the server's microseconds into local instants.
///
/// The server read its clock some time between question and answer; every
/// exchange narrows down by how much the two clocks differ, and since then they may
/// have drifted apart. What is left of doubt makes instants late, never early, of
/// clocks that drift no faster and are not set. One that was set is noticed with
/// the next answer.
#[derive(Debug)]
pub(super) struct Clock {
    zero: Instant,
    ahead: Option<Ahead>,
}

/// By how much the server's clock is ahead, in microseconds.
#[derive(Clone, Copy, Debug)]
struct Ahead {
    least: i64,
    most: i64,
    /// As of then.
    at: Instant,
}

/// Two clocks drift apart by at most one part in this: each is disciplined by at
/// most 500 ppm.
const DRIFT: i64 = 1_000;

impl Ahead {
    /// What is left of that at a later time.
    fn by(self, at: Instant) -> Self {
        let drift = signed_micros(at, self.at).max(0) / DRIFT + 1;
        Self {
            least: self.least - drift,
            most: self.most + drift,
            at,
        }
    }
}

impl Clock {
    pub(super) fn new(zero: Instant) -> Self {
        Self { zero, ahead: None }
    }

    /// The server read `server` between `sent` and `received`.
    pub(super) fn observe(&mut self, server: i64, sent: Instant, received: Instant) {
        let new = Ahead {
            least: server - self.micros(received),
            most: server - self.micros(sent),
            at: received,
        };
        let both = self.ahead.map(|old| {
            let old = old.by(received);
            Ahead {
                least: old.least.max(new.least),
                most: old.most.min(new.most),
                at: received,
            }
        });
        // One of the clocks was set: what was known is void.
        self.ahead = Some(both.filter(|both| both.least <= both.most).unwrap_or(new));
    }

    /// The local instant of the server's time.
    pub(super) fn local(&self, server: i64) -> Instant {
        let micros = server - self.ahead.map_or(0, |ahead| ahead.least);
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

    /// An answer that came at `milli`, after as many milliseconds, from a server
    /// whose clock said so.
    fn observe(clock: &mut Clock, server: i64, milli: u32, took: u32) {
        let received = clock.zero + MILLI * milli;
        clock.observe(server, received - MILLI * took, received);
    }

    #[test]
    fn quick_answers_correct_slow_ones_and_a_clock_that_was_set_counts_anew() {
        let zero = Instant::now();
        let mut clock = Clock::new(zero);
        observe(&mut clock, 1_000_000, 40, 40);
        assert_eq!(clock.local(1_000_000), zero + MILLI * 40);
        observe(&mut clock, 1_100_000, 101, 2);
        assert_eq!(clock.local(1_100_000), zero + MILLI * 101);
        assert_eq!(clock.local(1_000_000), zero + MILLI);
        observe(&mut clock, 9_000_000, 202, 2);
        assert_eq!(clock.local(9_000_000), zero + MILLI * 202);
    }

    #[test]
    fn instants_are_never_early_though_the_server_s_clock_is_slow() {
        let zero = Instant::now();
        let mut clock = Clock::new(zero);
        for milli in (1_000..600_000).step_by(500) {
            // It loses 500 ppm; answers take 1 ms at times, mostly 9.
            let took = if milli % 10_000 == 0 { 1 } else { 9 };
            let read = i64::from(milli) * 1_000 - 500;
            let server = read - read / 2_000;
            observe(&mut clock, server, milli, took);
            let really = zero + Duration::from_micros(read.unsigned_abs());
            let seen = clock.local(server);
            assert!(seen >= really, "{:?} early", really - seen);
            assert!(seen <= really + MILLI * 9, "{:?} late", seen - really);
        }
    }
}
