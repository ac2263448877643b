//! What the ledger knows at this moment: the records of sessions that may be
//! alive, and the calls in flight. One short lock over both, so that a call that
//! ends is at every moment in at least one of them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use tokio::time::Instant;

use super::Fingerprint;
use super::memory::Memory;
use super::store::{Key, Record};
use crate::session::{SESSION_LIFETIME, Session};
use crate::upstream::Error;

/// The call that a flight is.
pub(super) type Call = BoxFuture<'static, Result<Session, Error>>;

/// Shared by the ledger's services on all workers.
pub(super) struct Book(Mutex<Pages>);

struct Pages {
    records: Memory,
    flights: HashMap<Key, Listing>,
    /// Flights so far.
    flown: u64,
}

/// A flight, held so loosely that it ends with its last waiter.
struct Listing {
    number: u64,
    fingerprint: Fingerprint,
    deadline: Instant,
    call: WeakShared<Call>,
}

/// What the book is asked for.
#[derive(Clone, Copy)]
pub(super) struct Inquiry {
    pub(super) key: Key,
    pub(super) fingerprint: Fingerprint,
    /// The deadline of the caller who asks.
    pub(super) deadline: Instant,
}

/// What the book holds of a key.
pub(super) enum Entry {
    /// What is remembered answers: with the session, or with why not.
    Record(Result<Session, Error>),
    /// The session is being made.
    Flight(Flight),
}

/// What a record means for a call.
pub(super) enum Known {
    /// It answers.
    Answer(Result<Session, Error>),
    /// AWS must be asked again, as it was since then.
    Resume(SystemTime),
}

/// A call that all who wait for it share; whichever of them is alive drives it,
/// and when the last has gone it is dropped.
pub(super) struct Flight {
    pub(super) fingerprint: Fingerprint,
    /// The deadline of the caller that leads it: the call itself knows no other.
    pub(super) deadline: Instant,
    pub(super) call: Shared<Call>,
    /// Whether the one who holds this began it.
    pub(super) leads: bool,
}

impl Book {
    pub(super) fn new(capacity: usize) -> Self {
        Self(Mutex::new(Pages {
            records: Memory::new(capacity),
            flights: HashMap::new(),
            flown: 0,
        }))
    }

    /// Whether other replicas can know no more of this key.
    pub(super) fn is_settled(&self, key: &Key, now: SystemTime) -> bool {
        let pages = self.lock();
        let record = pages.records.get(key, now);
        record.is_some_and(|record| record.outcome.is_made()) || pages.flights.contains_key(key)
    }

    /// Adds what another replica remembers, if it is more than is known here: the
    /// session, or an earlier time from which on there may be one.
    pub(super) fn learn(&self, key: Key, mut record: Record, now: SystemTime) {
        // Another replica's clock may be ahead.
        record.forget_time = record.forget_time.min(now + SESSION_LIFETIME);
        let mut pages = self.lock();
        if let Some(known) = pages.records.get(&key, now) {
            let is_earlier = record.outcome.since() < known.outcome.since();
            if known.outcome.is_made() || !(record.outcome.is_made() || is_earlier) {
                return;
            }
            record.forget_time = record.forget_time.max(known.forget_time);
        }
        pages.records.put(key, record, now);
    }

    /// Adds what became of a call.
    pub(super) fn record(&self, key: Key, record: Record, now: SystemTime) {
        self.lock().records.put(key, record, now);
    }

    /// What is known of the key, as `consult` reads a record; if that answers
    /// nothing, a new flight. `call` makes its call, which must keep what it is
    /// given until it ends, and goes on from where an earlier one was lost.
    pub(super) fn open(
        self: &Arc<Self>,
        inquiry: Inquiry,
        now: SystemTime,
        consult: impl FnOnce(&Record) -> Known,
        call: impl FnOnce(Listed, Option<SystemTime>) -> Call,
    ) -> Entry {
        let Inquiry {
            key,
            fingerprint,
            deadline,
        } = inquiry;
        let mut pages = self.lock();
        if let Some(flight) = pages.flights.get(&key).and_then(Listing::join) {
            return Entry::Flight(flight);
        }
        let since = match pages.records.get(&key, now).map(consult) {
            Some(Known::Answer(answer)) => return Entry::Record(answer),
            Some(Known::Resume(since)) => Some(since),
            None => None,
        };
        pages.flown += 1;
        let number = pages.flown;
        let listed = Listed {
            book: Arc::clone(self),
            key,
            number,
        };
        let call = call(listed, since).shared();
        // Only a call that has ended cannot be held loosely.
        if let Some(call) = call.downgrade() {
            let listing = Listing {
                number,
                fingerprint,
                deadline,
                call,
            };
            pages.flights.insert(key, listing);
        }
        Entry::Flight(Flight {
            fingerprint,
            deadline,
            call,
            leads: true,
        })
    }

    /// Nothing that holds the lock leaves the pages half written, so a panic
    /// elsewhere is no reason to stop.
    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn flights(&self) -> usize {
        self.lock().flights.len()
    }
}

impl fmt::Debug for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pages = self.lock();
        f.debug_struct("Book")
            .field("flights", &pages.flights.len())
            .finish_non_exhaustive()
    }
}

impl Listing {
    /// Joins the flight, unless its last waiter has just gone.
    fn join(&self) -> Option<Flight> {
        Some(Flight {
            fingerprint: self.fingerprint,
            deadline: self.deadline,
            call: self.call.upgrade()?,
            leads: false,
        })
    }
}

/// Takes a flight off the book when it is dropped: when the call has ended, or
/// with the call when nobody waits for it any more.
pub(super) struct Listed {
    book: Arc<Book>,
    key: Key,
    number: u64,
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut pages = self.book.lock();
        // A later flight may have taken the place.
        let flights = &mut pages.flights;
        if flights
            .get(&self.key)
            .is_some_and(|listing| listing.number == self.number)
        {
            flights.remove(&self.key);
        }
    }
}
