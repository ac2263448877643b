//! Bounds one attempt: by a limit of its own, so that a stuck connection leaves
//! time for a retry, and by the caller's deadline.
//!
//! Sits inside retry and quota, so that neither back-off nor queueing counts as
//! AWS's time, and directly around the SDK, whose own time-outs bound connecting
//! and reading but not loading credentials, nor an answer that drips. Each attempt
//! is a client span.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::future::{Either, Ready, ready as done};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Timeout, timeout_at};
use tower::{Layer, Service};

use super::{Cause, Error, Request};
use crate::session::Session;
use crate::telemetry::call::Attempt;

/// Bounds attempts; see the module.
#[derive(Clone, Copy, Debug)]
pub struct AttemptLayer {
    limit: Duration,
}

impl AttemptLayer {
    /// No attempt may take longer than `limit`.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self { limit }
    }
}

impl<S> Layer<S> for AttemptLayer {
    type Service = AttemptService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AttemptService {
            inner,
            limit: self.limit,
        }
    }
}

/// What [`AttemptLayer`] makes.
#[derive(Clone, Debug)]
pub struct AttemptService<S> {
    inner: S,
    limit: Duration,
}

impl<S> Service<Request> for AttemptService<S>
where
    S: Service<Request, Response = Session, Error = Error>,
{
    type Response = Session;
    type Error = Error;
    type Future = Either<Ready<Result<Session, Error>>, Bounded<S::Future>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let now = Instant::now();
        let deadline = request.deadline;
        if deadline <= now {
            return Either::Left(done(Err(Error::new(Cause::Deadline, None))));
        }
        let limit = now + self.limit;
        let (ends, cause) = if deadline <= limit {
            (deadline, Cause::Deadline)
        } else {
            (limit, Cause::Unavailable)
        };
        let attempt = Attempt::begin(&request.session.region);
        Either::Right(Bounded {
            attempt,
            call: timeout_at(ends, self.inner.call(request)),
            too_late: cause,
        })
    }
}

pin_project! {
    /// An attempt, or the news that it took too long.
    #[derive(Debug)]
    pub struct Bounded<F> {
        #[pin]
        call: Timeout<F>,
        too_late: Cause,
        attempt: Attempt,
    }
}

impl<F> Future for Bounded<F>
where
    F: Future<Output = Result<Session, Error>>,
{
    type Output = Result<Session, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.call.poll(cx));
        let answer = answer.unwrap_or_else(|_elapsed| Err(Error::new(this.too_late.clone(), None)));
        match &answer {
            Ok(session) => this.attempt.end(None, session.request_id.as_deref()),
            Err(error) => {
                let kind = error.cause.kind();
                this.attempt.end(Some(kind), error.request_id.as_deref());
            }
        }
        Poll::Ready(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::testing::{request, session};
    use std::sync::atomic::{AtomicU32, Ordering};
    use tower::ServiceExt as _;

    const LIMIT: Duration = Duration::from_secs(2);

    /// What an attempt that takes `work` ends with, and after how long.
    async fn attempt(work: Duration, deadline: Duration) -> (Result<Session, Error>, Duration) {
        let started = Instant::now();
        let slow = tower::service_fn(move |_: Request| async move {
            tokio::time::sleep(work).await;
            Ok(session())
        });
        let answer = AttemptLayer::new(LIMIT)
            .layer(slow)
            .oneshot(request(started + deadline))
            .await;
        (answer, started.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_within_its_limits_is_left_alone() {
        let (answer, _) = attempt(Duration::from_secs(1), Duration::from_secs(9)).await;
        assert!(answer.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_beyond_its_own_limit_is_unavailable() {
        let (answer, took) = attempt(Duration::from_secs(60), Duration::from_secs(9)).await;
        let error = answer.unwrap_err();
        assert_eq!(
            (error.cause, error.out_of_time),
            (Cause::Unavailable, false)
        );
        assert_eq!(took, LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_beyond_the_deadline_is_too_late() {
        let (answer, took) = attempt(Duration::from_secs(60), Duration::from_secs(1)).await;
        let error = answer.unwrap_err();
        assert_eq!((error.cause, error.out_of_time), (Cause::Deadline, true));
        assert_eq!(took, Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_whose_deadline_has_passed_is_not_made() {
        let calls = AtomicU32::new(0);
        let counting = tower::service_fn(|_: Request| {
            calls.fetch_add(1, Ordering::Relaxed);
            done(Ok(session()))
        });
        let answer = AttemptLayer::new(LIMIT)
            .layer(counting)
            .oneshot(request(Instant::now()))
            .await;
        assert_eq!(answer.unwrap_err().cause, Cause::Deadline);
        assert_eq!(calls.into_inner(), 0);
    }
}
