//! Plugs what Redis keeps into the seams of the quota and of the ledger.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::{Records, Windows};
use crate::quota::{self, Outlook, Reserving};
use crate::region::Region;
use crate::session::{Session, SessionId};
use crate::upstream::ledger::{self, Fingerprint, Key, Outcome, Over, Record};

impl quota::Store for Windows {
    fn reserve(&self) -> Reserving<'_> {
        Box::pin(async move { Windows::reserve(self).await.slot })
    }

    fn outlook(&self) -> Outlook {
        Windows::outlook(self)
    }
}

/// A record as it is written to Redis. Times are since the Unix epoch.
///
/// Not `Debug`: it has the session's id in the clear.
#[derive(Deserialize, Serialize)]
struct Written {
    fingerprint: Vec<u8>,
    outcome: WrittenOutcome,
    forget_time_micros: u64,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum WrittenOutcome {
    Made {
        session_id: String,
        region: String,
        create_time_micros: u64,
        request_id: Option<String>,
    },
    Unknown {
        first_sent_micros: u64,
    },
}

fn encode(record: &Record) -> Option<Vec<u8>> {
    let outcome = match &record.outcome {
        Outcome::Made(session) => WrittenOutcome::Made {
            session_id: session.id.as_str().to_owned(),
            region: session.region.to_string(),
            create_time_micros: micros(session.create_time)?,
            request_id: session.request_id.clone(),
        },
        Outcome::Unknown { first_sent } => WrittenOutcome::Unknown {
            first_sent_micros: micros(*first_sent)?,
        },
    };
    let written = Written {
        fingerprint: record.fingerprint.as_bytes().to_vec(),
        outcome,
        forget_time_micros: micros(record.forget_time)?,
    };
    serde_json::to_vec(&written).ok()
}

/// What cannot be read, of another version perhaps, counts as not there.
fn decode(bytes: &[u8]) -> Option<Record> {
    let written: Written = serde_json::from_slice(bytes).ok()?;
    let outcome = match written.outcome {
        WrittenOutcome::Made {
            session_id,
            region,
            create_time_micros,
            request_id,
        } => Outcome::Made(Session {
            id: SessionId::parse(session_id).ok()?,
            region: Region::parse(&region).ok()?,
            create_time: time(create_time_micros)?,
            request_id,
        }),
        WrittenOutcome::Unknown { first_sent_micros } => Outcome::Unknown {
            first_sent: time(first_sent_micros)?,
        },
    };
    Some(Record {
        fingerprint: Fingerprint::from_bytes(written.fingerprint.try_into().ok()?),
        outcome,
        forget_time: time(written.forget_time_micros)?,
    })
}

fn micros(time: SystemTime) -> Option<u64> {
    let since_epoch = time.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since_epoch.as_micros()).ok()
}

fn time(micros: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_micros(micros))
}

impl ledger::Store for Records {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Option<Record>> {
        Box::pin(async move { decode(&Records::get(self, key.as_bytes()).await?) })
    }

    fn put(&self, key: Key, record: Record, ttl: Duration, over: Over) {
        let Some(bytes) = encode(&record) else { return };
        self.write(|records| async move {
            match over {
                Over::Nothing => {
                    records.put(key.as_bytes(), &bytes, ttl).await;
                }
                Over::Unknown => records.put_over_unknown(&key, &bytes, ttl).await,
            }
        });
    }
}

/// Other replicas may write in between, but hardly so often.
const MOST_TRIES: usize = 3;

impl Records {
    /// Keeps a record, unless there is one with a session already.
    async fn put_over_unknown(&self, key: &Key, bytes: &[u8], ttl: Duration) {
        let digest = key.as_bytes();
        for _ in 0..MOST_TRIES {
            if self.put(digest, bytes, ttl).await {
                return;
            }
            let Some(present) = Records::get(self, digest).await else {
                return;
            };
            let is_made = decode(&present).is_some_and(|record| record.outcome.is_made());
            if is_made || self.replace(digest, &present, bytes, ttl).await {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_micros(micros)
    }

    fn record(outcome: Outcome) -> Record {
        Record {
            fingerprint: Fingerprint::from_bytes([7; Fingerprint::LENGTH]),
            outcome,
            forget_time: at(1_795_000_180_123_456),
        }
    }

    fn made() -> Record {
        record(Outcome::Made(Session {
            id: SessionId::parse("6f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f9".to_owned()).unwrap(),
            region: Region::parse("us-east-1").unwrap(),
            create_time: at(1_795_000_000_123_456),
            request_id: Some("id".to_owned()),
        }))
    }

    fn unknown() -> Record {
        let first_sent = at(1_795_000_000_123_456);
        record(Outcome::Unknown { first_sent })
    }

    #[test]
    fn a_record_reads_as_it_was_written() {
        for record in [made(), unknown()] {
            assert_eq!(decode(&encode(&record).unwrap()), Some(record));
        }
    }

    #[test]
    fn what_is_no_record_counts_as_not_there() {
        let truncated = &encode(&made()).unwrap()[..40];
        for bytes in [b"".as_slice(), b"{}", b"null", truncated] {
            assert_eq!(decode(bytes), None);
        }
    }
}
