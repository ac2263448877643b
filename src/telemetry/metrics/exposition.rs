//! Reading the instruments: pushed over OTLP, and on demand for the admin port.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry::InstrumentationScope;
use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Registry, TextEncoder};

use super::push;
use crate::VERSION;
use crate::telemetry::otlp::{self, Exit, Signal};
use crate::telemetry::semconv;

/// The instruments' two readers. Dropped, nobody reads them any more.
#[derive(Clone, Debug)]
pub(crate) struct Exposition {
    provider: SdkMeterProvider,
    registry: Registry,
}

/// Why the metrics cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The exporter cannot be made.
    #[error(transparent)]
    Otlp(#[from] otlp::Error),
    /// The reader for the admin port cannot be made.
    #[error("cannot set up the metrics: {0}")]
    Prometheus(String),
}

impl Exposition {
    /// Readers for new instruments. Must be called in the runtime that is to do
    /// the sending.
    pub(crate) fn new(settings: &otlp::Settings) -> Result<Self, Error> {
        let registry = Registry::new();
        let on_demand = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .build()
            .map_err(|error| Error::Prometheus(error.to_string()))?;
        let mut builder = SdkMeterProvider::builder()
            .with_resource(settings.resource())
            .with_reader(on_demand);
        if let Some(exporter) = settings.metric_exporter()? {
            builder = builder.with_reader(push::reader(exporter));
        }
        Ok(Self {
            provider: builder.build(),
            registry,
        })
    }

    /// What makes the instruments.
    pub(crate) fn meter(&self) -> Meter {
        let scope = InstrumentationScope::builder(env!("CARGO_CRATE_NAME"))
            .with_version(VERSION)
            .with_schema_url(semconv::SCHEMA_URL)
            .build();
        self.provider.meter_with_scope(scope)
    }

    /// The present figures.
    pub(crate) fn figures(&self) -> Figures {
        Figures(self.registry.gather())
    }

    /// Sends what has not been sent.
    pub(crate) fn exit(&self) -> Exit {
        let provider = self.provider.clone();
        Exit::new(Signal::Metrics, move |limit| {
            provider.shutdown_with_timeout(limit)
        })
    }
}

/// What the instruments showed at one moment, under their Prometheus names.
#[derive(Clone, Debug)]
pub(crate) struct Figures(Vec<MetricFamily>);

/// A label that is to have this value.
type Wanted<'a> = (&'a str, &'a str);

impl Figures {
    /// As Prometheus text.
    pub(crate) fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.0)
    }

    /// The sum of a counter or gauge over all series with these labels; of a
    /// histogram, how many values it has.
    pub(crate) fn sum(&self, name: &str, wanted: &[Wanted<'_>]) -> f64 {
        self.series(name, wanted)
            .map(|(kind, metric)| value(kind, metric))
            .sum()
    }

    /// As [`sum`](Self::sum), apart by the value of `label`.
    pub(crate) fn by(
        &self,
        name: &str,
        label: &str,
        wanted: &[Wanted<'_>],
    ) -> BTreeMap<String, f64> {
        let mut sums = BTreeMap::new();
        for (kind, metric) in self.series(name, wanted) {
            if let Some(group) = label_of(metric, label) {
                *sums.entry(group.to_owned()).or_default() += value(kind, metric);
            }
        }
        sums
    }

    /// The values of a histogram's series with these labels, taken together.
    pub(crate) fn distribution(&self, name: &str, wanted: &[Wanted<'_>]) -> Distribution {
        let mut distribution = Distribution::default();
        for (_, metric) in self.series(name, wanted) {
            let histogram = metric.get_histogram();
            distribution.count += histogram.get_sample_count();
            distribution.sum += histogram.get_sample_sum();
            let buckets = &mut distribution.buckets;
            for (index, bucket) in histogram.get_bucket().iter().enumerate() {
                match buckets.get_mut(index) {
                    Some((_, count)) => *count += bucket.cumulative_count(),
                    None => buckets.push((bucket.upper_bound(), bucket.cumulative_count())),
                }
            }
        }
        distribution
    }

    /// As [`distribution`](Self::distribution), apart by the value of `label`.
    pub(crate) fn distributions(&self, name: &str, label: &str) -> BTreeMap<String, Distribution> {
        let series = self.series(name, &[]);
        let values: BTreeSet<&str> = series
            .filter_map(|(_, metric)| label_of(metric, label))
            .collect();
        let of_value = |value: &str| {
            let values = self.distribution(name, &[(label, value)]);
            (value.to_owned(), values)
        };
        values.into_iter().map(of_value).collect()
    }

    fn series<'a>(
        &'a self,
        name: &str,
        wanted: &'a [Wanted<'a>],
    ) -> impl Iterator<Item = (MetricType, &'a Metric)> {
        let family = self.0.iter().find(|family| family.name() == name);
        family.into_iter().flat_map(move |family| {
            let fits = move |metric: &&Metric| {
                wanted
                    .iter()
                    .all(|(label, value)| label_of(metric, label) == Some(value))
            };
            let kind = family.get_field_type();
            let series = family.get_metric().iter().filter(fits);
            series.map(move |metric| (kind, metric))
        })
    }
}

