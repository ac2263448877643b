//! One connection: TLS if that is wanted, greeting, HTTP/2 within bounds, and an
//! orderly end.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tower::ServiceExt as _;

use super::HttpService;
use super::greeting::{self, Transport, greet};
use super::worker::attached;
use crate::caller::Caller;
use crate::config::ServerSettings;
use crate::inbound::Peer;
use crate::tls;

/// What a worker's connections have in common.
#[derive(Clone, Debug)]
pub(super) struct Connections<S> {
    pub(super) service: S,
    pub(super) settings: ServerSettings,
    /// Secures the connections, if there is one.
    pub(super) tls: Option<tls::Acceptor>,
    pub(super) drain: CancellationToken,
    /// How many there are.
    pub(super) open: Arc<AtomicUsize>,
}

/// Why a connection ended before its time.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Tls(#[from] tls::Error),
    #[error(transparent)]
    Greeting(#[from] greeting::Error),
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error(transparent)]
    Io(#[from] io::Error),
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

    async fn converse(self, stream: std::net::TcpStream) -> Result<(), Error> {
        let stream = attached(stream)?;
        let Some(tls) = self.tls.clone() else {
            return self.talk(stream, Transport::Plaintext, None).await;
        };
        let handshake = tls.accept(stream);
        let Some(stream) = self.drain.run_until_cancelled(handshake).await else {
            return Ok(());
        };
        let stream = stream?;
        let certificates = stream.get_ref().1.peer_certificates();
        let peer = certificates.and_then(<[_]>::first).and_then(tls::subject);
        self.talk(stream, Transport::Tls, peer).await
    }

    /// Serves HTTP/2 to `peer`, if its certificate names one.
    async fn talk<T>(
        self,
        stream: T,
        transport: Transport,
        peer: Option<Caller>,
    ) -> Result<(), Error>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let greeting = greet(stream, transport, self.settings.handshake_timeout);
        let Some(stream) = self.drain.run_until_cancelled(greeting).await else {
            return Ok(());
        };
        let peer = peer.map(Peer);
        let service = self
            .service
            .map_request(move |mut request: Request<Incoming>| {
                if let Some(peer) = &peer {
                    request.extensions_mut().insert(peer.clone());
                }
                request.map(Body::new)
            });
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
        Ok(ended?)
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
