//! Traces: which calls are traced, and the way of their spans to a collector.

use std::cell::Cell;
use std::sync::Arc;

use http::HeaderMap;
use opentelemetry::trace::{
    SpanBuilder, SpanContext, SpanId, SpanKind, TraceContextExt as _, TraceId, Tracer as _,
    TracerProvider as _,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, IdGenerator, RandomIdGenerator, Sampler,
    SamplingDecision, SdkTracer, SdkTracerProvider, ShouldSample as _,
};

use super::call::Call;
use super::lost::{Bounded, Lost};
use super::otlp::{self, Exit, Signal};
use super::{propagation, semconv};
use crate::VERSION;

/// Begins the calls of a gateway.
#[derive(Clone, Debug)]
pub(crate) struct Traces {
    exported: Option<Exported>,
    /// Whether callers' traces are joined.
    joins: bool,
    lost: Lost,
}

/// What there is when traces go somewhere.
#[derive(Clone, Debug)]
struct Exported {
    tracer: SdkTracer,
    sampler: Arc<Sampler>,
}

impl Traces {
    /// Starts the export, if there is a collector. This runtime does the sending.
    ///
    /// # Errors
    /// When the exporter cannot be set up.
    pub(crate) fn start(settings: &otlp::Settings) -> Result<(Self, Option<Exit>), otlp::Error> {
        let lost = Lost::default();
        let room = settings.room(Signal::Traces, &lost);
        let off = Self {
            exported: None,
            joins: settings.joins_traces(),
            lost,
        };
        let Some(exporter) = settings.span_exporter(&room)? else {
            return Ok((off, None));
        };
        let queue = BatchConfigBuilder::default().with_max_queue_size(room.places());
        let processor = BatchSpanProcessor::builder(exporter)
            .with_batch_config(queue.build())
            .build();
        let provider = SdkTracerProvider::builder()
            .with_resource(settings.resource())
            // What gets here was sampled before.
            .with_sampler(Sampler::AlwaysOn)
            .with_id_generator(Ids)
            .with_span_processor(Bounded { processor, room })
            .build();
        let scope = InstrumentationScope::builder(env!("CARGO_PKG_NAME"))
            .with_version(VERSION)
            .with_schema_url(semconv::SCHEMA_URL)
            .build();
        let exported = Exported {
            tracer: provider.tracer_with_scope(scope),
            sampler: Arc::new(settings.sampler()),
        };
        let traces = Self {
            exported: Some(exported),
            ..off
        };
        let exit = Exit::new(Signal::Traces, move |limit| {
            provider.shutdown_with_timeout(limit)
        });
        Ok((traces, Some(exit)))
    }

    /// Spans that the collector did not take, since the start.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.total()
    }

    /// Begins a call. Whether it is traced is decided first: one that is not
    /// costs a trace id for the log and nothing else.
    pub(crate) fn begin(&self, headers: &HeaderMap, request_id: String, method: &Method) -> Call {
        let context = if self.joins {
            propagation::context(headers)
        } else {
            Context::new()
        };
        let parent = context
            .has_active_span()
            .then(|| context.span().span_context().clone());
        let trace_id = parent
            .as_ref()
            .map_or_else(new_trace_id, SpanContext::trace_id);
        let call = Call::new(request_id, trace_id, parent.clone());
        let Some(Exported { tracer, sampler }) = &self.exported else {
            return call;
        };
        let name = method.span_name();
        let sampled = sampler.should_sample(
            parent.is_some().then_some(&context),
            trace_id,
            name,
            &SpanKind::Server,
            &[],
            &[],
        );
        if sampled.decision != SamplingDecision::RecordAndSample {
            return call.left_out();
        }
        CHOSEN.set(Some(trace_id));
        let builder = SpanBuilder::from_name(name.to_owned())
            .with_kind(SpanKind::Server)
            .with_attributes(method.attributes());
        let span = tracer.build_with_context(builder, &context);
        call.sampled(tracer.clone(), span)
    }
}

/// The method that is called.
#[derive(Clone, Debug)]
pub(crate) enum Method {
    /// One that there is.
    Known(Arc<str>),
    /// One that there is not, and its name if it has one.
    Other(Option<String>),
}

impl Method {
    /// A name of which there are only few.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Known(name) => name,
            Self::Other(_) => semconv::METHOD_OTHER,
        }
    }

    fn span_name(&self) -> &str {
        match self {
            Self::Known(name) => name,
            Self::Other(_) => semconv::GRPC,
        }
    }

    fn attributes(&self) -> Vec<KeyValue> {
        let mut attributes = vec![KeyValue::new(semconv::RPC_SYSTEM_NAME, semconv::GRPC)];
        match self {
            Self::Known(name) => {
                attributes.push(KeyValue::new(semconv::RPC_METHOD, Arc::clone(name)));
            }
            Self::Other(original) => {
                attributes.push(KeyValue::new(semconv::RPC_METHOD, semconv::METHOD_OTHER));
                let original = original.clone();
                attributes
                    .extend(original.map(|name| KeyValue::new(semconv::RPC_METHOD_ORIGINAL, name)));
            }
        }
        attributes
    }
}

thread_local! {
    /// The trace id of the span that this thread is about to build, if it has
    /// no parent to take one from: it was sampled by this id.
    static CHOSEN: Cell<Option<TraceId>> = const { Cell::new(None) };
}

/// Ids at random, but for the trace ids that were chosen before.
#[derive(Debug)]
struct Ids;

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        CHOSEN.take().unwrap_or_else(new_trace_id)
    }

    fn new_span_id(&self) -> SpanId {
        RandomIdGenerator::default().new_span_id()
    }
}

fn new_trace_id() -> TraceId {
    RandomIdGenerator::default().new_trace_id()
}