fn label_of<'a>(metric: &'a Metric, name: &str) -> Option<&'a str> {
    let label = metric.get_label().iter().find(|label| label.name() == name);
    label.map(LabelPair::value)
}

fn value(kind: MetricType, metric: &Metric) -> f64 {
    match kind {
        MetricType::COUNTER => metric.get_counter().get_value(),
        MetricType::GAUGE => metric.get_gauge().get_value(),
        MetricType::HISTOGRAM => metric.get_histogram().get_sample_count() as f64,
        _ => 0.0,
    }
}

/// The values of a histogram.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Distribution {
    pub(crate) count: u64,
    pub(crate) sum: f64,
    /// Upper bounds, and how many values lie at or below each.
    buckets: Vec<(f64, u64)>,
}

impl Distribution {
    /// The value that a part `q` of all lie at or below, 0 to 1, as Prometheus
    /// estimates it: evenly spread within a bucket, and never above the last
    /// bound. `None` without values.
    pub(crate) fn quantile(&self, q: f64) -> Option<f64> {
        let rank = q * self.count as f64;
        let highest = self.buckets.last().map(|(bound, _)| *bound);
        let (mut lower, mut below) = (0.0, 0_u64);
        for (bound, upto) in &self.buckets {
            if *upto > 0 && *upto as f64 >= rank {
                let within = upto - below;
                let part = (rank - below as f64) / within.max(1) as f64;
                return Some(lower + (bound - lower) * part.clamp(0.0, 1.0));
            }
            (lower, below) = (*bound, *upto);
        }
        highest.filter(|_| self.count > 0)
    }

    /// The values that came after `earlier`, when the same series were read.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let buckets = self.buckets.iter().enumerate();
        Self {
            count: self.count.saturating_sub(earlier.count),
            sum: self.sum - earlier.sum,
            buckets: buckets
                .map(|(index, (bound, upto))| {
                    let before = earlier.buckets.get(index).map_or(0, |(_, upto)| *upto);
                    (*bound, upto.saturating_sub(before))
                })
                .collect(),
        }
    }

    /// `None` without values.
    pub(crate) fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::Metrics;
    use std::time::{Duration, SystemTime};

    fn distribution(count: u64, buckets: &[(f64, u64)]) -> Distribution {
        Distribution {
            count,
            sum: 0.0,
            buckets: buckets.to_vec(),
        }
    }

    #[test]
    fn quantiles_are_estimated_within_their_bucket() {
        let values = distribution(10, &[(1.0, 0), (2.0, 10)]);
        assert_eq!(values.quantile(0.5), Some(1.5));
        assert_eq!(values.quantile(1.0), Some(2.0));
        assert_eq!(distribution(0, &[(1.0, 0)]).quantile(0.5), None);
        let beyond = distribution(2, &[(1.0, 1), (2.0, 1)]);
        assert_eq!(beyond.quantile(0.99), Some(2.0));
    }

    #[test]
    fn what_came_since_is_what_was_not_there_before() {
        let before = distribution(3, &[(1.0, 3), (2.0, 3)]);
        let after = distribution(10, &[(1.0, 3), (2.0, 10)]);
        let since = after.since(&before);
        assert_eq!(since, distribution(7, &[(1.0, 0), (2.0, 7)]));
        assert_eq!(since.quantile(1.0), Some(2.0));
        assert_eq!(after.since(&Distribution::default()), after);
    }

    #[test]
    fn the_certificate_is_shown_once_there_is_one() {
        let exposition = Exposition::new(&otlp::Settings::default()).unwrap();
        let metrics = Metrics::new(&exposition.meter(), &[], &[]);
        let name = "face_liveness_tls_certificate_not_after_seconds";
        assert!(!exposition.figures().text().unwrap().contains(name));
        let expiry = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        metrics.certificate.expires(expiry);
        assert_eq!(exposition.figures().sum(name, &[]), 1_800_000_000.0);
    }
}
