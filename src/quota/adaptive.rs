//! Slower when AWS throttles nevertheless: its quota is shared with others, or
//! is not the one configured.

use std::time::Duration;

use tokio::time::Instant;

use super::pace::Pace;
use crate::region::Region;

/// What a throttle leaves of the rate.
const FALL: f64 = 0.7;

/// The calls of one burst are throttled together: they count once.
const ONE_FALL_IN: Duration = Duration::from_secs(1);

/// What the factor gains in a second: six seconds make up for one fall.
const RECOVERY: f64 = 0.05;

/// Some calls must go, or nothing would tell that AWS has recovered.
const LOWEST: f64 = 0.1;

/// The part of the quota that a region uses: falls by a factor when AWS
/// throttles, recovers additively to the whole.
#[derive(Clone, Debug)]
pub struct Adaptive {
    region: Region,
    /// The factor after the last fall; `None` once it has recovered.
    fallen: Option<Fallen>,
    paused_until: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Fallen {
    to: f64,
    at: Instant,
}

impl Adaptive {
    /// Begins with the whole quota. `region` is for the log.
    #[must_use]
    pub fn new(region: Region) -> Self {
        Self {
            region,
            fallen: None,
            paused_until: None,
        }
    }

    /// AWS throttled, and may have asked for a pause.
    pub fn throttled(&mut self, now: Instant, retry_after: Option<Duration>) {
        if let Some(pause) = retry_after {
            self.paused_until = self.paused_until.max(Some(now + pause));
        }
        if self
            .fallen
            .is_some_and(|fallen| now < fallen.at + ONE_FALL_IN)
        {
            return;
        }
        let to = (self.factor(now) * FALL).max(LOWEST);
        self.fallen = Some(Fallen { to, at: now });
        tracing::warn!(
            region = %self.region,
            factor = to,
            pause = ?retry_after,
            "AWS throttles: using less of the quota"
        );
    }

    /// The part of the quota in use at `now`: 0.1 to 1.
    #[must_use]
    pub fn factor(&self, now: Instant) -> f64 {
        self.fallen.map_or(1.0, |Fallen { to, at }| {
            let since = now.saturating_duration_since(at);
            (to + RECOVERY * since.as_secs_f64()).min(1.0)
        })
    }

    /// The end of the pause that AWS asked for, if it is still to come.
    #[must_use]
    pub fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.paused_until.filter(|&until| until > now)
    }

    /// The pace from `now` on.
    pub fn pace(&mut self, now: Instant) -> Pace {
        let factor = self.factor(now);
        if self.fallen.is_some() && factor >= 1.0 {
            self.fallen = None;
            tracing::info!(region = %self.region, "using the whole quota again");
        }
        let not_before = self.paused_until(now).unwrap_or(now);
        Pace::slowed(now, not_before, factor, RECOVERY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn adaptive() -> (Adaptive, Instant) {
        let region = Region::parse("eu-west-1").unwrap();
        (Adaptive::new(region), Instant::now())
    }

    fn assert_near(left: f64, right: f64) {
        assert!((left - right).abs() < 1e-9, "{left} is not {right}");
    }

    #[test]
    fn the_throttles_of_one_second_are_one_fall() {
        let (mut adaptive, now) = adaptive();
        for millisecond in [0, 10, 999] {
            adaptive.throttled(now + Duration::from_millis(millisecond), None);
        }
        assert_near(adaptive.factor(now), 0.7);
        adaptive.throttled(now + SECOND, None);
        assert_near(adaptive.factor(now + SECOND), 0.75 * 0.7);
    }

    #[test]
    fn the_factor_recovers_steadily_to_the_whole() {
        let (mut adaptive, now) = adaptive();
        adaptive.throttled(now, None);
        assert_near(adaptive.factor(now + SECOND * 2), 0.8);
        assert_near(adaptive.factor(now + SECOND * 6), 1.0);
        assert_near(adaptive.pace(now + SECOND * 60).factor(), 1.0);
        assert!(adaptive.fallen.is_none());
    }

    #[test]
    fn the_factor_never_falls_below_a_tenth() {
        let (mut adaptive, now) = adaptive();
        for second in 0..60 {
            adaptive.throttled(now + SECOND * second, None);
        }
        let factor = adaptive.factor(now + SECOND * 59);
        assert!((LOWEST..0.2).contains(&factor), "{factor}");
    }

    #[test]
    fn the_longest_pause_that_aws_asked_for_is_kept() {
        let (mut adaptive, now) = adaptive();
        adaptive.throttled(now, Some(SECOND * 3));
        adaptive.throttled(now, Some(SECOND));
        assert_eq!(adaptive.pace(now).start(), now + SECOND * 3);
        assert_eq!(adaptive.paused_until(now + SECOND * 3), None);
    }
}
