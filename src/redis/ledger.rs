//! What the ledger remembers, kept in Redis for all replicas.

use std::time::Duration;

use super::Connection;

/// Records by the SHA-256 of an upstream token.
///
/// Neither token nor parameters reach Redis in the clear: the key is a digest,
/// and what a record holds is its owner's to choose. Redis is behind what a
/// replica remembers by itself, and a failure of it is never one of a call.
#[derive(Clone, Debug)]
pub struct Records {
    connection: Connection,
    prefix: String,
}

impl Records {
    /// Records under keys that begin with `prefix`.
    #[must_use]
    pub fn new(connection: Connection, prefix: &str) -> Self {
        Self {
            connection,
            prefix: prefix.to_owned(),
        }
    }

    /// The record of this digest, if Redis has it and answers in time.
    pub async fn get(&self, digest: &[u8; 32]) -> Option<Vec<u8>> {
        let mut get = redis::cmd("GET");
        get.arg(self.key(digest));
        match self.connection.run(&get).await {
            Ok(record) => record,
            Err(error) => {
                tracing::debug!(%error, "the ledger could not ask Redis");
                None
            }
        }
    }

    /// Keeps a record for `ttl`, unless there is one already: the first answer
    /// to an intent is the one that counts.
    pub async fn put(&self, digest: &[u8; 32], record: &[u8], ttl: Duration) {
        let Some(millis) = u64::try_from(ttl.as_millis()).ok().filter(|ttl| *ttl > 0) else {
            return;
        };
        let mut set = redis::cmd("SET");
        set.arg(self.key(digest))
            .arg(record)
            .arg("NX")
            .arg("PX")
            .arg(millis);
        if let Err(error) = self.connection.run::<Option<String>>(&set).await {
            tracing::debug!(%error, "the ledger could not tell Redis");
        }
    }

    fn key(&self, digest: &[u8; 32]) -> String {
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}:ledger:{digest}", self.prefix)
    }
}
