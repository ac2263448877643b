//! A worker: a thread with a current-thread runtime that serves connections.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::HttpService;
use super::acceptor::Accepted;
use super::connection::Connections;
use crate::config::ServerSettings;
use crate::telemetry::metrics;
use crate::tls;

/// Connections that wait for a worker to take them. A worker takes all that are
/// there each time it wakes, so that few ever wait.
const INBOX: usize = 64;

/// A running worker.
#[derive(Debug)]
pub(super) struct Worker {
    inbox: Inbox,
    ended: oneshot::Receiver<usize>,
}

/// Where the acceptor leaves connections for a worker.
#[derive(Clone, Debug)]
pub(super) struct Inbox {
    sender: mpsc::Sender<Accepted>,
    connections: Arc<AtomicUsize>,
}

impl Inbox {
    /// How many connections the worker has, those on their way included.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Whether the worker has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    pub(super) async fn send(&self, accepted: Accepted) {
        self.connections.fetch_add(1, Ordering::Relaxed);
        if self.sender.send(accepted).await.is_err() {
            self.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Worker {
    pub(super) fn start<S: HttpService>(
        index: usize,
        settings: ServerSettings,
        tls: Option<tls::Acceptor>,
        drain: CancellationToken,
        force: CancellationToken,
        metrics: metrics::Connections,
        service: S,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (sender, accepted) = mpsc::channel(INBOX);
        let (report, ended) = oneshot::channel();
        let connections = Arc::new(AtomicUsize::new(0));
        let inbox = Inbox {
            sender,
            connections: Arc::clone(&connections),
        };
        thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(move || {
                let connections = Connections {
                    service,
                    settings,
                    tls,
                    drain,
                    open: connections,
                    metrics,
                };
                let forced = runtime.block_on(serve(accepted, connections, force));
                // Nobody may be waiting any more.
                let _ = report.send(forced);
            })?;
        Ok(Self { inbox, ended })
    }

    pub(super) fn inbox(&self) -> Inbox {
        self.inbox.clone()
    }

    /// Waits until the worker has ended; tells how many connections it cut.
    pub(super) async fn ended(self) -> usize {
        let Inbox {
            sender,
            connections,
        } = self.inbox;
        drop(sender);
        // A worker that panicked cut what it had; its panic is in the log.
        let cut = || connections.load(Ordering::Relaxed);
        self.ended.await.unwrap_or_else(|_| cut())
    }
}

/// Serves connections until no more come and all have ended, or `force`. Tells
/// how many it cut.
async fn serve<S: HttpService>(
    mut accepted: mpsc::Receiver<Accepted>,
    connections: Connections<S>,
    force: CancellationToken,
) -> usize {
    let mut tasks = JoinSet::new();
    let serve_all = async {
        loop {
            tokio::select! {
                next = accepted.recv() => match next {
                    Some(Accepted { stream, slot }) => {
                        tasks.spawn(connections.serve(stream, slot));
                    }
                    None => break,
                },
                Some(_) = tasks.join_next() => {}
            }
        }
        while tasks.join_next().await.is_some() {}
    };
    force.run_until_cancelled(serve_all).await;
    tasks.len()
}

/// Registers the stream with this thread's runtime.
pub(super) fn attached(stream: std::net::TcpStream) -> io::Result<TcpStream> {
    stream.set_nonblocking(true)?;
    TcpStream::from_std(stream)
}
