//! The keys of an issuer (JWKS, RFC 7517): read from a file or a URL, kept, read
//! again at an interval, and for a key id that is not known, though not often.

mod source;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
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

/// Where the keys are, and how often they are read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// Where.
    pub source: Source,
    /// How often.
    pub refresh_interval: Duration,
}

/// What is known of a key id.
pub(super) enum Lookup {
    Found(Key),
    Unknown,
    /// No keys were ever read.
    NoneYet,
}

/// The keys, as they were last read.
pub(super) struct Keys {
    settings: Settings,
    /// Changes with every reading, also with those that fail.
    latest: watch::Sender<Option<Arc<KeySet>>>,
    wanted: Notify,
    refetch: Mutex<Refetch>,
}

/// Whether a reading is under way, and when the last one began.
#[derive(Default)]
struct Refetch {
    under_way: bool,
    began: Option<Instant>,
}

impl Keys {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            latest: watch::Sender::new(None),
            wanted: Notify::new(),
            refetch: Mutex::default(),
        }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The key with this id. Without an id, the only key there is.
    pub(super) fn find(&self, id: Option<&str>) -> Lookup {
        let latest = self.latest.borrow();
        let Some(keys) = latest.as_ref() else {
            return Lookup::NoneYet;
        };
        let key = match id {
            Some(id) => keys.get(&Some(id.to_owned())),
            None if keys.len() == 1 => keys.values().next(),
            None => None,
        };
        key.cloned().map_or(Lookup::Unknown, Lookup::Found)
    }

    /// Has the keys read again for an unknown id, unless that happened a moment
    /// ago, and waits for it. Whether it is worth looking again.
    pub(super) async fn refetched(&self) -> bool {
        let mut latest = self.latest.subscribe();
        {
            let mut refetch = self.lock();
            let recent = refetch
                .began
                .is_some_and(|began| began.elapsed() < REFETCH_PAUSE);
            if !refetch.under_way && recent {
                return false;
            }
            if !refetch.under_way {
                refetch.under_way = true;
                self.wanted.notify_one();
            }
        }
        // A reading that was begun may have been waiting for its turn.
        let changed = timeout(2 * FETCH_TIMEOUT, latest.changed()).await;
        matches!(changed, Ok(Ok(())))
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
            let pause = match self.read().await {
                Ok(()) => {
                    told = None;
                    self.settings.refresh_interval
                }
                Err(problem) => {
                    if told.as_ref() != Some(&problem) {
                        tracing::error!("the keys of the JWT issuer stay as they are: {problem}");
                        told = Some(problem);
                    }
                    RETRY_PAUSE.min(self.settings.refresh_interval)
                }
            };
            // Either is a reason to read.
            let _ = timeout(pause, self.wanted.notified()).await;
        }
    }

    async fn read(&self) -> Result<(), String> {
        {
            let mut refetch = self.lock();
            refetch.under_way = true;
            refetch.began = Some(Instant::now());
        }
        let read = timeout(FETCH_TIMEOUT, self.settings.source.read()).await;
        let read = match read {
            Ok(read) => read.map_err(|error| error.to_string()),
            Err(_elapsed) => Err(format!("no answer in {FETCH_TIMEOUT:?}")),
        };
        self.lock().under_way = false;
        match read {
            Ok(keys) => {
                self.latest.send_replace(Some(Arc::new(keys)));
                Ok(())
            }
            Err(problem) => {
                // Those who wait need not wait any longer.
                self.latest.send_modify(|_| {});
                Err(problem)
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Refetch> {
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
mod tests {
    use super::source::set;
    use super::*;
    use tempfile::NamedTempFile;

    fn knows(keys: &Keys, id: &str) -> bool {
        matches!(keys.find(Some(id)), Lookup::Found(_))
    }

    fn followed(file: &NamedTempFile) -> Arc<Keys> {
        let keys = Arc::new(Keys::new(Settings {
            source: Source::File(file.path().to_owned()),
            refresh_interval: Duration::from_secs(300),
        }));
        tokio::spawn(Arc::clone(&keys).follow());
        keys
    }

    #[tokio::test(start_paused = true)]
    async fn an_unknown_id_has_the_keys_read_again_but_not_often() {
        let file = NamedTempFile::new().unwrap();
        std::fs::write(file.path(), set(&["a"])).unwrap();
        let keys = followed(&file);
        assert!(matches!(keys.find(Some("a")), Lookup::NoneYet));
        keys.known().await;
        assert!(knows(&keys, "a") && !knows(&keys, "b"));
        std::fs::write(file.path(), set(&["b"])).unwrap();
        assert!(!keys.refetched().await, "it was read a moment ago");
        tokio::time::advance(REFETCH_PAUSE).await;
        let (one, two) = tokio::join!(keys.refetched(), keys.refetched());
        assert!(one && two, "both wait for the one reading");
        assert!(knows(&keys, "b") && !knows(&keys, "a"));
        assert!(!keys.refetched().await);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_key_set_keeps_the_old_one_and_is_tried_again() {
        let file = NamedTempFile::new().unwrap();
        std::fs::write(file.path(), set(&["a"])).unwrap();
        let keys = followed(&file);
        keys.known().await;
        std::fs::write(file.path(), "{}").unwrap();
        tokio::time::advance(REFETCH_PAUSE).await;
        assert!(keys.refetched().await);
        assert!(knows(&keys, "a"));
        std::fs::write(file.path(), set(&["b"])).unwrap();
        let mut latest = keys.latest.subscribe();
        latest.changed().await.unwrap();
        assert!(knows(&keys, "b"));
    }
}
