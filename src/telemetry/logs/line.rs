//! A line of the log, with the ids of the call that it is about.

use std::fmt;

use opentelemetry::logs::LogRecord as _;
use opentelemetry::trace::TraceFlags;
use opentelemetry::{InstrumentationScope, trace::SpanId};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Full, Json, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::telemetry::{call, semconv};

/// Adds the ids to text.
pub(super) struct Text(pub(super) Format<Full>);

impl<S, N> FormatEvent<S, N> for Text
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let line = formatted(&self.0, context, event)?;
        writer.write_str(line.trim_end_matches('\n'))?;
        call::with_current(|call| {
            write!(
                writer,
                " trace_id={} request_id={}",
                call.trace_id(),
                call.request_id()
            )
        })
        .unwrap_or(Ok(()))?;
        writeln!(writer)
    }
}

/// Adds the ids to JSON.
pub(super) struct Object(pub(super) Format<Json>);

impl<S, N> FormatEvent<S, N> for Object
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let line = formatted(&self.0, context, event)?;
        let object = line.trim_end_matches('\n');
        let Some(open) = object.strip_suffix('}') else {
            return writeln!(writer, "{object}");
        };
        writer.write_str(open)?;
        call::with_current(|call| {
            // A caller's id may hold what JSON quotes.
            let id = serde_json::to_string(call.request_id()).map_err(|_| fmt::Error)?;
            let trace = call.trace_id();
            write!(writer, ",\"trace_id\":\"{trace}\",\"request_id\":{id}")
        })
        .unwrap_or(Ok(()))?;
        writeln!(writer, "}}")
    }
}

/// The line as the library writes it.
fn formatted<F, S, N>(
    format: &F,
    context: &FmtContext<'_, S, N>,
    event: &Event<'_>,
) -> Result<String, fmt::Error>
where
    F: FormatEvent<S, N>,
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    let mut line = String::new();
    format.format_event(context, Writer::new(&mut line), event)?;
    Ok(line)
}

/// Adds the ids to records on their way to a collector.
#[derive(Debug)]
pub(super) struct Records;

impl LogProcessor for Records {
    fn emit(&self, record: &mut SdkLogRecord, _: &InstrumentationScope) {
        call::with_current(|call| {
            record.add_attribute(semconv::REQUEST_ID, call.request_id().to_owned());
            let (span, flags) = match call.server_span() {
                Some(span) => (span.span_id(), span.trace_flags()),
                None => (SpanId::INVALID, TraceFlags::NOT_SAMPLED),
            };
            record.set_trace_context(call.trace_id(), span, Some(flags));
        });
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }
}
