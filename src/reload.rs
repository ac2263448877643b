//! Reads the configuration again while the gateway runs: who may call, what for and
//! how often, who proves it how, and what AWS admits. Everything or nothing: a
//! configuration with a mistake changes nothing. Calls go on under the rules with which
//! they began.
//!
//! What can change is a [`Part`]. What no part takes on is told to need a restart.

use std::convert::Infallible;
use std::fmt;

use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use crate::config::{Config, Effective, InForce, Mistakes, Origin};
use crate::tls;

/// Reloads that may wait; more are one too many at once.
const MOST_WAITING: usize = 16;

/// Something that can take on a new configuration while the gateway runs.
pub(crate) trait Part: Send + Sync {
    /// Whether it goes by what the configuration says at `key`.
    fn takes_on(&self, key: &str) -> bool;

    /// Takes on what `config` says of them. It is known to be good, and cannot be
    /// refused any more.
    fn apply(&self, config: &Config);
}

/// New content of the files only; where they are is settled at the start.
impl Part for tls::Acceptor {
    fn takes_on(&self, _: &str) -> bool {
        false
    }

    fn apply(&self, config: &Config) {
        if let Some(tls) = &config.tls
            && tls.files == *self.files()
        {
            self.replace(tls.material.clone());
        }
    }
}

/// What a reload came to.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Report {
    /// The keys that have a new value, which is in force.
    pub applied: Vec<String>,
    /// Those whose new value waits for a restart.
    pub need_restart: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.applied.as_slice() {
            [] => f.write_str("no setting that can change has changed")?,
            applied => write!(f, "new and in force: {}", applied.join(", "))?,
        }
        match self.need_restart.as_slice() {
            [] => Ok(()),
            waiting => write!(f, "; new, but only after a restart: {}", waiting.join(", ")),
        }
    }
}

/// Why nothing was reloaded. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration has mistakes.
    #[error(transparent)]
    Mistakes(#[from] Mistakes),
    /// The gateway does not run, or was not told where its configuration is.
    #[error("the gateway cannot reload: it does not run, or has no configuration to read again")]
    NotRunning,
}

/// Asks a gateway to reload, on behalf of a signal or of an operator.
#[derive(Clone, Debug)]
pub struct Handle(mpsc::Sender<oneshot::Sender<Result<Report, Mistakes>>>);

/// What handles ask for.
pub(crate) type Requests = mpsc::Receiver<oneshot::Sender<Result<Report, Mistakes>>>;

/// A handle, and where what it asks for arrives.
pub(crate) fn channel() -> (Handle, Requests) {
    let (sender, requests) = mpsc::channel(MOST_WAITING);
    (Handle(sender), requests)
}

impl Handle {
    /// Has the configuration read again and put in force, as far as that can be
    /// done without a restart.
    ///
    /// # Errors
    /// When it has mistakes, all of them, or the gateway cannot reload.
    pub async fn reload(&self) -> Result<Report, Error> {
        let (answer, answered) = oneshot::channel();
        let sent = self.0.send(answer).await;
        sent.map_err(|_| Error::NotRunning)?;
        Ok(answered.await.map_err(|_| Error::NotRunning)??)
    }
}

/// Reloads at each SIGHUP, for ever.
pub async fn on_hangup(handle: Handle) -> Infallible {
    let mut hangups = match signal(SignalKind::hangup()) {
        Ok(hangups) => hangups,
        Err(error) => {
            tracing::error!(%error, "SIGHUP will not reload");
            return std::future::pending().await;
        }
    };
    while hangups.recv().await.is_some() {
        if let Err(error @ Error::NotRunning) = handle.reload().await {
            tracing::error!("SIGHUP: {error}");
        }
    }
    std::future::pending().await
}

/// Reloads a gateway's parts.
pub(crate) struct Reloader {
    origin: Origin,
    /// What the parts go by.
    in_force: Effective,
    /// The same for people.
    shown: InForce,
    parts: Vec<Box<dyn Part>>,
}

impl Reloader {
    /// Reloads from `origin`, where `in_force` came from, and keeps `shown` up to
    /// date.
    pub(crate) fn new(
        origin: Origin,
        in_force: Effective,
        shown: InForce,
        parts: Vec<Box<dyn Part>>,
    ) -> Self {
        Self {
            origin,
            in_force,
            shown,
            parts,
        }
    }

    /// Does what handles ask for, one after the other, until there are none. Tells
    /// the log how it went.
    pub(crate) async fn serve(mut self, mut requests: Requests) {
        while let Some(answer) = requests.recv().await {
            let reloaded = self.reload().await;
            match &reloaded {
                Ok(report) => tracing::info!("configuration read again; {report}"),
                Err(mistakes) => tracing::error!("nothing has changed: {mistakes}"),
            }
            // Whoever asked may have left.
            let _ = answer.send(reloaded);
        }
    }

    async fn reload(&mut self) -> Result<Report, Mistakes> {
        let (config, effective) = self.origin.load().await?;
        for part in &self.parts {
            part.apply(&config);
        }
        let takes_on = |key: &String| self.parts.iter().any(|part| part.takes_on(key));
        let changed = self.in_force.differences(&effective);
        let (applied, need_restart): (Vec<_>, Vec<_>) = changed.into_iter().partition(takes_on);
        // What waits for a restart is told again the next time.
        self.in_force.take_over(&effective, &applied, &need_restart);
        self.shown.replace(self.in_force.shown());
        Ok(Report {
            applied,
            need_restart,
        })
    }
}

impl fmt::Debug for Reloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloader")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}
