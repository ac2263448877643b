//! What traces, metrics and logs share on their way to a collector: OTLP over
//! gRPC, set by OpenTelemetry's own variables and nothing else. A signal is off
//! while no endpoint is set for it.
//!
//! Read here are the variables that decide what runs: `OTEL_SDK_DISABLED`,
//! `OTEL_SERVICE_NAME`, `OTEL_PROPAGATORS`, `OTEL_{TRACES,METRICS,LOGS}_EXPORTER`,
//! `OTEL_TRACES_SAMPLER`, its `_ARG`, the sizes of the queues
//! (`OTEL_{BSP,BLRP}_MAX_QUEUE_SIZE`), and of `OTEL_EXPORTER_OTLP_*`, for all
//! signals or for one, `ENDPOINT`, `PROTOCOL`, `CERTIFICATE`, `CLIENT_CERTIFICATE`
//! and `CLIENT_KEY`. The SDK reads the rest from the process's environment:
//! resource attributes, headers, time-outs, compression, and the sizes of batches.
//!
//! Source: "Environment Variable Specification" and "OTLP Exporter" of the
//! OpenTelemetry specification 1.50.

mod exit;
mod variables;

use opentelemetry::KeyValue;
use opentelemetry_otlp::{
    ExporterBuildError, LogExporter, MetricExporter, SpanExporter, WithExportConfig as _,
    WithTonicConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::Sampler;
use tonic::transport::ClientTlsConfig;
use uuid::Uuid;

use super::lost::{Lost, Room};
use super::outage::Watched;
use super::semconv;
use crate::VERSION;
use crate::config::{Mistake, Variables};
use variables::Reader;

pub(crate) use exit::{Exit, shut_down};

/// The name of the service unless a variable gives another.
pub const DEFAULT_SERVICE_NAME: &str = "face-liveness-gateway";

/// A kind of telemetry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Measurements.
    Metrics,
    /// Log records.
    Logs,
}

impl Signal {
    /// What the signal is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }

    /// The variable that sets `setting` for this signal only.
    fn variable(self, setting: &str) -> String {
        format!(
            "OTEL_EXPORTER_OTLP_{}_{setting}",
            self.name().to_uppercase()
        )
    }
}

/// Where each signal goes, and whose it is. The default sends nothing anywhere.
#[derive(Clone, Debug)]
pub struct Settings {
    resource: Resource,
    sampler: Sampler,
    joins_traces: bool,
    traces: Option<Collector>,
    metrics: Option<Collector>,
    logs: Option<Collector>,
    queues: Queues,
}

/// How many items may wait to be sent.
/// Source: "Batch Span Processor" and "Batch LogRecord Processor" of the
/// specification.
#[derive(Clone, Copy, Debug)]
struct Queues {
    spans: usize,
    records: usize,
}

const DEFAULT_QUEUES: Queues = Queues {
    spans: 2048,
    records: 2048,
};

/// Where a signal goes.
#[derive(Clone, Debug)]
struct Collector {
    endpoint: String,
    tls: Option<ClientTlsConfig>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            resource: resource(None),
            sampler: Sampler::ParentBased(Box::new(Sampler::AlwaysOn)),
            joins_traces: true,
            traces: None,
            metrics: None,
            logs: None,
            queues: DEFAULT_QUEUES,
        }
    }
}

