//! What the connections share: the configuration, and the state behind one short lock.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::faults::{Fault, Plan};
use crate::journal::Recorder;
use crate::quota::{Quota, Usage};
use crate::sessions::Sessions;
use crate::signature::Verifier;

/// One emulator.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) verifier: Verifier,
    pub(crate) clock: Clock,
    pub(crate) regions: BTreeSet<String>,
    pub(crate) quota: Option<Quota>,
    pub(crate) region_quotas: HashMap<String, Quota>,
    pub(crate) session_length: Duration,
    pub(crate) state: Mutex<State>,
}

/// What changes while it runs.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) sessions: Sessions,
    pub(crate) usage: Usage,
    pub(crate) faults: Plan,
    pub(crate) journal: Recorder,
}

impl Shared {
    /// Locks the state. Nothing panics while it holds the lock, so poison means nothing here.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn serves(&self, region: &str) -> bool {
        self.regions.contains(region)
    }

    pub(crate) fn quota(&self, region: &str) -> Quota {
        let given = self.region_quotas.get(region).copied();
        given
            .or(self.quota)
            .unwrap_or_else(|| Quota::of_region(region))
    }

    /// Replaces the faults; they begin to count anew, from the same seed unless given another.
    pub(crate) fn set_faults(&self, faults: Vec<Fault>, seed: Option<u64>) {
        let mut state = self.state();
        let seed = seed.unwrap_or_else(|| state.faults.seed());
        state.faults = Plan::new(faults, seed);
    }

    /// Forgets sessions, used quota and journal; the faults stay and begin to count anew.
    pub(crate) fn reset(&self) {
        let mut state = self.state();
        state.sessions = Sessions::default();
        state.usage = Usage::default();
        state.faults = Plan::new(state.faults.faults(), state.faults.seed());
        state.journal.clear();
    }
}
