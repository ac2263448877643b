//! Admits calls while there is room, and sheds the others at once: a queue here
//! would only make every caller late. Refuses all while the gateway drains.
//!
//! Sits inside the deadline, so that a slot is free again when a call's deadline
//! passes, and outside the service. One set of slots serves all connections.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_util::future::{Either, Ready, ready as done};
use http::{Request, Response};
use pin_project_lite::pin_project;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::{Layer, Service};

use super::refuse;
use crate::refusal::Refusal;

/// The slots for calls in flight, shared by all connections.
#[derive(Debug)]
pub(crate) struct Admission {
    slots: Arc<Semaphore>,
    draining: AtomicBool,
}

impl Admission {
    /// `max_in_flight` must not exceed `Semaphore::MAX_PERMITS`.
    pub(crate) fn new(max_in_flight: usize) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(max_in_flight)),
            draining: AtomicBool::new(false),
        }
    }

    /// From now on refuses every new call.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    fn admit(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        if self.draining.load(Ordering::Relaxed) {
            return Err(Refusal::Draining);
        }
        Arc::clone(&self.slots)
            .try_acquire_owned()
            .map_err(|_| Refusal::Overloaded)
    }
}

/// Admits or sheds; see the module.
#[derive(Clone, Debug)]
pub(crate) struct AdmissionLayer(Arc<Admission>);

impl AdmissionLayer {
    pub(crate) fn new(admission: Arc<Admission>) -> Self {
        Self(admission)
    }
}

impl<S> Layer<S> for AdmissionLayer {
    type Service = AdmissionService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AdmissionService {
            inner,
            admission: Arc::clone(&self.0),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct AdmissionService<S> {
    inner: S,
    admission: Arc<Admission>,
}

impl<S, B, R> Service<Request<B>> for AdmissionService<S>
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible>,
    R: Default,
{
    type Response = Response<R>;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response<R>, Infallible>>, InFlight<S::Future>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self.admission.admit() {
            Ok(slot) => Either::Right(InFlight {
                call: self.inner.call(request),
                slot,
            }),
            Err(refusal) => Either::Left(done(Ok(refuse(refusal)))),
        }
    }
}

pin_project! {
    /// A call that holds its slot until it ends or is dropped.
    pub(crate) struct InFlight<F> {
        #[pin]
        call: F,
        slot: OwnedSemaphorePermit,
    }
}

impl<F: Future> Future for InFlight<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().call.poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use tonic::{Code, Status};
    use tower::ServiceExt as _;

    type Answer = Result<Response<()>, Infallible>;

    async fn status(admission: &Arc<Admission>) -> Option<(Code, String)> {
        let service = tower::service_fn(|_: Request<()>| async { Answer::Ok(Response::new(())) });
        let answer = AdmissionLayer::new(Arc::clone(admission))
            .layer(service)
            .oneshot(Request::new(()))
            .await
            .unwrap();
        answer
            .extensions()
            .get::<Status>()
            .map(|status| (status.code(), status.message().to_owned()))
    }

    #[tokio::test]
    async fn a_call_beyond_the_slots_is_shed_and_a_dropped_call_frees_its_slot() {
        let admission = Arc::new(Admission::new(1));
        let endless = tower::service_fn(|_: Request<()>| pending::<Answer>());
        let held = AdmissionLayer::new(Arc::clone(&admission))
            .layer(endless)
            .oneshot(Request::new(()));
        let mut held = Box::pin(held);
        assert!(futures_util::poll!(&mut held).is_pending());
        assert_eq!(
            status(&admission).await.map(|(code, _)| code),
            Some(Code::Unavailable)
        );
        drop(held);
        assert_eq!(status(&admission).await, None);
    }

    #[tokio::test]
    async fn while_draining_every_call_is_refused() {
        let admission = Arc::new(Admission::new(1));
        admission.drain();
        let (code, message) = status(&admission).await.unwrap();
        assert_eq!(
            (code, message.as_str()),
            (
                Code::Unavailable,
                "this replica of the gateway is shutting down"
            )
        );
    }
}
