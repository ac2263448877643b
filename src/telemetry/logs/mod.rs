//! The log: lines on standard error, as text or as JSON, and records for a
//! collector if there is one. Every line of a call carries its ids.

mod level;
mod limit;
mod line;

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{Format, JsonFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Layer, Registry};

use super::otlp::{self, Signal, shut_down};
use crate::config::{LogConfig, LogFormat};

pub use level::{Filter, InvalidFilter, LevelHandle, NotInCharge};
pub(crate) use limit::Limit;

/// The log of a process.
#[derive(Debug)]
pub struct Log {
    level: LevelHandle,
    exported: Option<SdkLoggerProvider>,
}

/// What writes the log: for `tracing` to install.
pub type Subscriber = Box<dyn tracing::Subscriber + Send + Sync>;

impl Log {
    /// Starts the log of this process. Must be called in the runtime that is to
    /// send records to the collector.
    ///
    /// # Errors
    /// When the exporter cannot be set up.
    pub fn start(config: LogConfig, otlp: &otlp::Settings) -> Result<Self, otlp::Error> {
        let ansi = io::stderr().is_terminal();
        let (log, subscriber) = Self::prepare(config, otlp, io::stderr, ansi)?;
        // A second start, as tests may make, keeps the first log.
        let _ = tracing::subscriber::set_global_default(subscriber);
        Ok(log)
    }

    /// As [`start`](Self::start), but installs nothing and writes to `writer`,
    /// in colours if `ansi`.
    ///
    /// # Errors
    /// When the exporter cannot be set up.
    pub fn prepare<W>(
        config: LogConfig,
        otlp: &otlp::Settings,
        writer: W,
        ansi: bool,
    ) -> Result<(Self, Subscriber), otlp::Error>
    where
        W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
    {
        let level = if config.debug {
            LevelFilter::DEBUG
        } else {
            LevelFilter::INFO
        };
        let (level, filter) = LevelHandle::new(Filter::from(level));
        let exported = export(otlp)?;
        let records = exported.as_ref().map(OpenTelemetryTracingBridge::new);
        let subscriber = tracing_subscriber::registry()
            .with(filter)
            .with(lines(config.format, writer, ansi))
            .with(records);
        Ok((Self { level, exported }, Box::new(subscriber)))
    }

    /// What changes the level.
    #[must_use]
    pub fn level(&self) -> LevelHandle {
        self.level.clone()
    }

    /// Sends what is left, within `limit`. Later lines go to standard error only.
    pub async fn shut_down(self, limit: Duration) {
        if let Some(provider) = self.exported {
            shut_down(Signal::Logs, limit, move |limit| {
                provider.shutdown_with_timeout(limit)
            })
            .await;
        }
    }
}

/// The registry under the filter that can be changed.
type Filtered = tracing_subscriber::layer::Layered<
    tracing_subscriber::reload::Layer<tracing_subscriber::filter::Targets, Registry>,
    Registry,
>;

fn lines<W>(format: LogFormat, writer: W, ansi: bool) -> Box<dyn Layer<Filtered> + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    match format {
        LogFormat::Text => {
            let text = line::Text(Format::default().with_ansi(ansi));
            layer.with_ansi(ansi).event_format(text).boxed()
        }
        LogFormat::Json => {
            let object = line::Object(Format::default().json().flatten_event(true));
            layer
                .fmt_fields(JsonFields::new())
                .event_format(object)
                .boxed()
        }
    }
}

fn export(otlp: &otlp::Settings) -> Result<Option<SdkLoggerProvider>, otlp::Error> {
    let Some(exporter) = otlp.log_exporter()? else {
        return Ok(None);
    };
    let provider = SdkLoggerProvider::builder()
        .with_resource(otlp.resource())
        .with_log_processor(line::Records)
        .with_batch_exporter(exporter)
        .build();
    Ok(Some(provider))
}