impl Settings {
    /// Reads the variables; what is wrong is added to `mistakes`.
    #[must_use]
    pub fn read(variables: &Variables, mistakes: &mut Vec<Mistake>) -> Self {
        let mut reader = Reader {
            variables,
            mistakes,
        };
        let resource = resource(reader.get("OTEL_SERVICE_NAME"));
        let off = Self {
            resource,
            joins_traces: reader.joins_traces(),
            ..Self::default()
        };
        let disabled = reader.get("OTEL_SDK_DISABLED");
        if disabled.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return off;
        }
        Self {
            sampler: reader.sampler(),
            traces: reader.collector(Signal::Traces),
            metrics: reader.collector(Signal::Metrics),
            logs: reader.collector(Signal::Logs),
            queues: reader.queues(),
            ..off
        }
    }

    /// Who the telemetry is about: the same for all signals of a process.
    #[must_use]
    pub fn resource(&self) -> Resource {
        self.resource.clone()
    }

    /// Which traces to keep.
    #[must_use]
    pub fn sampler(&self) -> Sampler {
        self.sampler.clone()
    }

    /// Whether a call goes on with its caller's trace, if it is told of one.
    #[must_use]
    pub fn joins_traces(&self) -> bool {
        self.joins_traces
    }

    /// Whether the signal goes anywhere.
    #[must_use]
    pub fn exports(&self, signal: Signal) -> bool {
        self.collector(signal).is_some()
    }

    fn collector(&self, signal: Signal) -> Option<&Collector> {
        match signal {
            Signal::Traces => self.traces.as_ref(),
            Signal::Metrics => self.metrics.as_ref(),
            Signal::Logs => self.logs.as_ref(),
        }
    }

    /// The room for what waits to be sent; what does not fit is `lost`. Metrics
    /// do not wait.
    pub(super) fn room(&self, signal: Signal, lost: &Lost) -> Room {
        let places = match signal {
            Signal::Traces => self.queues.spans,
            Signal::Metrics => 0,
            Signal::Logs => self.queues.records,
        };
        Room::new(places, lost.clone())
    }

    /// What sends spans, if they go anywhere. Must be called in the runtime that
    /// is to do the sending.
    ///
    /// # Errors
    /// When the SDK does not take the settings.
    pub(super) fn span_exporter(
        &self,
        room: &Room,
    ) -> Result<Option<Watched<SpanExporter>>, Error> {
        let exporter = self.traces.as_ref().map(|collector| {
            let builder = SpanExporter::builder().with_tonic();
            let builder = builder.with_endpoint(&collector.endpoint);
            match collector.tls.clone() {
                Some(tls) => builder.with_tls_config(tls).build(),
                None => builder.build(),
            }
        });
        watched(Signal::Traces, exporter, room.clone())
    }

    /// As [`span_exporter`](Self::span_exporter), for metrics.
    ///
    /// # Errors
    /// When the SDK does not take the settings.
    pub(super) fn metric_exporter(&self) -> Result<Option<Watched<MetricExporter>>, Error> {
        let exporter = self.metrics.as_ref().map(|collector| {
            let builder = MetricExporter::builder().with_tonic();
            let builder = builder.with_endpoint(&collector.endpoint);
            match collector.tls.clone() {
                Some(tls) => builder.with_tls_config(tls).build(),
                None => builder.build(),
            }
        });
        let room = self.room(Signal::Metrics, &Lost::default());
        watched(Signal::Metrics, exporter, room)
    }

    /// As [`span_exporter`](Self::span_exporter), for log records.
    ///
    /// # Errors
    /// When the SDK does not take the settings.
    pub(super) fn log_exporter(&self, room: &Room) -> Result<Option<Watched<LogExporter>>, Error> {
        let exporter = self.logs.as_ref().map(|collector| {
            let builder = LogExporter::builder().with_tonic();
            let builder = builder.with_endpoint(&collector.endpoint);
            match collector.tls.clone() {
                Some(tls) => builder.with_tls_config(tls).build(),
                None => builder.build(),
            }
        });
        watched(Signal::Logs, exporter, room.clone())
    }
}

fn watched<E>(
    signal: Signal,
    exporter: Option<Result<E, ExporterBuildError>>,
    room: Room,
) -> Result<Option<Watched<E>>, Error> {
    let exporter = exporter.transpose();
    let exporter = exporter.map_err(|source| Error { signal, source })?;
    Ok(exporter.map(|exporter| Watched::new(signal, exporter, room)))
}

/// Why a signal cannot be exported.
#[derive(Debug, thiserror::Error)]
#[error("cannot export {} over OTLP: {source}; check the variables OTEL_EXPORTER_OTLP_*", signal.name())]
pub struct Error {
    signal: Signal,
    source: ExporterBuildError,
}

/// `OTEL_RESOURCE_ATTRIBUTES` wins over the defaults, `OTEL_SERVICE_NAME` over it.
fn resource(service_name: Option<&str>) -> Resource {
    let builder = Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes([
            KeyValue::new(semconv::SERVICE_NAME, DEFAULT_SERVICE_NAME),
            KeyValue::new(semconv::SERVICE_VERSION, VERSION),
            KeyValue::new(semconv::SERVICE_INSTANCE_ID, Uuid::new_v4().to_string()),
        ])
        .with_detector(Box::new(EnvResourceDetector::new()));
    match service_name {
        Some(name) => builder.with_service_name(name.to_owned()).build(),
        None => builder.build(),
    }
}
