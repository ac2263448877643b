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

/// So many calls wait for a reading already that there is no room.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Busy;

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
    /// Begins with the keys that `before` had from the same source, if it did.
    pub(super) fn new(settings: Settings, before: Option<&Self>) -> Self {
        let before = before.filter(|before| before.settings.source == settings.source);
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
        latest.filter(|latest| !self.left(latest).is_zero())
    }

    /// How long they count. Two readings may take their time between one and the next.
    fn left(&self, latest: &Latest) -> Duration {
        let Settings {
            refresh_interval,
            max_stale,
            ..
        } = self.settings;
        let lasting = refresh_interval + max_stale + 2 * FETCH_TIMEOUT;
        lasting.saturating_sub(latest.read.elapsed())
    }

    /// Has the keys read again at once, for an operator.
    pub(super) fn read_again(&self) {
        self.wanted.notify_one();
    }

    /// Has the keys read again for an unknown id, unless that happened a moment
    /// ago, and waits for it. It is worth looking again then in either case: a reading
    /// may have ended since the first look.
    pub(super) async fn refetched(&self) -> Result<(), Busy> {
        let _place = self.waiting.try_acquire().map_err(|_| Busy)?;
        let mut latest = self.latest.subscribe();
        {
            let mut refetch = self.lock();
            let recent = refetch
                .began
                .is_some_and(|began| began.elapsed() < REFETCH_PAUSE);
            if !refetch.under_way && recent {
                return Ok(());
            }
            if !refetch.under_way {
                refetch.under_way = true;
                self.wanted.notify_one();
            }
        }
        // A reading that was begun may have been waiting for its turn.
        let _ = timeout(2 * FETCH_TIMEOUT, latest.changed()).await;
        Ok(())
    }

    /// Completes when there are keys that count.
    pub(super) async fn known(&self) {
        let mut latest = self.latest.subscribe();
        while !self.are_known() {
            // The sender lives as long as this.
            let _ = latest.changed().await;
        }
    }

    /// Reads the keys, and again at the interval or when they are wanted, for ever.
    pub(super) async fn follow(self: Arc<Self>) {
        let mut told = None;
        loop {
            let problem = self.read().await.err();
            let pause = match &problem {
                None => self.settings.refresh_interval,
                Some(_) => RETRY_PAUSE.min(self.settings.refresh_interval),
            };
            let news = problem.map(|problem| (problem, self.are_known()));
            if let Some((problem, _)) = &news
                && told != news
            {
                self.tell(problem);
            }
            told = news;
            // Either is a reason to read.
            let _ = timeout(pause, self.wanted.notified()).await;
        }
    }

    fn tell(&self, problem: &str) {
        match self.present() {
            Some(latest) => tracing::error!(
                "the keys of the JWT issuer cannot be read again, those at hand count for {:.0?} more: {problem}",
                self.left(&latest)
            ),
            None => tracing::error!(
                "there are no keys of the JWT issuer, its tokens are refused until there are: {problem}"
            ),
        }
    }

    async fn read(&self) -> Result<(), String> {
        let began = Instant::now();
        {
            let mut refetch = self.lock();
            refetch.under_way = true;
            refetch.began = Some(began);
        }
        let read = self.settings.source.read(FETCH_TIMEOUT).await;
        // Together, or a call in between would think that the reading was another one.
        let mut refetch = self.lock();
        refetch.under_way = false;
        match read {
            Ok(keys) => {
                if keys.is_empty() {
                    tracing::error!(
                        "there is no public key for signatures among the keys of the JWT issuer: its tokens are refused"
                    );
                }
                let latest = Latest { keys, read: began };
                self.latest.send_replace(Some(Arc::new(latest)));
                Ok(())
            }
            Err(problem) => {
                // Those who wait need not wait any longer.
                self.latest.send_modify(|_| {});
                Err(problem.to_string())
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
