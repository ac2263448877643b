//! Makes a call one that can be told of: decides whether it is traced, opens its
//! server span, and when it has ended closes the span and has its line written.
//! A call that is dropped, because the client hung up, counts as cancelled.
//!
//! Sits inside the request id, which it takes, and outside all that refuses, so
//! that every answer is seen. A call ends with its status, which stands in the
//! headers of a refusal and after the body of all else.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tower::{Layer, Service};

use super::access_log::{AccessLog, Ended};
use super::method::Methods;
use super::request_id;
use crate::telemetry::call::Call;
use crate::telemetry::traces::{Method, Traces};

/// Traces calls; see the module.
#[derive(Clone, Debug)]
pub(crate) struct TraceLayer {
    traces: Traces,
    methods: Methods,
    log: Arc<AccessLog>,
}

impl TraceLayer {
    pub(crate) fn new(traces: Traces, methods: Methods, log: Arc<AccessLog>) -> Self {
        Self {
            traces,
            methods,
            log,
        }
    }
}

impl<S> Layer<S> for TraceLayer {
    type Service = TraceService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        TraceService {
            inner,
            layer: self.clone(),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct TraceService<S> {
    inner: S,
    layer: TraceLayer,
}

impl<S, B> Service<Request<B>> for TraceService<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Traced<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let TraceLayer {
            traces,
            methods,
            log,
        } = &self.layer;
        let method = methods.method(request.uri().path());
        let request_id = request_id(request.extensions()).unwrap_or_default();
        let call = Arc::new(traces.begin(request.headers(), request_id, &method));
        let inner = call.enter(|| self.inner.call(request));
        Traced {
            inner,
            end: Some(End {
                call,
                method,
                began: Instant::now(),
                log: Arc::clone(log),
                told: false,
            }),
        }
    }
}

/// The end of a call, which comes when it is told, or else when this is dropped.
struct End {
    call: Arc<Call>,
    method: Method,
    began: Instant,
    log: Arc<AccessLog>,
    told: bool,
}

impl End {
    fn tell(&mut self, code: Code, reason: Option<&str>) {
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        self.call.end(code, reason);
        let ended = Ended {
            method: self.method.name(),
            code,
            reason,
            took: self.began.elapsed(),
            call: &self.call,
        };
        self.call.enter(|| self.log.write(&ended));
    }

    fn tell_status(&mut self, status: &Status) {
        let info = status.get_details_error_info();
        self.tell(status.code(), info.as_ref().map(|info| &*info.reason));
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.tell(Code::Cancelled, None);
    }
}

pin_project! {
    /// A call until its answer begins.
    pub(crate) struct Traced<F> {
        #[pin]
        inner: F,
        end: Option<End>,
    }
}

impl<F> Future for Traced<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let inner = this.inner;
        let polled = match this.end {
            Some(end) => end.call.enter(|| inner.poll(cx)),
            None => inner.poll(cx),
        };
        let Ok(answer) = ready!(polled);
        let Some(mut end) = this.end.take() else {
            return Poll::Ready(Ok(answer));
        };
        if let Some(status) = refusal(&answer) {
            end.tell_status(&status);
            return Poll::Ready(Ok(answer));
        }
        Poll::Ready(Ok(answer.map(|body| Body::new(TracedBody { body, end }))))
    }
}

/// The status of an answer that has no body.
fn refusal(answer: &Response<Body>) -> Option<Status> {
    let extension = answer.extensions().get::<Status>().cloned();
    extension.or_else(|| Status::from_header_map(answer.headers()))
}

pin_project! {
    /// The body of an answer, whose trailers end the call.
    struct TracedBody {
        #[pin]
        body: Body,
        end: End,
    }
}

impl http_body::Body for TracedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.project();
        let (body, end) = (this.body, this.end);
        let call = Arc::clone(&end.call);
        let frame = ready!(call.enter(|| body.poll_frame(cx)));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    end.tell_status(&status(trailers));
                }
            }
            Some(Err(status)) => end.tell_status(status),
            None => end.tell(Code::Unknown, None),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn status(trailers: &HeaderMap) -> Status {
    Status::from_header_map(trailers).unwrap_or_else(|| Status::unknown(""))
}
