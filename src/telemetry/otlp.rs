//! What traces, metrics and logs share on their way to a collector: OTLP over
//! gRPC, set by OpenTelemetry's own variables and nothing else. A signal is off
//! while no endpoint is set for it.
//!
//! Read here are the variables that decide what runs: `OTEL_SDK_DISABLED`,
//! `OTEL_SERVICE_NAME`, `OTEL_{TRACES,METRICS,LOGS}_EXPORTER`,
//! `OTEL_TRACES_SAMPLER`, its `_ARG`, and of `OTEL_EXPORTER_OTLP_*`, for all
//! signals or for one, `ENDPOINT`, `PROTOCOL` and `CERTIFICATE`. The SDK reads the
//! rest from the process's environment: resource attributes, headers, time-outs,
//! compression, and the sizes of queues and batches.
//!
//! Source: "Environment Variable Specification" and "OTLP Exporter" of the
//! OpenTelemetry specification 1.50.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_otlp::{
    ExporterBuildError, LogExporter, MetricExporter, SpanExporter, WithExportConfig as _,
    WithTonicConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::Sampler;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
use uuid::Uuid;

use super::outage::Watched;
use super::semconv;
use crate::VERSION;
use crate::config::{Mistake, Variables};

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
    traces: Option<Collector>,
    metrics: Option<Collector>,
    logs: Option<Collector>,
}

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
            traces: None,
            metrics: None,
            logs: None,
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

    /// What sends spans, if they go anywhere. Must be called in the runtime that
    /// is to do the sending.
    ///
    /// # Errors
    /// When the SDK does not take the settings.
    pub fn span_exporter(&self) -> Result<Option<Watched<SpanExporter>>, Error> {
        let exporter = self.traces.as_ref().map(|collector| {
            let builder = SpanExporter::builder().with_tonic();
            let builder = builder.with_endpoint(&collector.endpoint);
            match collector.tls.clone() {
                Some(tls) => builder.with_tls_config(tls).build(),
                None => builder.build(),
            }
        });
        watched(Signal::Traces, exporter)
    }

    /// As [`span_exporter`](Self::span_exporter), for metrics.
    ///
    /// # Errors
    /// When the SDK does not take the settings.
    pub fn metric_exporter(&self) -> Result<Option<Watched<MetricExporter>>, Error> {
        let exporter = self.metrics.as_ref().map(|collector| {
            let builder = MetricExporter::builder().with_tonic();
            let builder = builder.with_endpoint(&collector.endpoint);
            match collector.tls.clone() {
                Some(tls) => builder.with_tls_config(tls).build(),
                None => builder.build(),
            }
        });
        watched(Signal::Metrics, exporter)
    }

    /// As [`span_exporter`](Self::span_exporter), for log records.
    ///
    /// # Errors
    /// When the SDK does not take the settings.
    pub fn log_exporter(&self) -> Result<Option<Watched<LogExporter>>, Error> {
        let exporter = self.logs.as_ref().map(|collector| {
            let builder = LogExporter::builder().with_tonic();
            let builder = builder.with_endpoint(&collector.endpoint);
            match collector.tls.clone() {
                Some(tls) => builder.with_tls_config(tls).build(),
                None => builder.build(),
            }
        });
        watched(Signal::Logs, exporter)
    }
}

fn watched<E>(
    signal: Signal,
    exporter: Option<Result<E, ExporterBuildError>>,
) -> Result<Option<Watched<E>>, Error> {
    let exporter = exporter.transpose();
    let exporter = exporter.map_err(|source| Error { signal, source })?;
    Ok(exporter.map(|exporter| Watched::new(signal, exporter)))
}

/// Why a signal cannot be exported.
#[derive(Debug, thiserror::Error)]
#[error("cannot export {} over OTLP: {source}; check the variables OTEL_EXPORTER_OTLP_*", signal.name())]
pub struct Error {
    signal: Signal,
    source: ExporterBuildError,
}

/// Shuts a provider of the SDK down: sends what it still holds, within `limit`.
/// The SDK's call blocks, so it gets a thread of its own.
pub async fn shut_down(
    signal: Signal,
    limit: Duration,
    shut_down: impl FnOnce(Duration) -> OTelSdkResult + Send + 'static,
) {
    let done = tokio::task::spawn_blocking(move || shut_down(limit));
    match tokio::time::timeout(limit, done).await {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(error))) => {
            tracing::warn!(signal = signal.name(), %error, "not all telemetry was sent");
        }
        Ok(Err(error)) => {
            tracing::warn!(signal = signal.name(), %error, "not all telemetry was sent");
        }
        Err(_elapsed) => {
            tracing::warn!(
                signal = signal.name(),
                ?limit,
                "not all telemetry was sent in time"
            );
        }
    }
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

