//! Counts and times every call, by method and status, and every refusal by its
//! reason. A call that its client drops counts as cancelled.
//!
//! Sits outside whatever refuses, and around the answer's body: a call ends with
//! its trailers.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use pin_project_lite::pin_project;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tower::{Layer, Service};
use tower_http::request_id::RequestId;

use crate::refusal;
use crate::telemetry::metrics::{Call, Refused, Rpc};
use crate::telemetry::semconv;

/// Counts and times calls; see the module.
#[derive(Clone, Debug)]
pub(crate) struct MetricsLayer(Rpc);

impl MetricsLayer {
    pub(crate) fn new(metrics: Rpc) -> Self {
        Self(metrics)
    }
}

impl<S> Layer<S> for MetricsLayer {
    type Service = MetricsService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        MetricsService {
            inner,
            metrics: self.0.clone(),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct MetricsService<S> {
    inner: S,
    metrics: Rpc,
}

impl<S, B, R> Service<Request<B>> for MetricsService<S>
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible>,
{
    type Response = Response<Metered<R>>;
    type Error = Infallible;
    type Future = Timed<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let open = Open {
            call: self.metrics.begin(request.uri().path()),
            request_id: request.extensions().get().cloned(),
        };
        Timed {
            answer: self.inner.call(request),
            open: Some(open),
        }
    }
}

/// A call that has not ended.
#[derive(Debug)]
struct Open {
    call: Call,
    request_id: Option<RequestId>,
}

impl Open {
    /// The call has ended: with a refusal, or well.
    fn ended(self, refusal: Option<&Status>) {
        match refusal {
            None => self.call.ended(Code::Ok),
            Some(status) => {
                let refused = self.refused(status);
                self.call.refused(refused);
            }
        }
    }

    /// The call has ended without a word about it.
    fn broken(self) {
        self.call.ended(Code::Unknown);
    }

    fn refused(&self, status: &Status) -> Refused {
        let reason = status
            .get_details_error_info()
            .and_then(|info| refusal::known(&info.reason));
        let retry = status.get_details_retry_info();
        let id = self.request_id.as_ref().map(RequestId::header_value);
        Refused {
            at: SystemTime::now(),
            method: self.call.method(),
            code: status.code(),
            reason: reason.unwrap_or(semconv::METHOD_OTHER),
            retry_after: retry.and_then(|info| info.retry_delay),
            request_id: id.and_then(|id| id.to_str().ok()).map(str::to_owned),
        }
    }
}

pin_project! {
    /// The answer, whose body is watched unless its headers tell the end.
    #[derive(Debug)]
    pub(crate) struct Timed<F> {
        #[pin]
        answer: F,
        open: Option<Open>,
    }
}

impl<F, R> Future for Timed<F>
where
    F: Future<Output = Result<Response<R>, Infallible>>,
{
    type Output = Result<Response<Metered<R>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(answer) = ready!(this.answer.poll(cx));
        let mut open = this.open.take();
        if let Some(end) = End::of_answer(&answer)
            && let Some(open) = open.take()
        {
            open.ended(end.refusal().as_ref());
        }
        Poll::Ready(Ok(answer.map(|body| Metered { body, open })))
    }
}

/// How a call ends, as headers or trailers tell it.
enum End<'a> {
    Well,
    Refused(&'a HeaderMap),
    /// With a status that the gateway made, and need not be read from headers.
    With(&'a Status),
}

impl<'a> End<'a> {
    /// The end that the headers tell, if they are all there is.
    fn of_answer<R>(answer: &'a Response<R>) -> Option<Self> {
        let made = answer.extensions().get::<Status>();
        made.map(Self::With)
            .or_else(|| Self::told_by(answer.headers()))
    }

    fn told_by(headers: &'a HeaderMap) -> Option<Self> {
        let code = headers.get(Status::GRPC_STATUS)?;
        Some(match Code::from_bytes(code.as_bytes()) {
            Code::Ok => Self::Well,
            _ => Self::Refused(headers),
        })
    }

    fn refusal(&self) -> Option<Status> {
        let status = match self {
            Self::Well => None,
            Self::Refused(headers) => Status::from_header_map(headers),
            Self::With(status) => Some((*status).clone()),
        };
        status.filter(|status| status.code() != Code::Ok)
    }
}

pin_project! {
    /// A body with whose end the call ends.
    #[derive(Debug)]
    pub(crate) struct Metered<R> {
        #[pin]
        body: R,
        open: Option<Open>,
    }
}

impl<R: Body> Body for Metered<R> {
    type Data = R::Data;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<R::Data>, R::Error>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref()
                    && let Some(open) = this.open.take()
                {
                    match End::told_by(trailers) {
                        Some(end) => open.ended(end.refusal().as_ref()),
                        None => open.broken(),
                    }
                }
            }
            // A stream that ends without a status has failed.
            Some(Err(_)) | None => {
                if let Some(open) = this.open.take() {
                    open.broken();
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}
