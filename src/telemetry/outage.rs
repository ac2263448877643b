//! Tells the log when telemetry does not reach its collector: when that begins,
//! once a minute while it lasts, and when it ends. The SDK would tell of every
//! batch that cannot be sent, and of nothing that does not fit into its queues.

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

use super::lost::Room;
use super::otlp::Signal;

/// How often lasting trouble is told.
const REMINDER: Duration = Duration::from_secs(60);

/// An exporter whose troubles are told; see the module.
#[derive(Debug)]
pub(super) struct Watched<E> {
    exporter: E,
    signal: Signal,
    /// In the queue that the batches come from.
    room: Room,
    watch: Mutex<Watch>,
}

/// What there was, and what was told of it.
#[derive(Debug, Default)]
struct Watch {
    /// Batches that could not be sent since the last that was.
    failed: u64,
    /// Of the items that were lost since the start.
    told: u64,
    told_at: Option<Instant>,
}

/// What there is to say after a batch.
#[derive(Debug, Eq, PartialEq)]
enum News {
    /// So many batches in a row cannot be sent.
    Failing(u64),
    /// Batches arrive again; so many did not.
    Over(u64),
    /// Batches arrive, but not fast enough.
    Overrun,
}

impl Watch {
    /// Counts a batch; `lost` are all items that were lost since the start. Gives
    /// what is worth a line, and how many of these were not told of yet.
    fn observe(&mut self, arrived: bool, lost: u64, now: Instant) -> Option<(News, u64)> {
        let due = self
            .told_at
            .is_none_or(|at| now.duration_since(at) >= REMINDER);
        let news = match (arrived, self.failed) {
            (true, 0) => (due && lost > self.told).then_some(News::Overrun),
            (true, failed) => Some(News::Over(failed)),
            (false, failed) => (due || failed == 0).then_some(News::Failing(failed + 1)),
        };
        self.failed = if arrived { 0 } else { self.failed + 1 };
        let news = news?;
        self.told_at = Some(now);
        let untold = lost - std::mem::replace(&mut self.told, lost);
        Some((news, untold))
    }
}

impl<E> Watched<E> {
    /// Watches over what `exporter` does with the batches from a queue.
    pub(super) fn new(signal: Signal, exporter: E, room: Room) -> Self {
        Self {
            exporter,
            signal,
            room,
            watch: Mutex::default(),
        }
    }

    /// Tells of a batch of so many items, if there is something to tell.
    fn tell<X: Display>(&self, items: usize, result: Result<(), X>) -> Result<(), X> {
        if result.is_err() {
            self.room.lost().add(items);
        }
        let lost = self.room.lost().total();
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let news = watch.observe(result.is_ok(), lost, Instant::now());
        drop(watch);
        let signal = self.signal.name();
        match (news, &result) {
            (Some((News::Failing(batches), lost)), Err(error)) => tracing::warn!(
                signal,
                batches,
                lost,
                %error,
                "the OTLP collector does not take telemetry: it is lost until it does; calls are not affected"
            ),
            (Some((News::Over(batches), lost)), _) => tracing::info!(
                signal,
                batches,
                lost,
                "the OTLP collector takes telemetry again"
            ),
            (Some((News::Overrun, lost)), _) => tracing::warn!(
                signal,
                lost,
                "the OTLP collector does not take telemetry fast enough: what does not fit into the queue is lost; sample fewer traces, or enlarge the queue (OTEL_BSP_MAX_QUEUE_SIZE for traces, OTEL_BLRP_MAX_QUEUE_SIZE for logs)"
            ),
            _ => {}
        }
        result
    }
}

impl<E: SpanExporter> SpanExporter for Watched<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let items = batch.len();
        self.room.leave(items);
        self.tell(items, self.exporter.export(batch).await)
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
        let items = batch.iter().count();
        self.room.leave(items);
        self.tell(items, self.exporter.export(batch).await)
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
        // The next batch tells what this one would have told.
        self.tell(0, self.exporter.export(metrics).await)
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

    /// What is told of batches: after how many seconds each came, whether it
    /// arrived, and how many items were lost until then.
    fn told(batches: &[(u64, bool, u64)]) -> Vec<Option<(News, u64)>> {
        let start = Instant::now();
        let mut watch = Watch::default();
        let batches = batches.iter();
        batches
            .map(|(after, arrived, lost)| {
                watch.observe(*arrived, *lost, start + Duration::from_secs(*after))
            })
            .collect()
    }

    #[test]
    fn an_outage_is_told_at_its_beginning_its_end_and_once_a_minute() {
        let told = told(&[
            (0, true, 0),
            (1, false, 5),
            (2, false, 10),
            (60, false, 15),
            (61, false, 20),
            (62, false, 25),
            (63, true, 25),
            (64, true, 25),
        ]);
        let expected = [
            None,
            Some((News::Failing(1), 5)),
            None,
            None,
            Some((News::Failing(4), 15)),
            None,
            Some((News::Over(5), 5)),
            None,
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_does_not_fit_into_the_queue_is_told_once_a_minute() {
        let told = told(&[
            (0, true, 0),
            (1, true, 7),
            (2, true, 9),
            (61, true, 10),
            (200, true, 10),
        ]);
        let expected = [
            None,
            Some((News::Overrun, 7)),
            None,
            Some((News::Overrun, 3)),
            None,
        ];
        assert_eq!(told, expected);
    }
}
