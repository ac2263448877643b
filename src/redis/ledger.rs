//! What the ledger remembers, kept in Redis for all replicas.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::breaker::Breaker;
use super::script::Script;
use super::{Connection, Error};

/// Records that are being written at a time: more than twice as many sessions as
/// AWS makes by default in the longest time that a write may take.
const WRITES: usize = 256;

/// Records by the SHA-256 of an upstream token.
///
/// Neither token nor parameters reach Redis in the clear: the key is a digest,
/// and what a record holds is its owner's to choose. Redis is behind what a
/// replica remembers by itself, and a failure of it is never one of a call, nor
/// does it delay many: for a moment after each nothing is asked.
#[derive(Clone, Debug)]
pub struct Records {
    connection: Connection,
    prefix: String,
    replace: Arc<Script>,
    reads: Arc<Breaker>,
    writes: Arc<Semaphore>,
}

impl Records {
    /// Records under keys that begin with `prefix`.
    #[must_use]
    pub fn new(connection: Connection, prefix: &str) -> Self {
        Self {
            connection,
            prefix: prefix.to_owned(),
            replace: Arc::new(Script::new(include_str!("replace.lua"))),
            reads: Arc::default(),
            writes: Arc::new(Semaphore::new(WRITES)),
        }
    }

    /// The record of this digest, if Redis has it, answers in time and has not
    /// just failed to.
    pub async fn get(&self, digest: &[u8; 32]) -> Option<Vec<u8>> {
        let pass = self.reads.pass()?;
        let mut get = redis::cmd("GET");
        get.arg(self.key(digest));
        match self.connection.run(&get).await {
            Ok(record) => {
                pass.succeeded();
                record
            }
            Err(error) => {
                pass.failed();
                tracing::debug!(%error, "the ledger could not ask Redis");
                None
            }
        }
    }

    /// Keeps a record for `ttl`, unless there is one already: the first answer
    /// to an intent is the one that counts. Whether it is kept, as far as is known.
    pub async fn put(&self, digest: &[u8; 32], record: &[u8], ttl: Duration) -> bool {
        self.set(digest, record, ttl, "NX").await
    }

    /// Keeps a record for `ttl` in place of `present`, if that is there still. Whether it
    /// is kept, as far as is known.
    pub async fn replace(
        &self,
        digest: &[u8; 32],
        present: &[u8],
        record: &[u8],
        ttl: Duration,
    ) -> bool {
        let Some(millis) = millis(ttl) else {
            return false;
        };
        let keys = [self.key(digest)];
        let arguments = [present, record, millis.to_string().as_bytes()].map(<[u8]>::to_vec);
        let kept = self
            .connection
            .invoke::<Option<String>>(&self.replace, &keys, &arguments);
        told(kept.await)
    }

    async fn set(&self, digest: &[u8; 32], record: &[u8], ttl: Duration, when: &str) -> bool {
        let Some(millis) = millis(ttl) else {
            return false;
        };
        let mut set = redis::cmd("SET");
        set.arg(self.key(digest))
            .arg(record)
            .arg(when)
            .arg("PX")
            .arg(millis);
        told(self.connection.run::<Option<String>>(&set).await)
    }

    /// Runs a write behind the caller's back. It is dropped if too many are
    /// running, and with the runtime.
    pub(super) fn write<F>(&self, write: impl FnOnce(Self) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let place = Arc::clone(&self.writes).try_acquire_owned();
        let (Ok(place), Ok(runtime)) = (place, Handle::try_current()) else {
            tracing::debug!("the ledger does not tell Redis: too much is being written");
            return;
        };
        let write = write(self.clone());
        runtime.spawn(async move {
            write.await;
            drop(place);
        });
    }

    fn key(&self, digest: &[u8; 32]) -> String {
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}:ledger:{digest}", self.prefix)
    }
}

/// In milliseconds, unless it is over.
fn millis(ttl: Duration) -> Option<u64> {
    u64::try_from(ttl.as_millis()).ok().filter(|ttl| *ttl > 0)
}

/// Whether Redis says that it keeps a record.
fn told(answer: Result<Option<String>, Error>) -> bool {
    answer
        .inspect_err(|error| tracing::debug!(%error, "the ledger could not tell Redis"))
        .is_ok_and(|kept| kept.is_some())
}
