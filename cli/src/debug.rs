//! `--debug`: what goes over the wire and how long it takes, to stderr.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt as _;
use tonic::body::Body;
use tower::{Layer, Service};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;

/// Headers that say who calls.
const SECRETS: [&str; 2] = ["authorization", "cookie"];

/// Starts the log. Each line begins with the time since the program's start.
pub(crate) fn log_to_stderr() {
    let ours = Targets::new()
        .with_target("face_liveness", LevelFilter::DEBUG)
        .with_target("face_liveness_client", LevelFilter::DEBUG);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_timer(tracing_subscriber::fmt::time::uptime())
        .with_filter(ours);
    // Nobody else sets a subscriber in this program.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines));
}

/// Logs each request and its answer: headers, trailers and times, no messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogLayer;

impl<S> Layer<S> for LogLayer {
    type Service = Log<S>;

    fn layer(&self, inner: S) -> Log<S> {
        Log { inner }
    }
}

/// The service that [`LogLayer`] makes.
#[derive(Clone, Debug)]
pub(crate) struct Log<S> {
    inner: S,
}

impl<S> Service<Request<Body>> for Log<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Error: std::fmt::Display,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let begun = Instant::now();
        tracing::debug!(
            path = request.uri().path(),
            headers = shown(request.headers()),
            "request"
        );
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            let took = begun.elapsed();
            match &answer {
                Ok(answer) => {
                    let status = answer.status().as_u16();
                    tracing::debug!(status, ?took, headers = shown(answer.headers()), "response");
                }
                Err(error) => tracing::debug!(?took, %error, "no response"),
            }
            answer.map(|answer| answer.map(|body| log_trailers(body, begun)))
        })
    }
}

fn log_trailers(body: Body, begun: Instant) -> Body {
    Body::new(body.map_frame(move |frame| {
        if let Some(trailers) = frame.trailers_ref() {
            let took = begun.elapsed();
            tracing::debug!(?took, headers = shown(trailers), "trailers");
        }
        frame
    }))
}

/// The headers in one line, without secrets.
fn shown(headers: &HeaderMap) -> String {
    let headers = headers.iter().map(|(name, value)| {
        let is_secret = value.is_sensitive() || SECRETS.contains(&name.as_str());
        let value = if is_secret {
            "[redacted]".into()
        } else {
            String::from_utf8_lossy(value.as_bytes())
        };
        format!("{name}: {value}")
    });
    headers.collect::<Vec<_>>().join(", ")
}
