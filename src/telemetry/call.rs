//! The call that the running code works for: what the log writes on every line
//! of it, and where its spans and facts are gathered.
//!
//! It travels as a task-local, so that what makes the sessions need not know of
//! gRPC to tell of it. Outside a call everything here does nothing; in a call that
//! is not sampled no span is built.

mod wait;

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt as _, TraceId,
    Tracer as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, Span};
use tonic::Code;

use super::semconv;
use crate::region::Region;

pub(crate) use wait::Wait;

tokio::task_local! {
    static CURRENT: Arc<Call>;
}

/// One incoming call.
pub(crate) struct Call {
    request_id: String,
    /// Of the caller's trace, if it sent one.
    trace_id: TraceId,
    /// The caller's span.
    parent: Option<SpanContext>,
    /// Whether the trace is kept, by whoever decides it: the gateway if it exports
    /// traces, else the caller.
    kept: Option<bool>,
    /// None if the call is not sampled.
    spans: Option<Spans>,
    facts: Mutex<Facts>,
}

/// The server span, and what makes the spans below it.
struct Spans {
    tracer: SdkTracer,
    server: Context,
}

/// What is learnt of a call on its way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) caller: Option<String>,
    pub(crate) region: Option<Region>,
    /// Attempts at AWS.
    pub(crate) attempts: u32,
    /// Time in the queue for the account's quota, over all attempts.
    pub(crate) queue_time: Option<Duration>,
    pub(crate) aws_request_id: Option<String>,
    pub(crate) replayed: Option<bool>,
    /// What the next attempt waited.
    waited: Option<Duration>,
    /// The span of the attempt under way.
    attempt: Option<SpanContext>,
}

impl Call {
    pub(super) fn new(request_id: String, trace_id: TraceId, parent: Option<SpanContext>) -> Self {
        Self {
            request_id,
            trace_id,
            kept: parent.as_ref().map(SpanContext::is_sampled),
            parent,
            spans: None,
            facts: Mutex::default(),
        }
    }

    pub(super) fn sampled(self, tracer: SdkTracer, server: Span) -> Self {
        Self {
            spans: Some(Spans {
                tracer,
                server: Context::new().with_span(server),
            }),
            kept: Some(true),
            ..self
        }
    }

    /// Others are traced, this call is not.
    pub(super) fn left_out(self) -> Self {
        Self {
            kept: Some(false),
            ..self
        }
    }

    /// Runs `work` as part of this call.
    pub(crate) fn enter<T>(self: &Arc<Self>, work: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(Arc::clone(self), work)
    }

    pub(crate) fn request_id(&self) -> &str {
        &self.request_id
    }

    pub(crate) fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    /// The server span, if the call is sampled.
    pub(super) fn server_span(&self) -> Option<SpanContext> {
        let spans = self.spans.as_ref()?;
        Some(spans.server.span().span_context().clone())
    }

    pub(crate) fn facts(&self) -> Facts {
        self.lock().clone()
    }

    /// Ends the server span.
    pub(crate) fn end(&self, code: Code, reason: Option<&str>) {
        let Some(spans) = &self.spans else { return };
        let span = spans.server.span();
        let name = semconv::code_name(code);
        span.set_attribute(KeyValue::new(semconv::RPC_RESPONSE_STATUS_CODE, name));
        span.set_attributes(attributes(&self.lock()));
        if semconv::is_server_error(code) {
            span.set_attribute(KeyValue::new(semconv::ERROR_TYPE, name));
            let description = reason.unwrap_or_default().to_owned();
            span.set_status(Status::error(description));
        }
        span.end();
    }

    fn event(&self, name: &'static str, attributes: impl FnOnce() -> Vec<KeyValue>) {
        if let Some(spans) = &self.spans {
            spans.server.span().add_event(name, attributes());
        }
    }

    fn begin_attempt(&self, region: &Region) -> Option<Span> {
        let mut facts = self.lock();
        facts.attempts += 1;
        let (number, waited) = (facts.attempts, facts.waited.take());
        let spans = self.spans.as_ref()?;
        let queue_time = waited.map(|waited| seconds(semconv::QUEUE_TIME, waited));
        let attributes = [
            KeyValue::new(semconv::RPC_SYSTEM_NAME, semconv::AWS_API),
            KeyValue::new(semconv::RPC_METHOD, semconv::CREATE_AT_AWS),
            KeyValue::new(semconv::CLOUD_REGION, region.to_string()),
            KeyValue::new(semconv::ATTEMPT, i64::from(number)),
        ];
        let builder = SpanBuilder::from_name(semconv::CREATE_AT_AWS_SPAN)
            .with_kind(SpanKind::Client)
            .with_attributes(attributes.into_iter().chain(queue_time));
        let span = spans.tracer.build_with_context(builder, &spans.server);
        facts.attempt = Some(span.span_context().clone());
        Some(span)
    }

    /// No panic leaves the facts half written.
    fn lock(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("request_id", &self.request_id)
            .field("trace_id", &self.trace_id)
            .field("sampled", &self.spans.is_some())
            .finish_non_exhaustive()
    }
}

fn attributes(facts: &Facts) -> impl Iterator<Item = KeyValue> {
    let text =
        |key: &'static str, value: Option<String>| value.map(|value| KeyValue::new(key, value));
    let region = facts.region.as_ref().map(ToString::to_string);
    let attempts =
        (facts.attempts > 0).then(|| KeyValue::new(semconv::ATTEMPTS, i64::from(facts.attempts)));
    let queue_time = facts
        .queue_time
        .map(|time| seconds(semconv::QUEUE_TIME, time));
    let replayed = facts
        .replayed
        .map(|replayed| KeyValue::new(semconv::REPLAYED, replayed));
    [
        text(semconv::CALLER, facts.caller.clone()),
        text(semconv::CLOUD_REGION, region),
        text(semconv::AWS_REQUEST_ID, facts.aws_request_id.clone()),
        attempts,
        queue_time,
        replayed,
    ]
    .into_iter()
    .flatten()
}

