//! Traces: which calls are traced, and the way of their spans to a collector.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{
    SpanBuilder, SpanContext, SpanId, SpanKind, TraceContextExt as _, TraceId, Tracer as _,
    TracerProvider as _,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{
    IdGenerator, RandomIdGenerator, Sampler, SamplingDecision, SdkTracer, SdkTracerProvider,
    ShouldSample as _,
};

use super::call::Call;
use super::otlp::{self, Signal, shut_down};
use super::semconv;
use crate::VERSION;

/// Begins the calls of a gateway.
#[derive(Clone, Debug)]
pub(crate) struct Traces {
    exported: Option<Exported>,
}

/// What there is when traces go somewhere.
#[derive(Clone, Debug)]
struct Exported {
    tracer: SdkTracer,
    sampler: Arc<Sampler>,
}

/// The way to the collector. Dropped without a shutdown, it waits for nothing.
#[derive(Debug)]
pub(crate) struct Export(Option<SdkTracerProvider>);

impl Export {
    /// Sends what is left, within `limit`.
    pub(crate) async fn shut_down(mut self, limit: Duration) {
        if let Some(provider) = self.0.take() {
            shut_down(Signal::Traces, limit, move |limit| {
                provider.shutdown_with_timeout(limit)
            })
            .await;
        }
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        if let Some(provider) = &self.0 {
            // Else the SDK would wait for the collector, wherever the last
            // tracer is dropped. It answers that the time is up.
            let _ = provider.shutdown_with_timeout(Duration::ZERO);
        }
    }
}

impl Traces {
    /// Starts the export, if there is a collector. This runtime does the sending.
    ///
    /// # Errors
    /// When the exporter cannot be set up.
    pub(crate) fn start(settings: &otlp::Settings) -> Result<(Self, Export), otlp::Error> {
        let Some(exporter) = settings.span_exporter()? else {
            return Ok((Self { exported: None }, Export(None)));
        };
        let provider = SdkTracerProvider::builder()
            .with_resource(settings.resource())
            // What gets here was sampled before.
            .with_sampler(Sampler::AlwaysOn)
            .with_id_generator(Ids)
            .with_batch_exporter(exporter)
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
        };
        Ok((traces, Export(Some(provider))))
    }

    /// Begins a call. Whether it is traced is decided first: one that is not
    /// costs a trace id for the log and nothing else.
    pub(crate) fn begin(&self, headers: &HeaderMap, request_id: String, method: &Method) -> Call {
        let context =
            TraceContextPropagator::new().extract_with_context(&Context::new(), &Metadata(headers));
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
            return call;
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
    /// What the caller made up.
    Other(String),
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
            Self::Other(original) => attributes.extend([
                KeyValue::new(semconv::RPC_METHOD, semconv::METHOD_OTHER),
                KeyValue::new(semconv::RPC_METHOD_ORIGINAL, original.clone()),
            ]),
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

/// Metadata as propagators read it.
struct Metadata<'a>(&'a HeaderMap);

impl Extractor for Metadata<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}
