//! Accepts connections and hands each to the worker that has the fewest.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::worker::Inbox;

/// When the system has no file descriptors left, the next accept would fail at
/// once again: wait until some connection may have ended.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// Accepts connections until the server drains.
#[derive(Debug)]
pub(super) struct Acceptor {
    pub(super) listener: TcpListener,
    pub(super) workers: Vec<Inbox>,
    /// One permit a connection that may be open.
    pub(super) connections: Arc<Semaphore>,
    pub(super) drain: CancellationToken,
}

/// An accepted connection on its way to a worker.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) stream: std::net::TcpStream,
    /// Held as long as the connection is open.
    pub(super) permit: OwnedSemaphorePermit,
}

impl Acceptor {
    pub(super) async fn run(self) {
        let drain = self.drain.clone();
        // Dropping the listener closes the port; dropping the inboxes tells the
        // workers that no connection comes any more.
        drain.run_until_cancelled_owned(self.accept_all()).await;
    }

    async fn accept_all(mut self) {
        // The semaphore is never closed.
        while let Ok(permit) = Arc::clone(&self.connections).acquire_owned().await {
            match self
                .listener
                .accept()
                .await
                .and_then(|(stream, _)| detached(stream))
            {
                Ok(stream) => self.hand_over(Accepted { stream, permit }).await,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                }
            }
        }
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

/// A stream that no runtime watches yet: the worker's will.
fn detached(stream: TcpStream) -> io::Result<std::net::TcpStream> {
    stream.set_nodelay(true)?;
    stream.into_std()
}
