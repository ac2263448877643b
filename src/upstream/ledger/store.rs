//! Where replicas share what they remember.

use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sha2::{Digest as _, Sha256};

use super::Fingerprint;
use crate::session::{Session, Token};

/// Remembers records for all replicas, behind what each remembers by itself.
///
/// A store has no way to fail a call: one that is gone or slow answers `None`
/// (or nothing), within a short time of its own, because calls wait for it.
/// What it does not know AWS's own idempotency still holds.
pub trait Store: fmt::Debug + Send + Sync {
    /// The record of this key.
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Option<Record>>;

    /// Keeps a record for `ttl`.
    fn put<'a>(&'a self, key: &'a Key, record: &'a Record, ttl: Duration) -> BoxFuture<'a, ()>;
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
    /// What was made.
    pub session: Session,
}
