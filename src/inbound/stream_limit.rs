//! Bounds the streams that an address has open at services that need no proof (health
//! watches, reflection): each costs memory for as long as the peer likes, and there may
//! be many on each of many connections. A health check takes no place, or those streams
//! could make a healthy gateway look ill; it is bounded in time.
//!
//! Sits around those services, within what ends their streams when the gateway drains.
//! Calls of the session service have bounds of their own.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tonic::body::Body;
use tower::{Layer, Service};

use super::refuse;
use crate::refusal::Refusal;

/// A client watches the health of a service or two; a proxy does so for many clients.
const MOST_STREAMS: usize = 1024;

/// What has no place, and so little time.
const HEALTH_CHECK: &str = "/grpc.health.v1.Health/Check";

/// How long a health check may take, its request's arrival included.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

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

impl<S, B> Service<Request<B>> for StreamLimit<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if request.uri().path() == HEALTH_CHECK {
            let check = timeout(CHECK_TIMEOUT, self.inner.call(request));
            return Box::pin(async { check.await.unwrap_or_else(|_| late()) });
        }
        let places = request.extensions().get::<StreamPlaces>().cloned();
        let place = places.map(|places| places.0.try_acquire_owned());
        let Ok(place) = place.transpose() else {
            return Box::pin(ready(Ok(refuse(Refusal::TooManyStreams))));
        };
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            // The place goes with the body, and is free when that is dropped.
            let held = move |frame| {
                let _place = &place;
                frame
            };
            Ok(answer.map(|body| Body::new(body.map_frame(held))))
        })
    }
}

fn late() -> Result<Response<Body>, Infallible> {
    Ok(refuse(Refusal::Deadline))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http_body_util::Full;
    use tonic::{Code, Status};
    use tower::ServiceExt as _;

    async fn call(places: Option<&StreamPlaces>) -> Response<Body> {
        call_of("/grpc.health.v1.Health/Watch", places).await
    }

    async fn call_of(path: &str, places: Option<&StreamPlaces>) -> Response<Body> {
        let mut request = Request::post(path).body(()).unwrap();
        if let Some(places) = places {
            request.extensions_mut().insert(places.clone());
        }
        let service = tower::service_fn(async |_: Request<()>| Ok(unended()));
        let service = StreamLimitLayer.layer(service);
        service.oneshot(request).await.unwrap()
    }

    /// An answer that goes on.
    fn unended() -> Response<Body> {
        Response::new(Body::new(Full::<Bytes>::from("more")))
    }

    fn code(answer: &Response<Body>) -> Option<Code> {
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

    #[tokio::test]
    async fn watches_do_not_keep_a_health_check_out() {
        let places = StreamPlaces::default();
        let mut open = Vec::new();
        for _ in 0..MOST_STREAMS {
            open.push(call(Some(&places)).await);
        }
        let checked = call_of(HEALTH_CHECK, Some(&places)).await;
        assert_eq!(code(&checked), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_health_check_whose_request_does_not_come_is_refused() {
        let endless = tower::service_fn(async |_: Request<()>| std::future::pending().await);
        let request = Request::post(HEALTH_CHECK).body(()).unwrap();
        let answer = StreamLimitLayer.layer(endless).oneshot(request).await;
        assert_eq!(code(&answer.unwrap()), Some(Code::DeadlineExceeded));
    }
}
