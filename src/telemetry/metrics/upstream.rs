//! Attempts at AWS: how they end, how long they take, and which are repeated.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, Counter, Histogram, Meter};

use super::{DURATION_BUCKETS, Series, durations, region_label};
use crate::region::Region;
use crate::session::Session;
use crate::upstream::{Cause, Error};

/// How an attempt ends: made, given up by its caller, or by what went wrong.
const OUTCOMES: [&str; 11] = [
    MADE,
    CANCELLED,
    "invalid_parameter",
    "quota",
    "throttled",
    "unavailable",
    "access_denied",
    "credentials",
    "malformed",
    "rejected",
    "deadline",
];

const MADE: &str = "made";
const CANCELLED: &str = "cancelled";

/// What is tried again.
const RETRIED: [&str; 3] = ["quota", "throttled", "unavailable"];

/// Counts and times attempts. By default nobody reads it.
#[derive(Clone, Default)]
pub(crate) struct Upstream(Option<Arc<HashMap<Region, OfRegion>>>);

struct OfRegion {
    attempts: HashMap<&'static str, Series>,
    retries: HashMap<&'static str, BoundCounter<u64>>,
    sessions: BoundCounter<u64>,
}

impl OfRegion {
    fn new(
        region: &Region,
        attempts: &Histogram<f64>,
        retries: &Counter<u64>,
        sessions: &Counter<u64>,
    ) -> Self {
        let label = region_label(region);
        let labels = |key, value| [label.clone(), KeyValue::new(key, value)];
        Self {
            attempts: OUTCOMES
                .into_iter()
                .map(|outcome| (outcome, Series::new(attempts, labels("outcome", outcome))))
                .collect(),
            retries: RETRIED
                .into_iter()
                .map(|cause| (cause, retries.bind(&labels("cause", cause))))
                .collect(),
            sessions: sessions.bind(std::slice::from_ref(&label)),
        }
    }
}

impl Upstream {
    pub(super) fn new(meter: &Meter, regions: &[Region]) -> Self {
        let attempts = durations(
            meter,
            "face_liveness.upstream.duration",
            "How long attempts at AWS took, by how they ended",
            DURATION_BUCKETS,
        );
        let retries = meter
            .u64_counter("face_liveness.upstream.retries")
            .with_unit("{attempt}")
            .with_description("Attempts that were made again, by what went wrong before")
            .build();
        let sessions = meter
            .u64_counter("face_liveness.sessions")
            .with_unit("{session}")
            .with_description("Sessions that AWS made")
            .build();
        let of_region = |region: &Region| {
            let instruments = OfRegion::new(region, &attempts, &retries, &sessions);
            (region.clone(), instruments)
        };
        Self(Some(Arc::new(regions.iter().map(of_region).collect())))
    }

    /// An attempt begins. Dropped, it counts as cancelled.
    pub(crate) fn begin(&self, region: &Region) -> Attempt {
        Attempt {
            upstream: self.clone(),
            region: region.clone(),
            began: Instant::now(),
            outcome: CANCELLED,
        }
    }

    /// An attempt is to be made again, because of `cause`.
    pub(crate) fn retried(&self, region: &Region, cause: &Cause) {
        let retries = self.region(region).map(|of_region| &of_region.retries);
        if let Some(counter) = retries.and_then(|retries| retries.get(outcome(cause))) {
            counter.add(1);
        }
    }

    fn region(&self, region: &Region) -> Option<&OfRegion> {
        self.0.as_ref()?.get(region)
    }
}

/// An attempt under way.
#[derive(Debug)]
pub(crate) struct Attempt {
    upstream: Upstream,
    region: Region,
    began: Instant,
    outcome: &'static str,
}

impl Attempt {
    /// The attempt has ended so.
    pub(crate) fn ended(mut self, made: &Result<Session, Error>) {
        self.outcome = match made {
            Ok(_) => MADE,
            Err(error) => outcome(&error.cause),
        };
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let Some(of_region) = self.upstream.region(&self.region) else {
            return;
        };
        if let Some(series) = of_region.attempts.get(self.outcome) {
            series.record(self.began.elapsed());
        }
        if self.outcome == MADE {
            of_region.sessions.add(1);
        }
    }
}

fn outcome(cause: &Cause) -> &'static str {
    match cause {
        Cause::InvalidParameter => "invalid_parameter",
        Cause::Quota => "quota",
        Cause::Throttled => "throttled",
        Cause::Unavailable => "unavailable",
        Cause::AccessDenied => "access_denied",
        Cause::Credentials => "credentials",
        Cause::Malformed => "malformed",
        Cause::Deadline => "deadline",
        // All but the first never reach AWS.
        Cause::Rejected
        | Cause::AccountQuota
        | Cause::QueueFull
        | Cause::TokenReused { .. }
        | Cause::SessionExpiring { .. } => "rejected",
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_a_label() {
        for cause in [
            Cause::InvalidParameter,
            Cause::Quota,
            Cause::AccountQuota,
            Cause::QueueFull,
            Cause::Throttled,
            Cause::Unavailable,
            Cause::AccessDenied,
            Cause::Credentials,
            Cause::Malformed,
            Cause::Rejected,
            Cause::Deadline,
        ] {
            assert!(OUTCOMES.contains(&outcome(&cause)), "{cause:?}");
            assert!(!cause.is_transient() || RETRIED.contains(&outcome(&cause)));
        }
    }
}