/// Reads variables and notes what is wrong with them.
struct Reader<'a> {
    variables: &'a Variables,
    mistakes: &'a mut Vec<Mistake>,
}

impl<'a> Reader<'a> {
    /// The specification counts an empty variable as not set.
    fn get(&self, name: &str) -> Option<&'a str> {
        let value = self.variables.get(name)?.trim();
        (!value.is_empty()).then_some(value)
    }

    /// The variable of the signal, else that of all signals, and its name.
    fn of_signal(&self, signal: Signal, setting: &str) -> Option<(String, &'a str)> {
        let names = [
            signal.variable(setting),
            format!("OTEL_EXPORTER_OTLP_{setting}"),
        ];
        names
            .into_iter()
            .find_map(|name| self.get(&name).map(|value| (name, value)))
    }

    fn mistake(&mut self, place: impl Into<String>, problem: impl Into<String>) {
        self.mistakes.push(Mistake {
            place: place.into(),
            problem: problem.into(),
        });
    }

    fn collector(&mut self, signal: Signal) -> Option<Collector> {
        let exporter = format!("OTEL_{}_EXPORTER", signal.name().to_uppercase());
        match self.get(&exporter) {
            Some("none") => return None,
            Some("otlp") | None => {}
            Some(other) => {
                self.mistake(exporter, format!("must be otlp or none, not {other}"));
            }
        }
        let (place, endpoint) = self.of_signal(signal, "ENDPOINT")?;
        if let Some((place, protocol)) = self.of_signal(signal, "PROTOCOL")
            && protocol != "grpc"
        {
            self.mistake(
                place,
                format!("must be grpc, the only protocol spoken here, not {protocol}; collectors take it on port 4317"),
            );
        }
        let secure = match endpoint.split_once("://") {
            Some(("http", _)) => false,
            Some(("https", _)) => true,
            _ => {
                self.mistake(
                    place,
                    "must begin with http:// or https://, such as http://127.0.0.1:4317",
                );
                return None;
            }
        };
        if let Err(error) = Endpoint::from_shared(endpoint.to_owned()) {
            self.mistake(
                place,
                format!("{error}; write it like http://127.0.0.1:4317"),
            );
        }
        Some(Collector {
            endpoint: endpoint.to_owned(),
            tls: secure.then(|| self.tls(signal)),
        })
    }

    /// The system's authorities, or those in the file that a variable names.
    fn tls(&mut self, signal: Signal) -> ClientTlsConfig {
        let tls = ClientTlsConfig::new();
        let Some((place, path)) = self.of_signal(signal, "CERTIFICATE") else {
            return tls.with_enabled_roots();
        };
        match std::fs::read(path) {
            Ok(pem) => tls.ca_certificate(Certificate::from_pem(pem)),
            Err(error) => {
                self.mistake(place, format!("cannot read {path}: {error}"));
                tls
            }
        }
    }

    fn sampler(&mut self) -> Sampler {
        const NAME: &str = "OTEL_TRACES_SAMPLER";
        let parent_based = |root| Sampler::ParentBased(Box::new(root));
        match self.get(NAME).unwrap_or("parentbased_always_on") {
            "always_on" => Sampler::AlwaysOn,
            "always_off" => Sampler::AlwaysOff,
            "traceidratio" => Sampler::TraceIdRatioBased(self.ratio()),
            "parentbased_always_on" => parent_based(Sampler::AlwaysOn),
            "parentbased_always_off" => parent_based(Sampler::AlwaysOff),
            "parentbased_traceidratio" => parent_based(Sampler::TraceIdRatioBased(self.ratio())),
            other => {
                self.mistake(NAME, format!(
                    "must be always_on, always_off or traceidratio, or one of them after parentbased_, not {other}"
                ));
                Sampler::AlwaysOff
            }
        }
    }

    /// Unset means every trace, as the specification says.
    fn ratio(&mut self) -> f64 {
        const NAME: &str = "OTEL_TRACES_SAMPLER_ARG";
        let Some(text) = self.get(NAME) else {
            return 1.0;
        };
        match text.parse() {
            Ok(ratio) if (0.0..=1.0).contains(&ratio) => ratio,
            _ => {
                self.mistake(NAME, format!("must be a number from 0 to 1, not {text}"));
                0.0
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNALS: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];

    fn read(pairs: &[(&str, &str)]) -> (Settings, Vec<String>) {
        let pairs = pairs.iter();
        let variables = pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut mistakes = Vec::new();
        let settings = Settings::read(&variables.collect(), &mut mistakes);
        let mistakes = mistakes.iter().map(ToString::to_string).collect();
        (settings, mistakes)
    }

    /// Which signals go somewhere, when nothing is wrong.
    fn exported(pairs: &[(&str, &str)]) -> [bool; 3] {
        let (settings, mistakes) = read(pairs);
        assert_eq!(mistakes, Vec::<String>::new());
        SIGNALS.map(|signal| settings.exports(signal))
    }

    const ALL: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317");

    #[test]
    fn a_signal_is_off_until_an_endpoint_is_set_for_it() {
        let traces = (
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "https://collector:4317",
        );
        assert_eq!(exported(&[]), [false; 3]);
        assert_eq!(
            exported(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]),
            [false; 3]
        );
        assert_eq!(exported(&[ALL]), [true; 3]);
        assert_eq!(exported(&[traces]), [true, false, false]);
    }

    #[test]
    fn a_signal_can_be_switched_off_and_so_can_all() {
        assert_eq!(
            exported(&[ALL, ("OTEL_TRACES_EXPORTER", "none")]),
            [false, true, true]
        );
        assert_eq!(
            exported(&[ALL, ("OTEL_METRICS_EXPORTER", "none")]),
            [true, false, true]
        );
        assert_eq!(
            exported(&[ALL, ("OTEL_LOGS_EXPORTER", "none")]),
            [true, true, false]
        );
        assert_eq!(exported(&[ALL, ("OTEL_SDK_DISABLED", "TRUE")]), [false; 3]);
    }

    #[test]
    fn what_cannot_be_done_is_told_with_its_place() {
        let cases = [
            (
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
                "must be grpc",
            ),
            (
                ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/json"),
                "must be grpc",
            ),
            (
                ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4317"),
                "must begin with http",
            ),
            (("OTEL_TRACES_EXPORTER", "console"), "must be otlp or none"),
            (
                ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
                "must be always_on",
            ),
        ];
        for ((name, value), problem) in cases {
            let (_, mistakes) = read(&[ALL, (name, value)]);
            let told = mistakes.first().map(String::as_str).unwrap_or_default();
            assert!(
                told.starts_with(&format!("{name}: {problem}")),
                "{mistakes:?}"
            );
        }
        let ratio = [
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "2"),
        ];
        assert_eq!(
            read(&ratio).1,
            ["OTEL_TRACES_SAMPLER_ARG: must be a number from 0 to 1, not 2"]
        );
    }

    #[test]
    fn an_authority_that_cannot_be_read_is_told() {
        let (_, mistakes) = read(&[
            (
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
                "https://collector:4317",
            ),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem"),
        ]);
        assert!(
            mistakes[0].starts_with("OTEL_EXPORTER_OTLP_CERTIFICATE: cannot read /nowhere/ca.pem"),
            "{mistakes:?}"
        );
    }

    #[test]
    fn the_sampler_is_what_the_specification_names() {
        let sampler = |name, argument| {
            let pairs = [
                ("OTEL_TRACES_SAMPLER", name),
                ("OTEL_TRACES_SAMPLER_ARG", argument),
            ];
            format!("{:?}", read(&pairs).0.sampler())
        };
        assert_eq!(sampler("", ""), "ParentBased(AlwaysOn)");
        assert_eq!(sampler("always_off", ""), "AlwaysOff");
        assert_eq!(
            sampler("parentbased_traceidratio", "0.25"),
            "ParentBased(TraceIdRatioBased(0.25))"
        );
        assert_eq!(sampler("traceidratio", ""), "TraceIdRatioBased(1.0)");
    }

    #[test]
    fn the_service_has_a_name_a_version_and_an_instance() {
        let get = |pairs, key: &'static str| {
            let value = read(pairs).0.resource().get(&key.into());
            value.map(|value| value.to_string())
        };
        assert_eq!(get(&[], "service.name").unwrap(), DEFAULT_SERVICE_NAME);
        assert_eq!(
            get(&[("OTEL_SERVICE_NAME", "other")], "service.name").unwrap(),
            "other"
        );
        assert_eq!(get(&[], "service.version").unwrap(), VERSION);
        assert_eq!(get(&[], "service.instance.id").unwrap().len(), 36);
    }
}
