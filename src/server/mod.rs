//! The HTTP/2 server: an acceptor that hands connections to workers, each a
//! thread with a runtime of its own.
//!
//! A call stays on one thread from the socket to AWS and back, so that nothing
//! is handed between cores on its way and answers gather into one write.

mod acceptor;
mod connection;
mod greeting;
mod http2;
mod peers;
mod reminder;
mod streams;
mod worker;

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use http::{Request, Response};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::body::Body;
use tower::Service;

use crate::config::ServerSettings;
use crate::telemetry::metrics;
use crate::tls;
use acceptor::Acceptor;
use worker::Worker;

/// What the server serves: any service that answers every request.
pub(crate) trait HttpService:
    Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + 'static
{
}

impl<S> HttpService for S where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static
{
}

/// A server that is accepting connections.
#[derive(Debug)]
pub(crate) struct Server {
    workers: Vec<Worker>,
    drain: CancellationToken,
    force: CancellationToken,
    _force_when_dropped: DropGuard,
}

/// How the connections ended at shutdown.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Drained {
    /// Connections that were cut because their calls did not finish in time.
    pub forced: usize,
}

impl Server {
    /// Starts a worker for each of `services` and begins to accept, in plaintext
    /// without `tls`. Cancelling
    /// `drain` begins the shutdown; then [`drained`](Self::drained) must be
    /// awaited. Dropping the server cuts every connection.
    ///
    /// # Errors
    /// When the listener or a thread cannot be set up.
    pub(crate) fn start<S: HttpService>(
        listener: std::net::TcpListener,
        settings: &ServerSettings,
        tls: Option<&tls::Acceptor>,
        metrics: &metrics::Connections,
        drain: CancellationToken,
        services: Vec<S>,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let force = CancellationToken::new();
        let workers = services
            .into_iter()
            .enumerate()
            .map(|(index, service)| {
                Worker::start(
                    index,
                    settings.clone(),
                    tls.cloned(),
                    drain.clone(),
                    force.clone(),
                    metrics.clone(),
                    service,
                )
            })
            .collect::<io::Result<Vec<_>>>()?;
        let inboxes = workers.iter().map(Worker::inbox).collect();
        // Without TLS nobody asks for one.
        let handshakes = tls.map_or(1, tls::Acceptor::handshakes_of_a_peer);
        let acceptor = Acceptor::new(listener, inboxes, settings, handshakes, metrics.clone());
        tokio::spawn(acceptor.run(drain.clone()));
        Ok(Self {
            workers,
            drain,
            _force_when_dropped: force.clone().drop_guard(),
            force,
        })
    }

    /// Waits until every connection has ended, at most `grace` long; cuts those
    /// that are left.
    pub(crate) async fn drained(self, grace: Duration) -> Drained {
        self.drain.cancelled().await;
        let force = self.force.clone();
        let limit = tokio::spawn(async move {
            tokio::time::sleep(grace).await;
            force.cancel();
        });
        let mut forced = 0;
        for worker in self.workers {
            forced += worker.ended().await;
        }
        limit.abort();
        Drained { forced }
    }
}
