//! Accepts connections and hands each to the worker that has the fewest.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::peers::{Admitted, Most, Peers};
use super::reminder::Reminder;
use super::worker::Inbox;
use crate::config::ServerSettings;
use crate::inbound::StreamPlaces;
use crate::telemetry::metrics::{Connections, Refusal};

/// When the system has no file descriptors left, the next accept would fail at
/// once again: wait until some connection may have ended.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// Accepts connections until the server drains.
#[derive(Debug)]
pub(super) struct Acceptor {
    listener: TcpListener,
    workers: Vec<Inbox>,
    /// One permit a connection that may be open.
    connections: Arc<Semaphore>,
    peers: Peers,
    metrics: Connections,
    told: Told,
}

/// What the log is told now and then.
#[derive(Debug, Default)]
struct Told {
    full: Reminder,
    refused: Reminder,
    failed: Reminder,
}

/// An accepted connection on its way to a worker.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) stream: std::net::TcpStream,
    pub(super) slot: Slot,
}

/// What a connection holds as long as it is open: its place among all, and among
/// those of its peer.
#[derive(Debug)]
pub(super) struct Slot {
    _permit: OwnedSemaphorePermit,
    admitted: Admitted,
}

impl Slot {
    /// One permit a handshake that the peer may be in.
    pub(super) fn handshakes(&self) -> &Semaphore {
        self.admitted.handshakes()
    }

    /// The peer's places for streams that ask for no proof.
    pub(super) fn streams(&self) -> &StreamPlaces {
        self.admitted.streams()
    }
}

impl Acceptor {
    pub(super) fn new(
        listener: TcpListener,
        workers: Vec<Inbox>,
        settings: &ServerSettings,
        handshakes_of_a_peer: usize,
        metrics: Connections,
    ) -> Self {
        let most = Most {
            connections: settings.max_connections_per_peer,
            handshakes: handshakes_of_a_peer,
        };
        Self {
            listener,
            workers,
            connections: Arc::new(Semaphore::new(settings.max_connections)),
            peers: Peers::new(most),
            metrics,
            told: Told::default(),
        }
    }

    pub(super) async fn run(self, drain: CancellationToken) {
        // Dropping the listener closes the port; dropping the inboxes tells the
        // workers that no connection comes any more.
        drain.run_until_cancelled_owned(self.accept_all()).await;
    }

    async fn accept_all(mut self) {
        while let Some(permit) = self.permit().await {
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    if let Some(accepted) = self.admit(stream, address, permit) {
                        self.hand_over(accepted).await;
                    }
                }
                // It was gone before it was accepted; the next one may be there.
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    if let Some(times) = self.told.failed.again() {
                        tracing::warn!(%error, times, "cannot accept connections");
                    }
                    tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                }
            }
        }
    }

    /// Waits until one more connection may be open; the others wait in the kernel.
    async fn permit(&mut self) -> Option<OwnedSemaphorePermit> {
        let connections = &self.connections;
        if let Ok(permit) = Arc::clone(connections).try_acquire_owned() {
            return Some(permit);
        }
        if let Some(times) = self.told.full.again() {
            tracing::warn!(
                times,
                "as many connections are open as may be: new ones wait until one ends; raise server.max_connections if this is no attack"
            );
        }
        // The semaphore is never closed.
        Arc::clone(connections).acquire_owned().await.ok()
    }

    /// `None` if the connection was closed at once.
    fn admit(
        &mut self,
        stream: TcpStream,
        address: SocketAddr,
        permit: OwnedSemaphorePermit,
    ) -> Option<Accepted> {
        let Some(admitted) = self.peers.admit(address.ip()) else {
            self.metrics.refused(Refusal::PeerLimit);
            if let Some(times) = self.told.refused.again() {
                let peer = address.ip();
                tracing::warn!(
                    %peer,
                    times,
                    "a peer has as many connections as one may have: more are closed; raise server.max_connections_per_peer if it is a proxy"
                );
            }
            return None;
        };
        // Fails if the peer has gone already.
        let stream = detached(stream).ok()?;
        Some(Accepted {
            stream,
            slot: Slot {
                _permit: permit,
                admitted,
            },
        })
    }

    async fn hand_over(&mut self, accepted: Accepted) {
        // One that has died would look the least busy for ever.
        self.workers.retain(|worker| !worker.is_closed());
        if let Some(worker) = self
            .workers
            .iter()
            .min_by_key(|worker| worker.connections())
        {
            worker.send(accepted).await;
        }
    }
}

/// Whether an accept failed because of the connection, not of the system.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}

/// A stream that no runtime watches yet: the worker's will.
fn detached(stream: TcpStream) -> io::Result<std::net::TcpStream> {
    stream.set_nodelay(true)?;
    stream.into_std()
}