fn seconds(key: &'static str, time: Duration) -> KeyValue {
    KeyValue::new(key, time.as_secs_f64())
}

/// The call that the running code works for.
pub(crate) fn current() -> Option<Arc<Call>> {
    CURRENT.try_with(Arc::clone).ok()
}

/// Reads the current call, if there is one, without keeping it.
pub(crate) fn with_current<T>(read: impl FnOnce(&Call) -> T) -> Option<T> {
    CURRENT.try_with(|call| read(call)).ok()
}

/// Keeps `work` a part of the call that is current now, whoever drives it.
pub(crate) fn carry<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let call = current();
    async move {
        match call {
            Some(call) => CURRENT.scope(call, work).await,
            None => work.await,
        }
    }
}

/// Adds to what is known of the current call.
pub(crate) fn note(learnt: impl FnOnce(&mut Facts)) {
    with_current(|call| learnt(&mut call.lock()));
}

/// Tells that the ledger had an answer: a session, or a call under way.
pub(crate) fn ledger_hit(found: &'static str) {
    with_current(|call| {
        call.event(semconv::LEDGER_EVENT, || {
            vec![KeyValue::new(semconv::LEDGER_FOUND, found)]
        });
    });
}

/// Tells that an attempt failed for `cause` and there will be another.
pub(crate) fn retry(cause: &'static str, pause: Duration) {
    with_current(|call| {
        call.event(semconv::RETRY_EVENT, || {
            vec![
                KeyValue::new(semconv::ERROR_TYPE, cause),
                seconds(semconv::RETRY_PAUSE, pause),
            ]
        });
    });
}

/// The current attempt as AWS's own tracing takes it, for the header
/// `x-amzn-trace-id`. Whether the trace is kept is told if somebody knows.
/// Source: "Tracing header" of the AWS X-Ray developer guide.
pub(crate) fn aws_trace_header() -> Option<String> {
    with_current(|call| {
        let attempt = call.lock().attempt.clone();
        let parent = attempt.as_ref().or(call.parent.as_ref());
        let trace = call.trace_id.to_string();
        let (time, random) = trace.split_at(8);
        let parent = match parent {
            Some(parent) => Cow::Owned(format!(";Parent={}", parent.span_id())),
            None => Cow::Borrowed(""),
        };
        let sampled = call.kept.map(|kept| format!(";Sampled={}", u8::from(kept)));
        let sampled = sampled.unwrap_or_default();
        format!("Root=1-{time}-{random}{parent}{sampled}")
    })
}

/// An attempt at AWS: a client span. Dropped before it ended, it was given up.
#[derive(Debug)]
pub(crate) struct Attempt(Option<Span>);

impl Attempt {
    pub(crate) fn begin(region: &Region) -> Self {
        Self(with_current(|call| call.begin_attempt(region)).flatten())
    }

    /// Ends with AWS's answer, or with the kind of failure.
    pub(crate) fn end(&mut self, failure: Option<&'static str>, request_id: Option<&str>) {
        let Some(mut span) = self.0.take() else {
            return;
        };
        if let Some(id) = request_id {
            span.set_attribute(KeyValue::new(semconv::AWS_REQUEST_ID, id.to_owned()));
        }
        if let Some(kind) = failure {
            span.set_attribute(KeyValue::new(semconv::ERROR_TYPE, kind));
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.end(Some("cancelled"), None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use opentelemetry::trace::{SpanId, TraceFlags, TraceState};

    const TRACE: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;

    fn call(request_id: &str) -> Arc<Call> {
        Arc::new(Call::new(request_id.to_owned(), TraceId::from(TRACE), None))
    }

    fn current_id() -> Option<String> {
        with_current(|call| call.request_id().to_owned())
    }

    #[tokio::test]
    async fn what_is_carried_stays_its_calls_whoever_drives_it() {
        let leader = call("leader");
        let shared = leader.enter(|| carry(async { current_id() }));
        let shared = shared.boxed().shared();
        let follower = call("follower");
        let (seen, own) = CURRENT
            .scope(follower, async { (shared.await, current_id()) })
            .await;
        assert_eq!(seen.as_deref(), Some("leader"));
        assert_eq!(own.as_deref(), Some("follower"));
        assert_eq!(current_id(), None);
    }

    #[test]
    fn aws_is_told_of_the_sampling_what_is_known() {
        let root = "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736";
        let header = |call: Call| Arc::new(call).enter(aws_trace_header).unwrap();
        let nobodys = || Call::new(String::new(), TraceId::from(TRACE), None);
        assert_eq!(header(nobodys()), root);
        assert_eq!(header(nobodys().left_out()), format!("{root};Sampled=0"));
        let parent = SpanContext::new(
            TraceId::from(TRACE),
            SpanId::from(0xf0_67aa_0ba9_02b7),
            TraceFlags::SAMPLED,
            true,
            TraceState::default(),
        );
        let callers = Call::new(String::new(), TraceId::from(TRACE), Some(parent));
        let expected = format!("{root};Parent=00f067aa0ba902b7;Sampled=1");
        assert_eq!(header(callers), expected);
        assert_eq!(aws_trace_header(), None);
    }
}
