//! What is remembered of an intent, and where replicas share it.

use std::fmt;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use sha2::{Digest as _, Sha256};

use super::Fingerprint;
use crate::session::{Session, Token};

/// Remembers records for all replicas, behind what each remembers by itself.
///
/// A store has no way to fail a call. What it does not know AWS's own idempotency
/// still holds.
pub trait Store: fmt::Debug + Send + Sync {
    /// The record of this key. Calls wait for it: a store that is gone or slow
    /// answers `None`, within a short time of its own.
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Option<Record>>;

    /// Keeps a record for `ttl`. Nobody waits for it: it is written behind the
    /// caller's back, or dropped when too many are waiting to be written.
    fn put(&self, key: Key, record: Record, ttl: Duration, over: Over);
}

/// What a record may take the place of, in a store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Over {
    /// Nothing: what another replica wrote first is what counts.
    Nothing,
    /// What has no session yet.
    Unknown,
}

/// What the ledger knows an intent by: the SHA-256 of the upstream token, so
/// that no store holds the token.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Key([u8; 32]);

impl Key {
    /// The key of an upstream token.
    #[must_use]
    pub fn of(token: &Token) -> Self {
        Self(Sha256::digest(token.as_str()).into())
    }

    /// The key as bytes, for a store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// What is remembered of an intent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// What was asked for.
    pub fingerprint: Fingerprint,
    /// What became of it.
    pub outcome: Outcome,
    /// When no session that was made for it can be alive any more.
    pub forget_time: SystemTime,
}

/// What became of an intent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// AWS made this session.
    Made(Session),
    /// AWS may have made a session, and no answer came.
    Unknown {
        /// When AWS was first asked.
        first_sent: SystemTime,
    },
}

impl Outcome {
    /// The session was made, if it was, at this time or later.
    #[must_use]
    pub fn since(&self) -> SystemTime {
        match self {
            Self::Made(session) => session.create_time,
            Self::Unknown { first_sent } => *first_sent,
        }
    }

    /// Whether the session is known.
    pub(crate) fn is_made(&self) -> bool {
        matches!(self, Self::Made(_))
    }
}
