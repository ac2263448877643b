//! Telemetry that is lost on its way to a collector, because nobody takes it or
//! not fast enough: counted, for a metric and the log to tell. The SDK's queues
//! drop what does not fit and say nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::logs::Severity;
use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

/// How many items of one kind were lost; a clone is another handle.
#[derive(Clone, Debug, Default)]
pub(super) struct Lost(Arc<AtomicU64>);

impl Lost {
    pub(super) fn add(&self, items: usize) {
        let items = u64::try_from(items).unwrap_or(u64::MAX);
        self.0.fetch_add(items, Ordering::Relaxed);
    }

    /// Since the start.
    pub(super) fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The places in a queue; a clone is another handle.
#[derive(Clone, Debug)]
pub(super) struct Room {
    places: usize,
    taken: Arc<AtomicUsize>,
    lost: Lost,
}

impl Room {
    /// So many places; who finds none is `lost`.
    pub(super) fn new(places: usize, lost: Lost) -> Self {
        Self {
            places,
            taken: Arc::default(),
            lost,
        }
    }

    /// Whether an item gets a place; else it is lost.
    fn enter(&self) -> bool {
        let next = |taken| (taken < self.places).then_some(taken + 1);
        let entered = self
            .taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        if entered.is_err() {
            self.lost.add(1);
        }
        entered.is_ok()
    }

    /// So many items have left the queue.
    pub(super) fn leave(&self, items: usize) {
        let next = |taken: usize| Some(taken.saturating_sub(items));
        // The update never refuses.
        let _ = self
            .taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    }

    pub(super) fn places(&self) -> usize {
        self.places
    }

    pub(super) fn lost(&self) -> &Lost {
        &self.lost
    }
}

/// A processor of the SDK with no less room in its queue than there is in the
/// [`Room`], so that it drops nothing by itself.
#[derive(Debug)]
pub(super) struct Bounded<P> {
    pub(super) processor: P,
    pub(super) room: Room,
}

impl<P: SpanProcessor> SpanProcessor for Bounded<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.processor.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if self.room.enter() {
            self.processor.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.processor.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.processor.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.processor.set_resource(resource);
    }
}

impl<P: LogProcessor> LogProcessor for Bounded<P> {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        if self.room.enter() {
            self.processor.emit(record, scope);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.processor.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.processor.shutdown_with_timeout(timeout)
    }

    fn event_enabled(&self, level: Severity, target: &str, name: Option<&str>) -> bool {
        self.processor.event_enabled(level, target, name)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.processor.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_place_is_lost_until_others_leave() {
        let room = Room::new(2, Lost::default());
        let entered = (0..5).filter(|_| room.enter()).count();
        assert_eq!((entered, room.lost().total()), (2, 3));
        room.leave(2);
        assert!(room.enter());
        assert_eq!(room.lost().total(), 3);
    }
}
