//! Gives every call a deadline (`grpc-timeout`, capped by the server's own
//! maximum) and ends it when that passes.
//!
//! Sits outside everything that waits. tonic's own time-out answers CANCELLED,
//! which clients read as their own doing; this one answers DEADLINE_EXCEEDED.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::future::{Either, Ready, ready as done};
use http::{Extensions, HeaderMap, Request, Response};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Timeout, timeout_at};
use tower::{Layer, Service};

use super::refuse;
use crate::refusal::{Refusal, Violation};

/// The metadata that carries the caller's time-out.
const GRPC_TIMEOUT: &str = "grpc-timeout";

/// When the answer to a call stops being of use: an extension of the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// The deadline of the call that `extensions` belong to. A call that did not
    /// pass the [`DeadlineLayer`] has none, and so no time at all.
    pub(crate) fn of(extensions: &Extensions) -> Instant {
        extensions
            .get::<Self>()
            .map_or_else(Instant::now, |deadline| deadline.0)
    }
}

/// Adds deadlines; see the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DeadlineLayer {
    max: Duration,
}

impl DeadlineLayer {
    /// A longer time-out than `max`, or none, counts as `max`.
    pub(crate) fn new(max: Duration) -> Self {
        Self { max }
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = DeadlineService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        DeadlineService {
            inner,
            max: self.max,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct DeadlineService<S> {
    inner: S,
    max: Duration,
}

impl<S, B, R> Service<Request<B>> for DeadlineService<S>
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible>,
    R: Default,
{
    type Response = Response<R>;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response<R>, Infallible>>, OrDeadline<S::Future>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let timeout = match timeout(request.headers()) {
            Ok(timeout) => timeout.map_or(self.max, |timeout| timeout.min(self.max)),
            Err(violation) => {
                return Either::Left(done(Ok(refuse(Refusal::InvalidRequest(vec![violation])))));
            }
        };
        // A time-out of nothing would still let the call begin.
        if timeout.is_zero() {
            return Either::Left(done(Ok(refuse(Refusal::Deadline))));
        }
        let deadline = Instant::now() + timeout;
        request.extensions_mut().insert(Deadline(deadline));
        Either::Right(OrDeadline {
            call: timeout_at(deadline, self.inner.call(request)),
        })
    }
}

pin_project! {
    /// The answer, or the news that it comes too late.
    pub(crate) struct OrDeadline<F> {
        #[pin]
        call: Timeout<F>,
    }
}

impl<F, R> Future for OrDeadline<F>
where
    F: Future<Output = Result<Response<R>, Infallible>>,
    R: Default,
{
    type Output = Result<Response<R>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(self.project().call.poll(cx));
        Poll::Ready(answer.unwrap_or_else(|_elapsed| Ok(refuse(Refusal::Deadline))))
    }
}

/// The caller's time-out, if it gave one.
fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Violation> {
    let Some(value) = headers.get(GRPC_TIMEOUT) else {
        return Ok(None);
    };
    let parsed = value.to_str().ok().and_then(parse_timeout);
    parsed.map(Some).ok_or_else(|| Violation {
        field: GRPC_TIMEOUT.to_owned(),
        description:
            "must be 1 to 8 digits and a unit (H, M, S, m, u or n), such as 500m for half a second"
                .to_owned(),
    })
}

/// `TimeoutValue TimeoutUnit` of the gRPC protocol.
/// Source: "gRPC over HTTP2", section "Requests".
fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(value * 3600),
        "M" => Duration::from_secs(value * 60),
        "S" => Duration::from_secs(value),
        "m" => Duration::from_millis(value),
        "u" => Duration::from_micros(value),
        "n" => Duration::from_nanos(value),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::{Code, Status};
    use tower::ServiceExt as _;

    #[test]
    fn time_outs_are_read_as_grpc_writes_them() {
        let cases = [
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("500m", Some(Duration::from_millis(500))),
            ("7u", Some(Duration::from_micros(7))),
            ("0n", Some(Duration::ZERO)),
            ("", None),
            ("S", None),
            ("5", None),
            ("-1S", None),
            ("1.5S", None),
            ("999999999S", None),
            ("5s", None),
            ("5é", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_timeout(text), expected, "{text:?}");
        }
    }

    /// Answers with the time that is left, after `work`.
    async fn left_after(work: Duration, timeout: Option<&str>, max: Duration) -> Response<String> {
        let slow = tower::service_fn(move |request: Request<()>| async move {
            let left = Deadline::of(request.extensions()) - Instant::now();
            tokio::time::sleep(work).await;
            Ok(Response::new(format!("{left:?}")))
        });
        let mut request = Request::new(());
        if let Some(timeout) = timeout {
            request
                .headers_mut()
                .insert(GRPC_TIMEOUT, timeout.parse().unwrap());
        }
        DeadlineLayer::new(max)
            .layer(slow)
            .oneshot(request)
            .await
            .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn the_shorter_of_the_callers_and_the_servers_limit_counts() {
        let max = Duration::from_secs(30);
        for (timeout, left) in [
            (Some("2S"), "2s"),
            (Some("99999999H"), "30s"),
            (None, "30s"),
        ] {
            assert_eq!(
                left_after(Duration::ZERO, timeout, max).await.into_body(),
                left
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_takes_longer_is_ended_with_deadline_exceeded() {
        let answer = left_after(Duration::from_secs(3), Some("2S"), Duration::from_secs(30)).await;
        assert_eq!(
            answer.extensions().get::<Status>().map(Status::code),
            Some(Code::DeadlineExceeded)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_out_that_cannot_be_read_is_refused() {
        let answer = left_after(Duration::ZERO, Some("soon"), Duration::from_secs(30)).await;
        assert_eq!(
            answer.extensions().get::<Status>().map(Status::code),
            Some(Code::InvalidArgument)
        );
    }
}
