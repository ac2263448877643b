//! The signals that end the process: the first begins an orderly shutdown, the
//! second ends it at once.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Completes when the process shall shut down.
pub type Shutdown = WaitForCancellationFutureOwned;

/// SIGINT and SIGTERM, from the moment this is made.
#[derive(Debug)]
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Takes the signals over from the system.
    fn install() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next signal and gives its name.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

/// How a run under signals ended.
#[derive(Debug)]
pub enum Ended<T> {
    /// By itself, or in good order after the first signal.
    Done(T),
    /// A second signal came.
    AtOnce(&'static str),
    /// The system does not deliver signals.
    NoSignals(io::Error),
}

/// Runs what `run` makes. The future that it is given completes at the first
/// signal; at the second, what runs is dropped.
pub async fn until_signalled<T, F>(run: impl FnOnce(Shutdown) -> F) -> Ended<T>
where
    F: Future<Output = T>,
{
    let mut signals = match Signals::install() {
        Ok(signals) => signals,
        Err(error) => return Ended::NoSignals(error),
    };
    let begin = CancellationToken::new();
    let shutdown = begin.clone().cancelled_owned();
    let second = async {
        let first = signals.next().await;
        tracing::info!("{first}: shutting down; a second signal ends at once");
        begin.cancel();
        signals.next().await
    };
    tokio::select! {
        done = run(shutdown) => Ended::Done(done),
        signal = second => Ended::AtOnce(signal),
    }
}
