//! The log: lines on standard error, as text or as JSON, and records for a
//! collector if there is one. Every line of a call carries its ids.

mod level;
mod limit;
mod line;
mod panics;
mod stderr;

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::logs::{BatchConfigBuilder, BatchLogProcessor, SdkLoggerProvider};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{Format, JsonFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Layer, Registry};

use super::lost::{Bounded, Lost};
use super::otlp::{self, Exit, Signal};
use crate::config::{LogConfig, LogFormat};

pub use level::{Filter, InvalidFilter, LevelHandle, NotInCharge};
pub(crate) use limit::Limit;

/// The log of a process. Dropped, it waits a moment for its lines to be written.
#[derive(Debug)]
pub struct Log {
    handle: Handle,
    /// Writes them, if nobody else does.
    _lines: Option<stderr::Lines>,
}

/// What a gateway is handed of the log; a clone is another handle.
#[derive(Clone, Debug)]
pub struct Handle {
    level: LevelHandle,
    /// The way of records to the collector, if they go there.
    exported: Option<SdkLoggerProvider>,
    lost_lines: stderr::LostLines,
    lost_records: Lost,
}

/// What writes the log: for `tracing` to install.
pub type Subscriber = Box<dyn tracing::Subscriber + Send + Sync>;

impl Log {
    /// Starts the log of this process: lines on standard error, panics among
    /// them. Must be called in the runtime that is to send records to the
    /// collector.
    ///
    /// # Errors
    /// When the exporter cannot be set up.
    pub fn start(config: LogConfig, otlp: &otlp::Settings) -> Result<Self, otlp::Error> {
        let ansi = io::stderr().is_terminal();
        let (writer, lines, lost_lines) = stderr::start();
        let (log, subscriber) = Self::prepare(config, otlp, writer, ansi)?;
        // A second start, as tests may make, keeps the first log.
        let _ = tracing::subscriber::set_global_default(subscriber);
        panics::tell_in_log();
        Ok(Self {
            handle: Handle {
                lost_lines,
                ..log.handle
            },
            _lines: Some(lines),
        })
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
        let lost_records = Lost::default();
        let exported = export(otlp, &lost_records)?;
        let records = exported.as_ref().map(OpenTelemetryTracingBridge::new);
        let subscriber = tracing_subscriber::registry()
            .with(filter)
            .with(lines(config.format, writer, ansi))
            .with(records);
        let handle = Handle {
            level,
            exported,
            lost_lines: stderr::LostLines::default(),
            lost_records,
        };
        let log = Self {
            handle,
            _lines: None,
        };
        Ok((log, Box::new(subscriber)))
    }

    /// For a gateway, to change the level and to tell what was lost.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Sends records that are left to the collector, within `limit`; later ones
    /// are lines only. Does nothing if a gateway has done so.
    pub async fn shut_down(&self, limit: Duration) {
        otlp::shut_down(limit, self.handle.exit()).await;
    }
}

impl Handle {
    /// What changes the level.
    #[must_use]
    pub fn level(&self) -> LevelHandle {
        self.level.clone()
    }

    /// Sends records that are left to the collector.
    pub(crate) fn exit(&self) -> Option<Exit> {
        let provider = self.exported.clone()?;
        Some(Exit::new(Signal::Logs, move |limit| {
            provider.shutdown_with_timeout(limit)
        }))
    }

    /// Lines that were not written, since the start.
    pub(crate) fn lost_lines(&self) -> u64 {
        self.lost_lines.total()
    }

    /// Records that the collector did not take, since the start.
    pub(crate) fn lost_records(&self) -> u64 {
        self.lost_records.total()
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

fn export(otlp: &otlp::Settings, lost: &Lost) -> Result<Option<SdkLoggerProvider>, otlp::Error> {
    let room = otlp.room(Signal::Logs, lost);
    let Some(exporter) = otlp.log_exporter(&room)? else {
        return Ok(None);
    };
    let queue = BatchConfigBuilder::default().with_max_queue_size(room.places());
    let processor = BatchLogProcessor::builder(exporter)
        .with_batch_config(queue.build())
        .build();
    let provider = SdkLoggerProvider::builder()
        .with_resource(otlp.resource())
        .with_log_processor(line::Records)
        .with_log_processor(Bounded { processor, room })
        .build();
    Ok(Some(provider))
}
