//! One connection: greeting, HTTP/2 within bounds, and an orderly end.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tower::ServiceExt as _;

use super::HttpService;
use super::greeting::{self, greet};
use super::worker::attached;
use crate::config::ServerSettings;

/// What a worker's connections have in common.
#[derive(Clone, Debug)]
pub(super) struct Connections<S> {
    pub(super) service: S,
    pub(super) settings: ServerSettings,
    pub(super) drain: CancellationToken,
    /// How many there are.
    pub(super) open: Arc<AtomicUsize>,
}

/// Counts a connection until it is dropped.
struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<S: HttpService> Connections<S> {
    /// Serves a connection until it ends. It has been counted already.
    pub(super) fn serve(
        &self,
        stream: std::net::TcpStream,
    ) -> impl Future<Output = ()> + Send + use<S> {
        let this = self.clone();
        async move {
            let _open = Open(Arc::clone(&this.open));
            let peer = stream.peer_addr().ok();
            if let Err(error) = this.converse(stream).await {
                tracing::debug!(?peer, %error, "connection ended");
            }
        }
    }

    async fn converse(self, stream: std::net::TcpStream) -> Result<(), greeting::Error> {
        let stream = attached(stream)?;
        let greeting = greet(stream, self.settings.handshake_timeout);
        let Some(stream) = self.drain.run_until_cancelled(greeting).await else {
            return Ok(());
        };
        let service = self
            .service
            .map_request(|request: Request<Incoming>| request.map(Body::new));
        let connection = http2(&self.settings)
            .serve_connection(TokioIo::new(stream?), TowerToHyperService::new(service));
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.drain.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        ended.map_err(|error| io::Error::other(error).into())
    }
}

/// HTTP/2 within the bounds of `settings`.
fn http2(settings: &ServerSettings) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(settings.keepalive_interval)
        .keep_alive_timeout(settings.keepalive_timeout)
        .max_concurrent_streams(settings.max_concurrent_streams)
        .max_header_list_size(settings.max_header_bytes);
    builder
}
