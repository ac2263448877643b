//! Gives the refusals that tonic itself makes the details that all others have:
//! of requests that are too large, cut short or empty, and of methods and
//! encodings that there are not.
//!
//! Sits around all services. Whatever the gateway refuses carries details; a
//! bare status with one of these codes can only be tonic's.

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
        // Some of tonic's refusals are in the headers only.
        let extension = answer.extensions().get::<Status>().cloned();
        let status = extension.or_else(|| Status::from_header_map(answer.headers()));
        let completed = status.as_ref().and_then(completed);
        Poll::Ready(Ok(completed.map_or(answer, refuse)))
    }
}

/// The refusal that a bare status of tonic's stands for.
fn completed(status: &Status) -> Option<Refusal> {
    let message = || match status.message() {
        "" => "there is no such method".to_owned(),
        message => message.to_owned(),
    };
    match status.code() {
        _ if !status.details().is_empty() => None,
        // Unknown is what a body that breaks off or stalls comes to.
        Code::Internal | Code::OutOfRange | Code::Unknown => Some(Refusal::Undecodable(message())),
        Code::Unimplemented => Some(Refusal::Unimplemented(message())),
        _ => None,
    }
}
