//! The gateway's metrics: one set of instruments for each gateway, which OTLP
//! and the admin port read alike.
//!
//! | module | instruments |
//! |---|---|
//! | [`connections`] | connections open, turned away, ended |
//! | [`rpc`] | calls by method and status, in flight, refused |
//! | [`quota`] | permits, waits, queue, rates, the shared store |
//! | [`ledger`] | repeats |
//! | [`upstream`] | attempts at AWS, retries, sessions |
//! | [`process`] | the process, the build, the certificate |
//! | [`losses`] | telemetry that was lost |
//! | [`exposition`], [`push`] | reading all of them |
//!
//! The README lists every metric. Their labels are bounded: what a peer chooses
//! (methods, callers without an entry in the configuration) counts as `_OTHER`.
//! Attribute sets are prepared, so that a call only adds to numbers; an
//! instrument never waits for whoever reads it, nor fails.

mod connections;
mod exposition;
mod ledger;
mod losses;
mod process;
mod push;
mod quota;
mod refusals;
mod rpc;
mod upstream;

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundHistogram, Histogram, Meter};

use crate::caller::Caller;
use crate::region::Region;
use crate::telemetry::semconv;

pub(crate) use connections::{Closing, Connections, Refusal};
pub use exposition::Error;
pub(crate) use exposition::{Distribution, Exposition, Figures};
pub(crate) use ledger::{Ledger, Lookup};
pub(crate) use losses::Loss;
pub use process::Certificate;
pub(crate) use quota::{Quota, RegionQuota, Store};
pub(crate) use refusals::{Refusals, Refused};
pub(crate) use rpc::{Call, Rpc};
pub(crate) use upstream::{Attempt, Upstream};

/// What stands for everything that has no label of its own.
const OTHER: &str = semconv::METHOD_OTHER;

/// The instruments of one gateway. By default nobody reads them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) connections: Connections,
    pub(crate) rpc: Rpc,
    pub(crate) quota: Quota,
    pub(crate) ledger: Ledger,
    pub(crate) upstream: Upstream,
    pub(crate) certificate: Certificate,
}

impl Metrics {
    /// Instruments for these regions, and these callers by name.
    pub(crate) fn new(meter: &Meter, regions: &[Region], callers: &[Caller]) -> Self {
        process::observe(meter);
        Self {
            connections: Connections::new(meter),
            rpc: Rpc::new(meter),
            quota: Quota::new(meter, regions, callers),
            ledger: Ledger::new(meter),
            upstream: Upstream::new(meter, regions),
            certificate: Certificate::new(meter),
        }
    }

    /// Shows the quotas of these regions as well.
    pub(crate) fn observe_quotas(meter: &Meter, regions: Vec<RegionQuota>) {
        quota::observe(meter, regions);
    }

    /// Shows these losses as well.
    pub(crate) fn observe_losses(meter: &Meter, losses: Vec<Loss>) {
        losses::observe(meter, losses);
    }
}

/// The buckets of durations that callers feel.
/// Source: RPC semantic conventions of OpenTelemetry, `rpc.server.call.duration`.
const DURATION_BUCKETS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// A histogram of durations.
fn durations(
    meter: &Meter,
    name: &'static str,
    description: &'static str,
    buckets: impl IntoIterator<Item = f64>,
) -> Histogram<f64> {
    meter
        .f64_histogram(name)
        .with_unit("s")
        .with_description(description)
        .with_boundaries(buckets.into_iter().collect())
        .build()
}

/// A histogram under fixed attributes, which appears with its first value:
/// most combinations never have one.
struct Series {
    histogram: Histogram<f64>,
    attributes: Box<[KeyValue]>,
    bound: OnceLock<BoundHistogram<f64>>,
}

impl Series {
    fn new(histogram: &Histogram<f64>, attributes: impl IntoIterator<Item = KeyValue>) -> Self {
        Self {
            histogram: histogram.clone(),
            attributes: attributes.into_iter().collect(),
            bound: OnceLock::new(),
        }
    }

    fn record(&self, took: Duration) {
        self.bound
            .get_or_init(|| self.histogram.bind(&self.attributes))
            .record(took.as_secs_f64());
    }
}

impl fmt::Debug for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Series").field(&self.attributes).finish()
    }
}

fn region_label(region: &Region) -> KeyValue {
    KeyValue::new("region", region.to_string())
}
