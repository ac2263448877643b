//! Plugs what Redis keeps into the seams of the quota and of the ledger.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::{Records, State, Windows};
use crate::quota::{self, Limits, Outlook, Pace, Reserving};
use crate::region::Region;
use crate::session::{Session, SessionId};
use crate::upstream::ledger::{self, Fingerprint, Key, Record};

/// A region's quota, shared through Redis.
#[derive(Debug)]
pub struct SharedQuota {
    windows: Windows,
    limits: Limits,
    share: f64,
}

impl SharedQuota {
    /// `limits` are those of the account; `share` is the part of them that falls
    /// to this replica, above 0 and at most 1.
    #[must_use]
    pub fn new(windows: Windows, limits: Limits, share: f64) -> Self {
        Self {
            windows,
            limits,
            share,
        }
    }
}

impl quota::Store for SharedQuota {
    fn reserve(&self, pace: Pace) -> Reserving<'_> {
        Box::pin(async move {
            let reserved = self.windows.reserve_at(pace.start(), pace.factor()).await;
            reserved.slot
        })
    }

    fn outlook(&self) -> Outlook {
        let (state, history) = self.windows.known();
        let (bounds, share) = match state {
            State::Shared => (self.limits.into(), self.share),
            State::Alone | State::Rejoining => (self.limits.share(self.share), 1.0),
        };
        Outlook {
            windows: quota::Windows::from_history(bounds, history),
            share,
        }
    }
}

/// A record as it is written to Redis.
#[derive(Debug, Deserialize, Serialize)]
struct Written {
    fingerprint: Vec<u8>,
    session_id: String,
    region: String,
    /// Since the Unix epoch.
    create_time_micros: u64,
    request_id: Option<String>,
}

fn encode(record: &Record) -> Option<Vec<u8>> {
    let session = &record.session;
    let since_epoch = session.create_time.duration_since(UNIX_EPOCH).ok()?;
    let written = Written {
        fingerprint: record.fingerprint.as_bytes().to_vec(),
        session_id: session.id.as_str().to_owned(),
        region: session.region.to_string(),
        create_time_micros: u64::try_from(since_epoch.as_micros()).ok()?,
        request_id: session.request_id.clone(),
    };
    serde_json::to_vec(&written).ok()
}

/// What cannot be read, of another version perhaps, counts as not there.
fn decode(bytes: &[u8]) -> Option<Record> {
    let written: Written = serde_json::from_slice(bytes).ok()?;
    let create_time: SystemTime =
        UNIX_EPOCH.checked_add(Duration::from_micros(written.create_time_micros))?;
    Some(Record {
        fingerprint: Fingerprint::from_bytes(written.fingerprint.try_into().ok()?),
        session: Session {
            id: SessionId::parse(written.session_id).ok()?,
            region: Region::parse(&written.region).ok()?,
            create_time,
            request_id: written.request_id,
        },
    })
}

impl ledger::Store for Records {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Option<Record>> {
        Box::pin(async move { decode(&Records::get(self, key.as_bytes()).await?) })
    }

    fn put<'a>(&'a self, key: &'a Key, record: &'a Record, ttl: Duration) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if let Some(bytes) = encode(record) {
                Records::put(self, key.as_bytes(), &bytes, ttl).await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            fingerprint: Fingerprint::from_bytes([7; Fingerprint::LENGTH]),
            session: Session {
                id: SessionId::parse("6f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f9".to_owned()).unwrap(),
                region: Region::parse("us-east-1").unwrap(),
                create_time: UNIX_EPOCH + Duration::from_micros(1_795_000_000_123_456),
                request_id: Some("id".to_owned()),
            },
        }
    }

    #[test]
    fn a_record_reads_as_it_was_written() {
        assert_eq!(decode(&encode(&record()).unwrap()), Some(record()));
    }

    #[test]
    fn what_is_no_record_counts_as_not_there() {
        let truncated = &encode(&record()).unwrap()[..40];
        for bytes in [b"".as_slice(), b"{}", b"null", truncated] {
            assert_eq!(decode(bytes), None);
        }
    }
}
