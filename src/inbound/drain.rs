//! Ends streams that have no end of their own (health watches, reflection) when
//! the gateway drains, so that they do not hold up its shutdown.
//!
//! Sits around the health and reflection services. What a stream still has to
//! say goes out first: a watcher hears NOT_SERVING before the end.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use pin_project_lite::pin_project;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;
use tower::{Layer, Service};

use crate::refusal::Refusal;

/// Ends streams; see the module.
#[derive(Clone, Debug)]
pub(crate) struct EndOnDrainLayer {
    drain: CancellationToken,
}

impl EndOnDrainLayer {
    pub(crate) fn new(drain: CancellationToken) -> Self {
        Self { drain }
    }
}

impl<S> Layer<S> for EndOnDrainLayer {
    type Service = EndOnDrain<S>;

    fn layer(&self, inner: S) -> Self::Service {
        EndOnDrain {
            inner,
            drain: self.drain.clone(),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct EndOnDrain<S> {
    inner: S,
    drain: CancellationToken,
}

impl<S, B, R> Service<Request<B>> for EndOnDrain<S>
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible>,
{
    type Response = Response<UntilDrain<R>>;
    type Error = Infallible;
    type Future = Wrapped<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        Wrapped {
            call: self.inner.call(request),
            drain: self.drain.clone(),
        }
    }
}

pin_project! {
    /// The answer, with a body that ends when the gateway drains.
    pub(crate) struct Wrapped<F> {
        #[pin]
        call: F,
        drain: CancellationToken,
    }
}

impl<F, R> Future for Wrapped<F>
where
    F: Future<Output = Result<Response<R>, Infallible>>,
{
    type Output = Result<Response<UntilDrain<R>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(answer) = ready!(this.call.poll(cx));
        let drain = this.drain.clone().cancelled_owned();
        Poll::Ready(Ok(answer.map(|body| UntilDrain {
            body,
            drain,
            ended: false,
        })))
    }
}

pin_project! {
    /// A body that ends with UNAVAILABLE when the gateway drains.
    pub(crate) struct UntilDrain<R> {
        #[pin]
        body: R,
        #[pin]
        drain: WaitForCancellationFutureOwned,
        ended: bool,
    }
}

impl<R: Body> Body for UntilDrain<R> {
    type Data = R::Data;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<R::Data>, R::Error>>> {
        let this = self.project();
        if *this.ended {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = this.body.poll_frame(cx) {
            return Poll::Ready(frame);
        }
        ready!(this.drain.poll(cx));
        *this.ended = true;
        let mut trailers = HeaderMap::new();
        // Cannot fail for a refusal of the gateway's own; if it did, the end of
        // the stream would say as much.
        let _ = Status::from(Refusal::Draining).add_header(&mut trailers);
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }
}
