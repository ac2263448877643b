//! Keeps every attempt within its region's quota at AWS.
//!
//! Sits inside the retries, so that each attempt takes a permit, and outside the
//! attempt's timeout, so that waiting for one does not count as AWS's time.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower::{Layer, Service, ServiceExt as _};

use super::{Cause, Error, Request};
use crate::quota::{Denied, Limiter, Outcome, Permit};
use crate::region::Region;
use crate::session::Session;
use crate::telemetry::call;
use crate::telemetry::metrics;

/// Keeps attempts within the quota; see [`Quota`].
#[derive(Clone, Debug)]
pub struct QuotaLayer {
    limiters: Arc<HashMap<Region, Limiter>>,
    metrics: metrics::Quota,
}

impl QuotaLayer {
    /// A region without a limiter has no limits.
    #[must_use]
    pub fn new(limiters: impl IntoIterator<Item = (Region, Limiter)>) -> Self {
        Self {
            limiters: Arc::new(limiters.into_iter().collect()),
            metrics: metrics::Quota::default(),
        }
    }

    /// Counts permits and times waits.
    #[must_use]
    pub(crate) fn with_metrics(self, metrics: metrics::Quota) -> Self {
        Self { metrics, ..self }
    }

    async fn permit(&self, limiter: &Limiter, request: &Request) -> Result<Permit, Denied> {
        let Request {
            caller,
            weight,
            deadline,
            ..
        } = request;
        let wait = self.metrics.wait(&request.session.region);
        let told = call::Wait::begin();
        let permit = limiter.permit(caller, *weight, *deadline).await;
        told.end(permit.is_ok());
        match permit {
            Ok(permit) => {
                wait.granted(caller);
                Ok(permit)
            }
            Err(denied) => {
                wait.denied(denied.no_room);
                Err(denied)
            }
        }
    }
}

impl<S> Layer<S> for QuotaLayer {
    type Service = Quota<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Quota {
            inner,
            layer: self.clone(),
        }
    }
}

/// Waits for a permit of the request's region, then calls `S` and reports how
/// it went. Without a permit in time, answers [`Cause::AccountQuota`] or
/// [`Cause::QueueFull`] with the wait, and `S` is not called.
#[derive(Clone, Debug)]
pub struct Quota<S> {
    inner: S,
    layer: QuotaLayer,
}

impl<S> Quota<S>
where
    S: Service<Request, Response = Session, Error = Error>,
{
    async fn create(self, request: Request) -> Result<Session, Error> {
        let Self { inner, layer } = self;
        let Some(limiter) = layer.limiters.get(&request.session.region) else {
            return inner.oneshot(request).await;
        };
        let permit = layer.permit(limiter, &request).await?;
        let made = inner.oneshot(request).await;
        permit.report(outcome(&made));
        made
    }
}

impl<S> Service<Request> for Quota<S>
where
    S: Service<Request, Response = Session, Error = Error> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Session;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Session, Error>> + Send>>;

    /// Always ready: the inner service is asked when the permit is there, so
    /// that nothing of it is held while waiting.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        Box::pin(self.clone().create(request))
    }
}

fn outcome(made: &Result<Session, Error>) -> Outcome {
    match made {
        Ok(_) => Outcome::Made,
        Err(error) if matches!(error.cause, Cause::Quota | Cause::Throttled) => {
            Outcome::Throttled {
                retry_after: error.retry_after,
            }
        }
        Err(_) => Outcome::Failed,
    }
}

