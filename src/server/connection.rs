//! One connection: TLS if that is wanted, greeting, HTTP/2 within bounds, and an
//! orderly end.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tower::ServiceExt as _;

use super::HttpService;
use super::acceptor::Slot;
use super::greeting::{self, Transport, greet};
use super::http2::http2;
use super::streams::{Answer, Streams};
use super::worker::attached;
use crate::caller::Caller;
use crate::causes;
use crate::config::ServerSettings;
use crate::inbound::Peer;
use crate::telemetry::metrics::{self, Closing, Refusal};
use crate::tls;

/// By how much of it an age may be shorter or longer, so that connections that
/// began together do not end together.
const JITTER: f64 = 0.1;

/// How long after the drain has begun a new connection may still begin HTTP/2: what
/// its client has sent already is answered, and it is told to go elsewhere.
const LAST_BEGINNING: Duration = Duration::from_secs(1);

/// What h2 tells a peer that floods it.
const ENOUGH: h2::Reason = h2::Reason::ENHANCE_YOUR_CALM;

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
    pub(super) metrics: metrics::Connections,
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
    #[error("the client was told to end the connection, and had not after {0:?}")]
    Lingers(Duration),
}

impl Error {
    /// What it counts as, if it is the gateway that turned the client away.
    fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Tls(_) => Some(Refusal::Tls),
            // Load balancers look whether the port is open.
            Self::Greeting(greeting::Error::Left | greeting::Error::Io(_)) => None,
            Self::Greeting(_) => Some(Refusal::Greeting),
            Self::Http(_) | Self::Io(_) | Self::Lingers(_) => None,
        }
    }

    /// What it counts as, if HTTP/2 was spoken.
    fn closing(&self) -> Option<Closing> {
        match self {
            Self::Http(error) => Some(closing(error)),
            Self::Lingers(_) => Some(Closing::Lingering),
            Self::Tls(_) | Self::Greeting(_) | Self::Io(_) => None,
        }
    }
}

/// Counts a connection until it is dropped.
struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<S: HttpService> Connections<S> {
    /// Serves a connection until it ends, and then gives up its `slot`. It has been
    /// counted already.
    pub(super) fn serve(
        &self,
        stream: std::net::TcpStream,
        slot: Slot,
    ) -> impl Future<Output = ()> + Send + use<S> {
        let this = self.clone();
        async move {
            let _open = Open(Arc::clone(&this.open));
            let metrics = this.metrics.clone();
            let _shown = metrics.open();
            let peer = stream.peer_addr().ok();
            if let Err(error) = this.converse(stream, &slot).await {
                tracing::debug!(?peer, %error, "connection ended");
                if let Some(refusal) = error.refusal() {
                    metrics.refused(refusal);
                }
                if let Some(closing) = error.closing() {
                    metrics.closed(closing);
                }
            }
        }
    }

    async fn converse(self, stream: std::net::TcpStream, slot: &Slot) -> Result<(), Error> {
        let mut stream = TimeoutStream::new(attached(stream)?);
        // The kernel would keep what a peer does not read for as long as that is
        // there, and hyper would wait to tell it that it took too long.
        stream.set_write_timeout(Some(self.settings.keepalive_timeout));
        let stream = Box::pin(stream);
        let Some(tls) = self.tls.clone() else {
            return self.talk(stream, Transport::Plaintext, None, slot).await;
        };
        let handshake = tls.accept(stream, slot.handshakes());
        let Some(stream) = unless_drained(&self.drain, handshake).await else {
            return Ok(());
        };
        let stream = stream?;
        let certificates = stream.get_ref().1.peer_certificates();
        let peer = certificates.and_then(<[_]>::first).and_then(tls::subject);
        self.talk(stream, Transport::Tls, peer, slot).await
    }

    /// Serves HTTP/2 to `peer`, if its certificate names one.
    async fn talk<T>(
        self,
        stream: T,
        transport: Transport,
        peer: Option<Caller>,
        slot: &Slot,
    ) -> Result<(), Error>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let settings = &self.settings;
        let greeting = greet(stream, transport, settings.handshake_timeout);
        let Some(stream) = unless_drained(&self.drain, greeting).await else {
            return Ok(());
        };
        let peer = peer.map(Peer);
        let places = slot.streams().clone();
        let service = self
            .service
            .map_request(move |mut request: Request<Incoming>| {
                if let Some(peer) = &peer {
                    request.extensions_mut().insert(peer.clone());
                }
                request.extensions_mut().insert(places.clone());
                request.map(Body::new)
            })
            .map_response(|answer: Response<Body>| answer.map(Answer::new));
        let streams = Streams::new(settings.keepalive_timeout);
        let connection = http2(settings, streams.clone())
            .serve_connection(TokioIo::new(stream?), TowerToHyperService::new(service));
        let mut connection = pin!(connection);
        let closing = tokio::select! {
            ended = connection.as_mut() => return Ok(ended?),
            () = self.drain.cancelled() => None,
            () = streams.idle_for(settings.max_connection_idle) => Some(Closing::Idle),
            () = sleep(jittered(settings.max_connection_age)) => Some(Closing::Age),
        };
        connection.as_mut().graceful_shutdown();
        let Some(closing) = closing else {
            return Ok(connection.await?);
        };
        let grace = settings.max_connection_age_grace;
        match timeout(grace, connection).await {
            Ok(ended) => ended?,
            Err(_elapsed) => return Err(Error::Lingers(grace)),
        }
        self.metrics.closed(closing);
        Ok(())
    }
}

/// What a connection begins with, unless it is drained before.
async fn unless_drained<F: Future>(drain: &CancellationToken, beginning: F) -> Option<F::Output> {
    let over = async {
        drain.cancelled().await;
        sleep(LAST_BEGINNING).await;
    };
    tokio::select! {
        biased;
        begun = beginning => Some(begun),
        () = over => None,
    }
}

/// What an error of HTTP/2 counts as.
fn closing(error: &hyper::Error) -> Closing {
    let is_late = |cause: &io::Error| cause.kind() == io::ErrorKind::TimedOut;
    let is_flood = |cause: &h2::Error| cause.is_library() && cause.reason() == Some(ENOUGH);
    if error.is_timeout()
        || causes::of(error).any(|cause| cause.downcast_ref().is_some_and(is_late))
    {
        Closing::Unresponsive
    } else if causes::of(error).any(|cause| cause.downcast_ref().is_some_and(is_flood)) {
        Closing::Flood
    } else {
        Closing::Error
    }
}

/// An age somewhat shorter or longer than `age`.
fn jittered(age: Duration) -> Duration {
    age.mul_f64(1.0 - JITTER + 2.0 * JITTER * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_differ_by_a_tenth_at_most() {
        let age = Duration::from_secs(1000);
        let ages: Vec<_> = (0..1000).map(|_| jittered(age).as_secs()).collect();
        assert!(ages.iter().all(|age| (900..=1100).contains(age)));
        let (least, most) = (ages.iter().min().unwrap(), ages.iter().max().unwrap());
        assert!(most - least > 150, "{least} to {most}");
    }
}
