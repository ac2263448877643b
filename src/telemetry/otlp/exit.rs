//! The end of telemetry: what was not sent yet is sent, within one limit for all
//! signals together.

use std::fmt;
use std::io;
use std::thread;
use std::time::Duration;

use futures_util::future::join_all;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::Signal;

/// What shuts a provider of the SDK down within a limit, blocking meanwhile.
type End = Box<dyn FnOnce(Duration) -> OTelSdkResult + Send>;

/// The end of a signal. Dropped, it ends too, and waits for nothing: the SDK's
/// own providers would wait for the collector.
pub(crate) struct Exit {
    signal: Signal,
    end: Option<End>,
}

impl Exit {
    pub(crate) fn new(
        signal: Signal,
        end: impl FnOnce(Duration) -> OTelSdkResult + Send + 'static,
    ) -> Self {
        Self {
            signal,
            end: Some(Box::new(end)),
        }
    }

    async fn within(mut self, limit: Duration) {
        let Some(end) = self.end.take() else { return };
        let signal = self.signal.name();
        match timeout(limit, run(end, limit)).await {
            Ok(Ok(Ok(()) | Err(OTelSdkError::AlreadyShutdown))) => {}
            Err(_) | Ok(Ok(Err(OTelSdkError::Timeout(_)))) => {
                tracing::warn!(signal, ?limit, "not all telemetry was sent in time");
            }
            Ok(Ok(Err(error))) => tracing::warn!(signal, %error, "not all telemetry was sent"),
            Ok(Err(error)) => tracing::warn!(signal, %error, "not all telemetry was sent"),
        }
    }
}

/// On a thread of its own, and not one of the runtime's, whose end would wait for
/// it.
async fn run(end: End, limit: Duration) -> io::Result<OTelSdkResult> {
    let (report, ended) = oneshot::channel();
    thread::Builder::new()
        .name("telemetry-end".to_owned())
        .spawn(move || {
            // Nobody may be waiting any more.
            let _ = report.send(end(limit));
        })?;
    ended.await.map_err(io::Error::other)
}

impl Drop for Exit {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            // It answers that the time is up.
            let _ = end(Duration::ZERO);
        }
    }
}

impl fmt::Debug for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Exit").field(&self.signal).finish()
    }
}

/// Ends all of these at the same time, so that they share `limit`.
pub(crate) async fn shut_down(limit: Duration, exits: impl IntoIterator<Item = Exit>) {
    join_all(exits.into_iter().map(|exit| exit.within(limit))).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Barrier, mpsc};
    use tokio::time::Instant;

    const LIMIT: Duration = Duration::from_secs(3);
    const ALL: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];

    #[tokio::test(start_paused = true)]
    async fn all_signals_together_keep_to_the_limit() {
        let (release, held) = mpsc::channel::<()>();
        let held = Arc::new(std::sync::Mutex::new(held));
        let exits = ALL.map(|signal| {
            let held = Arc::clone(&held);
            Exit::new(signal, move |_| {
                // Until the test has ended.
                let _ = held.lock().unwrap().recv();
                Ok(())
            })
        });
        let began = Instant::now();
        shut_down(LIMIT, exits).await;
        assert_eq!(began.elapsed(), LIMIT);
        drop(release);
    }

    #[tokio::test]
    async fn all_signals_end_at_the_same_time() {
        let together = Arc::new(Barrier::new(ALL.len()));
        let exits = ALL.map(|signal| {
            let together = Arc::clone(&together);
            Exit::new(signal, move |_| {
                together.wait();
                Ok(())
            })
        });
        shut_down(Duration::MAX, exits).await;
    }

    #[test]
    fn what_is_dropped_ends_without_waiting() {
        let (report, limit) = mpsc::channel();
        drop(Exit::new(Signal::Traces, move |limit| {
            let _ = report.send(limit);
            Ok(())
        }));
        assert_eq!(limit.recv().unwrap(), Duration::ZERO);
    }
}