impl From<Denied> for Error {
    fn from(denied: Denied) -> Self {
        let cause = if denied.no_room {
            Cause::QueueFull
        } else {
            Cause::AccountQuota
        };
        Self {
            retry_after: Some(denied.wait),
            // A later deadline makes no room.
            out_of_time: !denied.no_room,
            ..Self::new(cause, None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::Caller;
    use crate::quota::{Limits, Source, Windows};
    use crate::session::{SessionId, SessionRequest, Token};
    use std::num::NonZeroU32;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, SystemTime};
    use tokio::time::Instant;

    const SECOND: Duration = Duration::from_secs(1);

    fn region(name: &str) -> Region {
        Region::parse(name).unwrap()
    }

    fn request(name: &str) -> Request {
        Request {
            session: SessionRequest {
                region: region(name),
                kms_key_id: None,
                output: None,
                audit_images_limit: None,
                challenges: Vec::new(),
                token: None,
            },
            caller: Caller::Anonymous,
            weight: NonZeroU32::MIN,
            token: Token::random(),
            deadline: Instant::now() + SECOND / 2,
            first_sent: crate::upstream::FirstSent::default(),
        }
    }

    fn session(request: &Request) -> Session {
        Session {
            id: SessionId::parse(uuid::Uuid::new_v4().to_string()).unwrap(),
            region: request.session.region.clone(),
            create_time: SystemTime::now(),
            request_id: None,
        }
    }

    /// Of a region with one create a second and room for this many to wait.
    fn layer(room: usize) -> (QuotaLayer, Limiter) {
        let limits = Limits {
            creates_per_second: NonZeroU32::new(1),
            sessions_in_flow: None,
        };
        let limited = region("eu-west-1");
        let limiter = Limiter::start(limited.clone(), Source::Memory(Windows::new(limits)), room);
        (QuotaLayer::new([(limited, limiter.clone())]), limiter)
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_permit_in_time_aws_is_not_asked_and_the_wait_told() {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let quota = layer(10)
            .0
            .layer(tower::service_fn(move |request: Request| {
                counted.fetch_add(1, Ordering::Relaxed);
                std::future::ready(Ok(session(&request)))
            }));
        quota.clone().oneshot(request("eu-west-1")).await.unwrap();
        let denied = quota
            .clone()
            .oneshot(request("eu-west-1"))
            .await
            .unwrap_err();
        assert_eq!(denied.cause, Cause::AccountQuota);
        assert_eq!(denied.retry_after, Some(SECOND + crate::quota::GUARD));
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        let status = tonic::Status::from(crate::refusal::Refusal::from(denied));
        assert_eq!(status.code(), tonic::Code::ResourceExhausted);
        assert!(
            status.message().contains("for the next 1020 ms"),
            "{status}"
        );
        let pushback = status.metadata().get(crate::refusal::PUSHBACK);
        assert_eq!(pushback.unwrap(), "1020");
        for _ in 0..5 {
            quota.clone().oneshot(request("us-east-1")).await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_is_told_as_such_and_not_as_a_deadline_that_is_too_near() {
        let service =
            tower::service_fn(|request: Request| std::future::ready(Ok(session(&request))));
        let quota = layer(1).0.layer(service);
        let patient = || Request {
            deadline: Instant::now() + SECOND * 60,
            ..request("eu-west-1")
        };
        quota.clone().oneshot(patient()).await.unwrap();
        let mut waits = Box::pin(quota.clone().oneshot(patient()));
        assert!(futures_util::poll!(&mut waits).is_pending());
        let denied = quota.oneshot(patient()).await.unwrap_err();
        assert_eq!(denied.cause, Cause::QueueFull);
        assert!(!denied.out_of_time, "a later deadline makes no room");
        let status = tonic::Status::from(crate::refusal::Refusal::from(denied));
        assert_eq!(status.code(), tonic::Code::ResourceExhausted);
        let told = "for the next 2040 ms, and as many calls as may wait for it do";
        assert!(status.message().contains(told), "{status}");
        let pushback = status.metadata().get(crate::refusal::PUSHBACK);
        assert_eq!(pushback.unwrap(), "2040");
        waits.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttle_slows_the_region_and_a_session_tells_the_usual_time() {
        let (layer, limiter) = layer(10);
        let throttled = layer.layer(tower::service_fn(|_| {
            let error = Error {
                retry_after: Some(SECOND * 2),
                ..Error::new(Cause::Throttled, None)
            };
            std::future::ready(Err(error))
        }));
        throttled.oneshot(request("eu-west-1")).await.unwrap_err();
        let snapshot = limiter.snapshot();
        assert_eq!(
            (snapshot.factor, snapshot.pause, snapshot.usual),
            (0.7, SECOND * 2, None)
        );
        tokio::time::advance(SECOND * 3).await;
        let slow = layer.layer(tower::service_fn(|request: Request| async move {
            tokio::time::sleep(SECOND / 4).await;
            Ok(session(&request))
        }));
        slow.oneshot(request("eu-west-1")).await.unwrap();
        assert_eq!(limiter.snapshot().usual, Some(SECOND / 4));
    }
}
