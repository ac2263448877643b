//! What this replica remembers by itself.

use std::time::SystemTime;

use hashlink::LinkedHashMap;

use super::store::{Key, Record};

/// Records of sessions that may be alive, so many at most: beyond that the oldest are
/// forgotten early.
#[derive(Debug)]
pub(super) struct Memory {
    /// The oldest first.
    records: LinkedHashMap<Key, Record>,
    capacity: usize,
}

impl Memory {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            records: LinkedHashMap::new(),
            capacity,
        }
    }

    /// The record of this key, if a session of it may be alive.
    pub(super) fn get(&self, key: &Key, now: SystemTime) -> Option<&Record> {
        self.records.get(key).filter(|record| is_live(record, now))
    }

    pub(super) fn put(&mut self, key: Key, record: Record, now: SystemTime) {
        self.records.insert(key, record);
        while self.records.len() > self.capacity || self.oldest_is_dead(now) {
            self.records.pop_front();
        }
    }

    fn oldest_is_dead(&self, now: SystemTime) -> bool {
        self.records
            .front()
            .is_some_and(|(_, record)| !is_live(record, now))
    }
}

fn is_live(record: &Record, now: SystemTime) -> bool {
    now < record.forget_time
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{SESSION_LIFETIME, Token};
    use crate::upstream::ledger::{Fingerprint, Outcome};
    use crate::upstream::testing::{session, session_request};
    use std::time::Duration;

    fn key(n: usize) -> Key {
        Key::of(&Token::parse(n.to_string()).unwrap())
    }

    fn record(now: SystemTime) -> Record {
        Record {
            fingerprint: Fingerprint::of(&session_request(), &Token::random()),
            outcome: Outcome::Made(session()),
            forget_time: now + SESSION_LIFETIME,
        }
    }

    #[test]
    fn a_record_lives_as_long_as_its_session_may() {
        let made = SystemTime::UNIX_EPOCH;
        let mut memory = Memory::new(10);
        memory.put(key(1), record(made), made);
        let end = made + SESSION_LIFETIME;
        assert!(memory.get(&key(1), end - Duration::from_nanos(1)).is_some());
        assert!(memory.get(&key(1), end).is_none());
    }

    #[test]
    fn beyond_the_capacity_the_oldest_go_first() {
        let now = SystemTime::UNIX_EPOCH;
        let mut memory = Memory::new(3);
        for n in 0..5 {
            memory.put(key(n), record(now), now);
        }
        let known = [0, 1, 2, 3, 4].map(|n| memory.get(&key(n), now).is_some());
        assert_eq!(known, [false, false, true, true, true]);
    }

    #[test]
    fn the_expired_leave_with_the_next_that_comes() {
        let mut memory = Memory::new(10);
        let made = SystemTime::UNIX_EPOCH;
        for n in 0..5 {
            memory.put(key(n), record(made), made);
        }
        let later = made + SESSION_LIFETIME;
        memory.put(key(9), record(later), later);
        assert_eq!(memory.records.len(), 1);
    }
}
