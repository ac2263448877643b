//! Gives the refusals that tonic itself makes, of requests that are too large,
//! cut short or empty, the code and the details of an invalid request.
//!
//! Sits right around the generated service. Whatever the gateway refuses carries
//! details; a bare INTERNAL or OUT_OF_RANGE can only be tonic's.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tonic::{Code, Status};
use tower::{Layer, Service};

use super::refuse;
use crate::refusal::Refusal;

/// Completes tonic's refusals; see the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FramingLayer;

impl<S> Layer<S> for FramingLayer {
    type Service = FramingService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        FramingService { inner }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct FramingService<S> {
    inner: S,
}

impl<S, B, R> Service<Request<B>> for FramingService<S>
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible>,
    R: Default,
{
    type Response = Response<R>;
    type Error = Infallible;
    type Future = Completed<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        Completed {
            call: self.inner.call(request),
        }
    }
}

pin_project! {
    /// The answer, with the refusal completed if it is tonic's.
    pub(crate) struct Completed<F> {
        #[pin]
        call: F,
    }
}

impl<F, R> Future for Completed<F>
where
    F: Future<Output = Result<Response<R>, Infallible>>,
    R: Default,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Ok(answer) = ready!(self.project().call.poll(cx));
        let of_tonic = answer.extensions().get::<Status>().filter(|status| {
            matches!(status.code(), Code::Internal | Code::OutOfRange)
                && status.details().is_empty()
        });
        let completed =
            of_tonic.map(|status| refuse(Refusal::Undecodable(status.message().to_owned())));
        Poll::Ready(Ok(completed.unwrap_or(answer)))
    }
}
