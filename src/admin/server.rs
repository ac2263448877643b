//! HTTP/1.1 within bounds: so many connections, one request each, and little
//! time and room for it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::tls;

/// A scraper, some probes, and a few people with a page; more wait to be
/// accepted.
pub(crate) const MAX_CONNECTIONS: usize = 32;

/// How long a TLS handshake may take.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the head of a request may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection lasts at most. A request has one of its own, so that no
/// idle one keeps others out.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a request's head.
const MAX_HEAD: usize = 16 * 1024;

/// Lines of a request's head.
const MAX_HEADERS: usize = 64;

/// When the system has no file descriptors left, the next accept would fail at
/// once again.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// Serves for ever, so many connections at once, in plaintext without `tls`.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<tls::Acceptor>,
    max_connections: usize,
) {
    let slots = Arc::new(Semaphore::new(max_connections));
    let mut connections = JoinSet::new();
    // The semaphore is never closed.
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let conversation = secured(stream, router.clone(), tls.clone());
                connections.spawn(async move {
                    // What goes wrong here is the client's to notice.
                    let _ = timeout(CONNECTION_TIMEOUT, conversation).await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection on the admin port");
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
}

async fn secured(stream: TcpStream, router: Router, tls: Option<tls::Acceptor>) -> io::Result<()> {
    let Some(tls) = tls else {
        return converse(stream, router).await;
    };
    // Addresses are not told apart here: whoever operates the gateway has few.
    let own = Semaphore::new(1);
    match tls.accept(stream, &own).await {
        Ok(stream) => converse(stream, router).await,
        Err(error) => {
            tracing::debug!(%error, "connection to the admin port ended");
            Err(io::Error::other(error))
        }
    }
}

async fn converse<T>(stream: T, router: Router) -> io::Result<()>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await
        .map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::Instant;

    async fn connect(listener: &std::net::TcpListener, request: &[u8]) -> TcpStream {
        let address = listener.local_addr().unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request).await.unwrap();
        stream
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_beyond_the_limit_waits_for_a_silent_one_which_is_given_up() {
        let bound = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        bound.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(bound.try_clone().unwrap()).unwrap();
        let router = Router::new().route("/", get("here"));
        let serving = tokio::spawn(serve(listener, router, None, 1));
        let began = Instant::now();
        let mut silent = connect(&bound, b"GET / HTTP/1.1\r\n").await;
        let mut waiting = connect(&bound, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let (mut given_up, mut answer) = (Vec::new(), Vec::new());
        waiting.read_to_end(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200") && answer.ends_with(b"here"));
        assert!(began.elapsed() >= HEAD_TIMEOUT);
        silent.read_to_end(&mut given_up).await.unwrap();
        assert!(!given_up.starts_with(b"HTTP/1.1 200"));
        serving.abort();
    }
}
