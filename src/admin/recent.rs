//! How long things took of late: since the start of the process says little to
//! who is on call.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::Shared;
use crate::telemetry::metrics::{Distribution, Figures};

/// A histogram, and the label whose values tell its series apart.
pub(super) type Source = (&'static str, &'static str);

/// How long calls took, by method.
pub(super) const CALLS: Source = ("rpc_server_call_duration_seconds", "rpc_method");
/// How long calls waited for the quota, by region.
pub(super) const WAITS: Source = ("face_liveness_quota_wait_duration_seconds", "region");
/// How long attempts at AWS took, by region.
pub(super) const ATTEMPTS: Source = ("face_liveness_upstream_duration_seconds", "region");

const SOURCES: [Source; 3] = [CALLS, WAITS, ATTEMPTS];

/// How far apart samples are.
const EVERY: Duration = Duration::from_secs(5);

/// How many are kept: the oldest is about a minute old.
const SAMPLES: usize = 12;

/// What the histograms showed at one moment, by source and label.
type Sample = BTreeMap<(Source, String), Distribution>;

/// The samples of the last minute, the oldest first.
#[derive(Debug)]
pub(super) struct Recent(Mutex<VecDeque<Sample>>);

impl Recent {
    /// Nothing has happened yet.
    pub(super) fn new() -> Self {
        Self(Mutex::new(VecDeque::from([Sample::default()])))
    }

    fn keep(&self, figures: &Figures) {
        let of_source = |source: Source| {
            let apart = figures.distributions(source.0, source.1).into_iter();
            apart.map(move |(label, values)| ((source, label), values))
        };
        let sample = SOURCES.into_iter().flat_map(of_source).collect();
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.len() == SAMPLES {
            samples.pop_front();
        }
        samples.push_back(sample);
    }

    /// What came in about the last minute to a distribution that is `now` so.
    pub(super) fn last_minute(
        &self,
        source: Source,
        label: &str,
        now: &Distribution,
    ) -> Distribution {
        let samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = samples.front();
        let before = oldest.and_then(|sample| sample.get(&(source, label.to_owned())));
        before.map_or_else(|| now.clone(), |before| now.since(before))
    }
}

/// Takes samples for ever.
pub(super) async fn sample(shared: &Shared) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // Without figures the sample before must do.
        if let Ok(figures) = shared.figures().await {
            shared.recent.keep(&figures);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::Region;
    use crate::telemetry::metrics::{Exposition, Metrics};
    use crate::telemetry::otlp;

    #[test]
    fn the_last_minute_is_what_came_after_its_first_sample() {
        let exposition = Exposition::new(&otlp::Settings::default()).unwrap();
        let region = Region::parse("us-east-1").unwrap();
        let metrics = Metrics::new(&exposition.meter(), std::slice::from_ref(&region), &[]);
        let recent = Recent::new();
        let attempted = || exposition.figures().distribution(ATTEMPTS.0, &[]);
        let late = || {
            recent
                .last_minute(ATTEMPTS, "us-east-1", &attempted())
                .count
        };
        let attempt = || drop(metrics.upstream.begin(&region));

        attempt();
        for _ in 1..SAMPLES {
            recent.keep(&exposition.figures());
        }
        assert_eq!((attempted().count, late()), (1, 1));
        recent.keep(&exposition.figures());
        assert_eq!((attempted().count, late()), (1, 0));
        attempt();
        attempt();
        assert_eq!((attempted().count, late()), (3, 2));
    }
}
