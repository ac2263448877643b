//! Tells the log when a collector cannot be reached: when that begins, once a
//! minute while it lasts, and when it ends. The SDK would tell of every batch.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use super::otlp::Signal;

/// How often a lasting outage is told.
const REMINDER: Duration = Duration::from_secs(60);

/// An exporter whose outages are told; see the module.
#[derive(Debug)]
pub struct Watched<E> {
    exporter: E,
    signal: Signal,
    outage: Mutex<Option<Outage>>,
}

/// Batches cannot be sent.
#[derive(Clone, Copy, Debug)]
struct Outage {
    told: Instant,
    /// Batches that were lost.
    lost: u64,
}

/// What there is to say of a batch.
#[derive(Debug, Eq, PartialEq)]
enum News {
    /// So many batches are lost.
    Lost(u64),
    /// Batches arrive again; so many were lost.
    Over(u64),
}

/// Counts a batch. Gives what is worth a line.
fn observe(outage: &mut Option<Outage>, arrived: bool, now: Instant) -> Option<News> {
    match outage {
        None if arrived => None,
        None => {
            *outage = Some(Outage { told: now, lost: 1 });
            Some(News::Lost(1))
        }
        Some(ended) if arrived => {
            let lost = ended.lost;
            *outage = None;
            Some(News::Over(lost))
        }
        Some(lasting) => {
            lasting.lost += 1;
            let due = now.duration_since(lasting.told) >= REMINDER;
            due.then(|| {
                lasting.told = now;
                News::Lost(lasting.lost)
            })
        }
    }
}

impl<E> Watched<E> {
    pub(super) fn new(signal: Signal, exporter: E) -> Self {
        Self {
            exporter,
            signal,
            outage: Mutex::new(None),
        }
    }

    fn tell<X: Display>(&self, result: Result<(), X>) -> Result<(), X> {
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        let news = observe(&mut outage, result.is_ok(), Instant::now());
        drop(outage);
        let signal = self.signal.name();
        match (news, &result) {
            (Some(News::Lost(batches)), Err(error)) => {
                tracing::warn!(
                    signal,
                    batches,
                    %error,
                    "the OTLP collector does not take telemetry: it is lost until it does; calls are not affected"
                );
            }
            (Some(News::Over(batches)), _) => {
                tracing::info!(signal, batches, "the OTLP collector takes telemetry again");
            }
            _ => {}
        }
        result
    }
}

impl<E: SpanExporter> SpanExporter for Watched<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.tell(self.exporter.export(batch).await)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: LogExporter> LogExporter for Watched<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        self.tell(self.exporter.export(batch).await)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Watched<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.tell(self.exporter.export(metrics).await)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_at_its_beginning_its_end_and_once_a_minute() {
        let mut outage = None;
        let start = Instant::now();
        let mut batch =
            |after, arrived| observe(&mut outage, arrived, start + Duration::from_secs(after));
        assert_eq!(batch(0, true), None);
        assert_eq!(batch(1, false), Some(News::Lost(1)));
        assert_eq!(batch(2, false), None);
        assert_eq!(batch(60, false), None);
        assert_eq!(batch(61, false), Some(News::Lost(4)));
        assert_eq!(batch(62, false), None);
        assert_eq!(batch(63, true), Some(News::Over(5)));
        assert_eq!(batch(64, true), None);
        assert_eq!(batch(65, false), Some(News::Lost(1)));
    }
}
