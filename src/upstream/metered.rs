//! Counts and times attempts at AWS.
//!
//! Sits inside the quota, so that waiting for a permit does not count as AWS's
//! time, and around the attempt's timeout, whose end is AWS's doing too.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::{Error, Request};
use crate::session::Session;
use crate::telemetry::metrics::{Attempt, Upstream};

/// Counts and times attempts; see the module.
#[derive(Clone, Debug)]
pub(super) struct MeteredLayer(Upstream);

impl MeteredLayer {
    pub(super) fn new(metrics: Upstream) -> Self {
        Self(metrics)
    }
}

impl<S> Layer<S> for MeteredLayer {
    type Service = Metered<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Metered {
            inner,
            metrics: self.0.clone(),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Metered<S> {
    inner: S,
    metrics: Upstream,
}

impl<S> Service<Request> for Metered<S>
where
    S: Service<Request, Response = Session, Error = Error>,
{
    type Response = Session;
    type Error = Error;
    type Future = Timed<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        Timed {
            attempt: Some(self.metrics.begin(&request.session.region)),
            call: self.inner.call(request),
        }
    }
}

pin_project! {
    /// An attempt whose end is counted, also if that is its being dropped.
    #[derive(Debug)]
    pub(super) struct Timed<F> {
        #[pin]
        call: F,
        attempt: Option<Attempt>,
    }
}

impl<F> Future for Timed<F>
where
    F: Future<Output = Result<Session, Error>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let made = ready!(this.call.poll(cx));
        if let Some(attempt) = this.attempt.take() {
            attempt.ended(&made);
        }
        Poll::Ready(made)
    }
}
