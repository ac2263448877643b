//! How fast the quota may be used, from now on.

use std::time::Duration;

use tokio::time::Instant;

/// How fast the quota may be used from `now` on: nothing before `not_before`,
/// and then at `factor` of the full rate, which recovers steadily.
///
/// An [`Instant`] is the full pace from then on.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    now: Instant,
    not_before: Instant,
    factor: f64,
    /// What the factor gains in a second.
    recovery: f64,
}

impl From<Instant> for Pace {
    fn from(now: Instant) -> Self {
        Self {
            now,
            not_before: now,
            factor: 1.0,
            recovery: 0.0,
        }
    }
}

impl Pace {
    pub(super) fn slowed(now: Instant, not_before: Instant, factor: f64, recovery: f64) -> Self {
        Self {
            now,
            not_before,
            factor,
            recovery,
        }
    }

    /// The same pace, but nothing before `at`.
    pub(super) fn not_before(self, at: Instant) -> Self {
        Self {
            not_before: self.not_before.max(at),
            ..self
        }
    }

    /// The time at which the pace was taken.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The earliest time for the next admission.
    #[must_use]
    pub fn start(&self) -> Instant {
        self.now.max(self.not_before)
    }

    /// The part of the full rate that may be used now, above 0 and at most 1: a
    /// span is to be divided by it.
    #[must_use]
    pub fn factor(&self) -> f64 {
        self.factor
    }

    /// When a `span` that began at `since` is over at this pace: never before
    /// [`start`](Self::start).
    pub(super) fn end_of(&self, since: Instant, span: Duration) -> Instant {
        let end = if self.factor >= 1.0 {
            since + span
        } else {
            self.slowed_end_of(since, span)
        };
        end.max(self.start())
    }

    /// Solves `(t - since) * factor(t) = span` for `t`, where `factor(t)` grows
    /// by `recovery` a second until it is 1.
    fn slowed_end_of(&self, since: Instant, span: Duration) -> Instant {
        let elapsed = seconds_between(since, self.now);
        let b = self.factor + self.recovery * elapsed;
        let c = self.factor * elapsed - span.as_secs_f64();
        if c >= 0.0 {
            return self.now;
        }
        let wait = ((b * b - 4.0 * self.recovery * c).sqrt() - b) / (2.0 * self.recovery);
        if self.factor + self.recovery * wait < 1.0 {
            self.now + Duration::from_secs_f64(wait)
        } else {
            since + span
        }
    }
}

/// Negative if `to` is before `from`.
fn seconds_between(from: Instant, to: Instant) -> f64 {
    let ahead = to.saturating_duration_since(from).as_secs_f64();
    ahead - from.saturating_duration_since(to).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_span_at_full_pace_is_as_long_as_it_is() {
        let now = Instant::now();
        assert_eq!(Pace::from(now).end_of(now, SECOND), now + SECOND);
        assert_eq!(
            Pace::from(now + SECOND * 3).end_of(now, SECOND),
            now + SECOND * 3
        );
    }

    #[test]
    fn a_slowed_span_ends_where_the_recovering_factor_says() {
        let now = Instant::now();
        let pace = Pace::slowed(now, now, 0.5, 0.05);
        let end = pace.end_of(now, SECOND);
        let lasted = (end - now).as_secs_f64();
        assert!(
            (lasted * (0.5 + 0.05 * lasted) - 1.0).abs() < 1e-6,
            "{lasted}"
        );
    }

    #[test]
    fn a_span_that_outlasts_the_recovery_ends_at_full_pace() {
        let now = Instant::now();
        let pace = Pace::slowed(now, now, 0.5, 0.05);
        assert_eq!(pace.end_of(now, SECOND * 20), now + SECOND * 20);
    }

    #[test]
    fn a_span_that_begins_later_is_slowed_too() {
        let now = Instant::now();
        let pace = Pace::slowed(now, now, 0.1, 0.05);
        let end = pace.end_of(now + SECOND, SECOND);
        assert!(end > now + SECOND * 4, "{:?}", end - now);
    }

    #[test]
    fn nothing_ends_during_a_pause() {
        let now = Instant::now();
        let pace = Pace::slowed(now, now + SECOND * 9, 0.5, 0.05);
        assert_eq!(pace.end_of(now, SECOND), now + SECOND * 9);
    }
}
