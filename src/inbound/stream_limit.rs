//! Bounds the streams that an address has open at services that ask nobody who they are
//! (health, reflection): each costs memory for as long as the peer likes, and there may
//! be many on each of many connections.
//!
//! Sits around those services, within what ends their streams when the gateway drains.
//! Calls of the session service have bounds of their own.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::future::{Either, Ready, ready as done};
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::{Layer, Service};

use super::refuse;
use crate::refusal::Refusal;

/// A client watches the health of a service or two; a proxy does so for many clients.
const MOST_STREAMS: usize = 1024;

/// The places of one address: an extension of its requests. Clones are one.
#[derive(Clone, Debug)]
pub(crate) struct StreamPlaces(Arc<Semaphore>);

impl Default for StreamPlaces {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST_STREAMS)))
    }
}

/// Refuses what is beyond the bound; see the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamLimitLayer;

impl<S> Layer<S> for StreamLimitLayer {
    type Service = StreamLimit<S>;

    fn layer(&self, inner: S) -> Self::Service {
        StreamLimit { inner }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct StreamLimit<S> {
    inner: S,
}

impl<S, B, R> Service<Request<B>> for StreamLimit<S>
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible>,
    R: Default,
{
    type Response = Response<Held<R>>;
    type Error = Infallible;
    type Future = Either<Ready<Result<Self::Response, Infallible>>, Holding<S::Future>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let places = request.extensions().get::<StreamPlaces>().cloned();
        match places.map(|places| places.0.try_acquire_owned()) {
            Some(Err(_taken)) => Either::Left(done(Ok(refuse(Refusal::Overloaded)))),
            Some(Ok(place)) => Either::Right(self.hold(request, Some(place))),
            None => Either::Right(self.hold(request, None)),
        }
    }
}

impl<S> StreamLimit<S> {
    fn hold<B>(
        &mut self,
        request: Request<B>,
        place: Option<OwnedSemaphorePermit>,
    ) -> Holding<S::Future>
    where
        S: Service<Request<B>>,
    {
        Holding {
            call: self.inner.call(request),
            place,
        }
    }
}

pin_project! {
    /// A call that holds its place until its answer does.
    pub(crate) struct Holding<F> {
        #[pin]
        call: F,
        place: Option<OwnedSemaphorePermit>,
    }
}

impl<F, R> Future for Holding<F>
where
    F: Future<Output = Result<Response<R>, Infallible>>,
{
    type Output = Result<Response<Held<R>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(answer) = ready!(this.call.poll(cx));
        let place = this.place.take();
        Poll::Ready(Ok(answer.map(|body| Held { body, place })))
    }
}

pin_project! {
    /// A body that holds the place of its stream until it is dropped.
    #[derive(Debug, Default)]
    pub(crate) struct Held<R> {
        #[pin]
        body: R,
        place: Option<OwnedSemaphorePermit>,
    }
}

impl<R: Body> Body for Held<R> {
    type Data = R::Data;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<R::Data>, R::Error>>> {
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Empty;
    use tonic::{Code, Status};
    use tower::ServiceExt as _;

    type Answer = Response<Held<Empty<&'static [u8]>>>;

    async fn call(places: Option<&StreamPlaces>) -> Answer {
        let mut request = Request::new(());
        if let Some(places) = places {
            request.extensions_mut().insert(places.clone());
        }
        let service = tower::service_fn(async |_: Request<()>| Ok(Response::new(Empty::new())));
        let service = StreamLimitLayer.layer(service);
        service.oneshot(request).await.unwrap()
    }

    fn code(answer: &Answer) -> Option<Code> {
        answer.extensions().get().map(Status::code)
    }

    #[tokio::test]
    async fn a_stream_beyond_the_bound_is_refused_until_another_ends() {
        let places = StreamPlaces::default();
        let mut open = Vec::new();
        for _ in 0..MOST_STREAMS {
            let answer = call(Some(&places)).await;
            assert_eq!(code(&answer), None);
            open.push(answer);
        }
        let refused = call(Some(&places)).await;
        assert_eq!(code(&refused), Some(Code::Unavailable));
        assert_eq!(code(&call(Some(&StreamPlaces::default())).await), None);
        open.pop();
        assert_eq!(code(&call(Some(&places)).await), None);
    }

    #[tokio::test]
    async fn without_a_connection_there_is_no_bound() {
        let mut open = Vec::new();
        for _ in 0..=MOST_STREAMS {
            open.push(call(None).await);
        }
        assert!(open.iter().all(|answer| code(answer).is_none()));
    }
}
