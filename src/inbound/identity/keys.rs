//! The keys of an issuer (JWKS, RFC 7517): read from a file or a URL, kept for a time,
//! read again at an interval, and for a key id that is not known, though not often.

mod source;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{Instant, timeout};

pub(super) use source::Key;
use source::KeySet;
pub use source::{Error, Source};

/// How long reading the keys may take as a whole.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// The least time between two readings for unknown key ids: anybody can make one
/// up.
const REFETCH_PAUSE: Duration = Duration::from_secs(10);

/// After a failure, until the next try.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// How many calls may wait for a reading: anybody can make one wait.
const MOST_WAITING: usize = 256;

/// Where the keys are, how often they are read, and how long they count.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// Where.
    pub source: Source,
    /// How often.
    pub refresh_interval: Duration,
    /// How long keys count on that should have been read again and could not be: who
    /// keeps the gateway from the issuer must not keep a withdrawn key alive.
    pub max_stale: Duration,
}

/// What is known of a key id.
pub(super) enum Lookup {
    Found(Key),
    Unknown,
    /// No keys were ever read, or none lately.
    NoKeys,
}

/// What became of the wish to have the keys read again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refetched {
    /// They were, and it is worth looking again.
    Anew,
    /// They were read a moment ago, or cannot be read.
    NotAgain,
    /// So many wait for it already that there is no room.
    Busy,
}

/// The keys, as they were last read.
pub(super) struct Keys {
    settings: Settings,
    /// Changes with every reading, also with those that fail.
    latest: watch::Sender<Option<Arc<Latest>>>,
    wanted: Notify,
    refetch: Mutex<Refetch>,
    waiting: Semaphore,
}

struct Latest {
    keys: KeySet,
    read: Instant,
}

/// Whether a reading is under way, and when the last one began.
#[derive(Default)]
struct Refetch {
    under_way: bool,
    began: Option<Instant>,
}

impl Keys {
    /// Begins with the keys that `before` had from the same place, if it did.
    pub(super) fn new(settings: Settings, before: Option<&Self>) -> Self {
        let before = before.filter(|before| before.settings.source.is_at(&settings.source));
        let latest = before.and_then(|before| before.latest.borrow().clone());
        Self {
            settings,
            latest: watch::Sender::new(latest),
            wanted: Notify::new(),
            refetch: Mutex::default(),
            waiting: Semaphore::new(MOST_WAITING),
        }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The key with this id. Without an id, the only key there is.
    pub(super) fn find(&self, id: Option<&str>) -> Lookup {
        let Some(latest) = self.present() else {
            return Lookup::NoKeys;
        };
        let keys = &latest.keys;
        let key = match id {
            Some(id) => keys.get(&Some(id.to_owned())),
            None if keys.len() == 1 => keys.values().next(),
            None => None,
        };
        key.cloned().map_or(Lookup::Unknown, Lookup::Found)
    }

    /// Whether there are keys that count.
    pub(super) fn are_known(&self) -> bool {
        self.present().is_some()
    }

    fn present(&self) -> Option<Arc<Latest>> {
        let latest = self.latest.borrow().clone();
        let lasting = self.settings.refresh_interval + self.settings.max_stale;
        latest.filter(|latest| latest.read.elapsed() <= lasting)
    }

    /// Has the keys read again, by who may ask at any time.
    pub(super) fn read_again(&self) {
        self.wanted.notify_one();
    }

    /// Has the keys read again for an unknown id, unless that happened a moment
    /// ago, and waits for it.
    pub(super) async fn refetched(&self) -> Refetched {
        let Ok(_place) = self.waiting.try_acquire() else {
            return Refetched::Busy;
        };
        let mut latest = self.latest.subscribe();
        {
            let mut refetch = self.lock();
            let recent = refetch
                .began
                .is_some_and(|began| began.elapsed() < REFETCH_PAUSE);
            if !refetch.under_way && recent {
                return Refetched::NotAgain;
            }
            if !refetch.under_way {
                refetch.under_way = true;
                self.wanted.notify_one();
            }
        }
        // A reading that was begun may have been waiting for its turn.
        match timeout(2 * FETCH_TIMEOUT, latest.changed()).await {
            Ok(Ok(())) => Refetched::Anew,
            _ => Refetched::NotAgain,
        }
    }

    /// Completes when keys were read for the first time.
    pub(super) async fn known(&self) {
        let mut latest = self.latest.subscribe();
        // The sender lives as long as this.
        let _ = latest.wait_for(Option::is_some).await;
    }

    /// Reads the keys, and again at the interval or when they are wanted, for ever.
    pub(super) async fn follow(self: Arc<Self>) {
        let mut told = None;
        loop {
            let read = self.read().await;
            let pause = match &read {
                Ok(_) => self.settings.refresh_interval,
                Err(_) => RETRY_PAUSE.min(self.settings.refresh_interval),
            };
            let problem = match read {
                Ok(0) => Some("there is no public key for signatures among the keys of the JWT issuer: none of its tokens is accepted".to_owned()),
                Ok(_) => None,
                Err(problem) => Some(format!(
                    "the keys of the JWT issuer cannot be read; those read before count for {:?} more: {problem}",
                    self.settings.max_stale
                )),
            };
            if let Some(problem) = &problem
                && told.as_ref() != Some(problem)
            {
                tracing::error!("{problem}");
            }
            told = problem;
            // Either is a reason to read.
            let _ = timeout(pause, self.wanted.notified()).await;
        }
    }

    /// Reads the keys, and tells how many there are.
    async fn read(&self) -> Result<usize, String> {
        let began = Instant::now();
        {
            let mut refetch = self.lock();
            refetch.under_way = true;
            refetch.began = Some(began);
        }
        let read = timeout(FETCH_TIMEOUT, self.settings.source.read()).await;
        let read = match read {
            Ok(read) => read.map_err(|error| error.to_string()),
            Err(_elapsed) => Err(format!("no answer in {FETCH_TIMEOUT:?}")),
        };
        self.lock().under_way = false;
        match read {
            Ok(keys) => {
                let count = keys.len();
                let latest = Latest { keys, read: began };
                self.latest.send_replace(Some(Arc::new(latest)));
                Ok(count)
            }
            Err(problem) => {
                // Those who wait need not wait any longer.
                self.latest.send_modify(|_| {});
                Err(problem)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Refetch> {
        self.refetch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
