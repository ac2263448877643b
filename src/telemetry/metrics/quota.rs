//! The account's quota: permits by caller, waits, queue, rates, and the store
//! that replicas share.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, BoundCounter, Counter, Histogram, Meter};
use tokio::sync::watch;

use super::{OTHER, Series, durations, region_label};
use crate::caller::Caller;
use crate::quota::{Bounds, Limiter, Share, Terms};
use crate::redis::State;
use crate::region::Region;

/// A free permit takes microseconds, a call waits half a minute at most.
const WAIT_BUCKETS: [f64; 13] = [
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// Counts permits and times waits. By default nobody reads it.
#[derive(Clone, Default)]
pub(crate) struct Quota(Option<Arc<HashMap<Region, OfRegion>>>);

struct OfRegion {
    granted: Series,
    denied: Series,
    abandoned: Series,
    too_late: BoundCounter<u64>,
    queue_full: BoundCounter<u64>,
    permits: HashMap<Caller, BoundCounter<u64>>,
    permits_of_others: BoundCounter<u64>,
    /// All permits: the sum of the counters, which cannot be read.
    total: AtomicU64,
}

impl OfRegion {
    fn new(
        region: &Region,
        callers: &[Caller],
        waits: &Histogram<f64>,
        denials: &Counter<u64>,
        permits: &Counter<u64>,
    ) -> Self {
        let label = region_label(region);
        let wait = |outcome| Series::new(waits, [label.clone(), KeyValue::new("outcome", outcome)]);
        let denial = |reason| denials.bind(&[label.clone(), KeyValue::new("reason", reason)]);
        let of_caller =
            |name: String| permits.bind(&[label.clone(), KeyValue::new("caller", name)]);
        Self {
            granted: wait("granted"),
            denied: wait("denied"),
            abandoned: wait("abandoned"),
            too_late: denial("deadline"),
            queue_full: denial("queue_full"),
            permits: callers
                .iter()
                .map(|caller| (caller.clone(), of_caller(caller.to_string())))
                .collect(),
            permits_of_others: of_caller(OTHER.to_owned()),
            total: AtomicU64::new(0),
        }
    }
}

impl Quota {
    pub(super) fn new(meter: &Meter, regions: &[Region], callers: &[Caller]) -> Self {
        let waits = durations(
            meter,
            "face_liveness.quota.wait.duration",
            "How long attempts waited for a permit, by how that ended",
            WAIT_BUCKETS,
        );
        let denials = meter
            .u64_counter("face_liveness.quota.denials")
            .with_unit("{permit}")
            .with_description("Attempts that got no permit, by reason")
            .build();
        let permits = meter
            .u64_counter("face_liveness.quota.permits")
            .with_unit("{permit}")
            .with_description("Attempts that the quota let go to AWS, by caller")
            .build();
        let of_region = |region: &Region| {
            let instruments = OfRegion::new(region, callers, &waits, &denials, &permits);
            (region.clone(), instruments)
        };
        Self(Some(Arc::new(regions.iter().map(of_region).collect())))
    }

    /// An attempt begins to wait. Dropped, it counts as abandoned.
    pub(crate) fn wait(&self, region: &Region) -> Wait {
        Wait {
            quota: self.clone(),
            region: region.clone(),
            began: Instant::now(),
            ended: false,
        }
    }

    /// How many permits were granted in this region, to all callers.
    pub(crate) fn granted(&self, region: &Region) -> u64 {
        let of_region = self.0.as_ref().and_then(|regions| regions.get(region));
        of_region.map_or(0, |of_region| of_region.total.load(Ordering::Relaxed))
    }
}

/// A wait for a permit.
#[derive(Debug)]
pub(crate) struct Wait {
    quota: Quota,
    region: Region,
    began: Instant,
    ended: bool,
}

impl Wait {
    /// There is a permit for `caller`.
    pub(crate) fn granted(mut self, caller: &Caller) {
        self.ended = true;
        if let Some(of_region) = self.of_region() {
            of_region.granted.record(self.began.elapsed());
            let own = of_region.permits.get(caller);
            own.unwrap_or(&of_region.permits_of_others).add(1);
            of_region.total.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// There is none: there was no room to wait, or the turn would come too late.
    pub(crate) fn denied(mut self, no_room: bool) {
        self.ended = true;
        if let Some(of_region) = self.of_region() {
            of_region.denied.record(self.began.elapsed());
            if no_room {
                of_region.queue_full.add(1);
            } else {
                of_region.too_late.add(1);
            }
        }
    }

    fn of_region(&self) -> Option<&OfRegion> {
        self.quota.0.as_ref()?.get(&self.region)
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(of_region) = self.of_region().filter(|_| !self.ended) {
            of_region.abandoned.record(self.began.elapsed());
        }
    }
}

/// A region's quota, to be looked at whenever somebody reads the metrics.
#[derive(Clone, Debug)]
pub(crate) struct RegionQuota {
    pub(crate) region: Region,
    pub(crate) limiter: Limiter,
    /// What it goes by, which may change.
    pub(crate) terms: watch::Receiver<Terms>,
    /// The store that replicas share, if there is one.
    pub(crate) store: Option<Store>,
}

/// A store that replicas share, as a replica sees it.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pub(crate) state: watch::Receiver<State>,
}

impl RegionQuota {
    /// What the account admits.
    fn configured(&self) -> Rates {
        rates(self.terms.borrow().limits.into(), 1.0)
    }

    /// What this replica uses of it now.
    fn effective(&self) -> Rates {
        let snapshot = self.limiter.snapshot();
        let factor = if snapshot.pause > Duration::ZERO {
            0.0
        } else {
            snapshot.factor
        };
        let alone = self
            .store
            .as_ref()
            .is_some_and(|store| *store.state.borrow() != State::Shared);
        let Terms { limits, share, .. } = *self.terms.borrow();
        let bounds = if alone {
            limits.share(Share::new(share))
        } else {
            limits.into()
        };
        rates(bounds, factor)
    }
}

/// Creates a second, by the name of what bounds them.
type Rates = [Option<(&'static str, f64)>; 2];

fn rates(bounds: Bounds, factor: f64) -> Rates {
    [("creates", bounds.creates), ("sessions", bounds.sessions)]
        .map(|(name, bound)| Some((name, bound?.per_second() * factor)))
}

/// What there is to see of each region.
type Look<T> = fn(&RegionQuota, &mut dyn FnMut(T, &[KeyValue]));

/// Shows queue, rates and store of these regions.
pub(super) fn observe(meter: &Meter, regions: Vec<RegionQuota>) {
    let regions: Arc<[RegionQuota]> = regions.into();
    let counts: [(&'static str, &'static str, Look<u64>); 2] = [
        (
            "face_liveness.quota.queue.depth",
            "Calls that wait for a permit",
            |of, see| {
                see(
                    of.limiter.snapshot().queued as u64,
                    &[region_label(&of.region)],
                )
            },
        ),
        (
            "face_liveness.quota.queue.limit",
            "Calls that may wait for a permit",
            |of, see| {
                let queue = of.terms.borrow().queue;
                see(queue as u64, &[region_label(&of.region)]);
            },
        ),
    ];
    for (name, description, look) in counts {
        meter
            .u64_observable_gauge(name)
            .with_unit("{call}")
            .with_description(description)
            .with_callback(callback(&regions, look))
            .build();
    }
    let rates: [(&'static str, &'static str, Look<f64>); 2] = [
        (
            "face_liveness.quota.rate.configured",
            "Creates a second that the account admits",
            |of, see| see_rates(of, of.configured(), see),
        ),
        (
            "face_liveness.quota.rate.effective",
            "Creates a second that this replica uses of it now, as far as it knows",
            |of, see| see_rates(of, of.effective(), see),
        ),
    ];
    for (name, description, look) in rates {
        meter
            .f64_observable_gauge(name)
            .with_unit("{session}/s")
            .with_description(description)
            .with_callback(callback(&regions, look))
            .build();
    }
    meter
        .u64_observable_gauge("face_liveness.quota.store.state")
        .with_description("1 for the state that the shared store is in, 0 for the others")
        .with_callback(callback(&regions, store_states))
        .build();
}

fn see_rates(of: &RegionQuota, rates: Rates, see: &mut dyn FnMut(f64, &[KeyValue])) {
    for (bound, rate) in rates.into_iter().flatten() {
        see(rate, &labels(of, "bound", bound));
    }
}

fn store_states(of: &RegionQuota, see: &mut dyn FnMut(u64, &[KeyValue])) {
    let Some(store) = &of.store else { return };
    let present = *store.state.borrow();
    for (name, state) in [
        ("shared", State::Shared),
        ("alone", State::Alone),
        ("rejoining", State::Rejoining),
    ] {
        see(u64::from(present == state), &labels(of, "state", name));
    }
}

fn callback<T>(
    regions: &Arc<[RegionQuota]>,
    look: Look<T>,
) -> impl Fn(&dyn AsyncInstrument<T>) + Send + Sync + 'static
where
    T: 'static,
{
    let regions = Arc::clone(regions);
    move |observer| {
        for region in regions.iter() {
            look(region, &mut |value, labels| observer.observe(value, labels));
        }
    }
}

fn labels(of: &RegionQuota, key: &'static str, value: &'static str) -> [KeyValue; 2] {
    [region_label(&of.region), KeyValue::new(key, value)]
}

impl fmt::Debug for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quota").finish_non_exhaustive()
    }
}
