//! Repeats: how often the ledger knew a session.

use std::fmt;
use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, Meter};

/// What the ledger knew of a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Lookup {
    /// The session was made.
    Hit,
    /// The session is being made.
    Joined,
    /// Nothing.
    Miss,
}

/// Counts lookups. By default nobody reads it.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Option<Arc<Lookups>>);

struct Lookups {
    hit: BoundCounter<u64>,
    joined: BoundCounter<u64>,
    miss: BoundCounter<u64>,
}

impl Ledger {
    pub(super) fn new(meter: &Meter) -> Self {
        let lookups = meter
            .u64_counter("face_liveness.ledger.lookups")
            .with_unit("{call}")
            .with_description("Calls with a token, by what was known of it")
            .build();
        let outcome = |outcome| lookups.bind(&[KeyValue::new("outcome", outcome)]);
        Self(Some(Arc::new(Lookups {
            hit: outcome("hit"),
            joined: outcome("joined"),
            miss: outcome("miss"),
        })))
    }

    /// Counts a lookup.
    pub(crate) fn looked_up(&self, lookup: Lookup) {
        if let Some(lookups) = &self.0 {
            match lookup {
                Lookup::Hit => lookups.hit.add(1),
                Lookup::Joined => lookups.joined.add(1),
                Lookup::Miss => lookups.miss.add(1),
            }
        }
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").finish_non_exhaustive()
    }
}
