//! What the handles of a limiter, those who wait and the pump share.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::{Denied, Permit};
use crate::caller::Caller;
use crate::quota::adaptive::Adaptive;
use crate::quota::limits::GUARD;
use crate::quota::pace::Pace;
use crate::quota::quantile::RunningQuantile;
use crate::quota::queue::{Key, Queue};
use crate::quota::store::Store;
use crate::quota::windows::Windows;

/// The part of the wait by which a newcomer's slot must lie before the latest
/// that would do: calls that reach AWS late delay the turns that come a span
/// after, and those who wait shall not learn only then that it was in vain.
const SLACK: u32 = 32;

/// What the handles, the waiters and the pump share.
#[derive(Debug)]
pub(in crate::quota) struct Shared {
    /// Whoever keeps the account if this replica does not.
    pub(super) store: Option<Arc<dyn Store>>,
    pub(super) state: Mutex<State>,
    /// Tells the pump that somebody waits, or that a slot came back.
    pub(in crate::quota) wake: Notify,
}

#[derive(Debug)]
pub(in crate::quota) struct State {
    /// Whether there are no bounds: nobody waits.
    pub(super) unbounded: bool,
    pub(in crate::quota) slots: Slots,
    pub(in crate::quota) queue: Queue<Waiter>,
    pub(in crate::quota) adaptive: Adaptive,
    pub(super) usual: RunningQuantile,
}

/// The slots that this replica knows of.
#[derive(Debug)]
pub(in crate::quota) enum Slots {
    Local(Windows),
    Shared {
        /// One of the store's that nobody has used yet.
        spare: Option<Instant>,
    },
}

/// One that waits.
#[derive(Debug)]
pub(in crate::quota) struct Waiter {
    /// Where it is told what becomes of it; dropped, it had to make room.
    pub(in crate::quota) verdict: oneshot::Sender<Verdict>,
    /// The latest slot that would do.
    pub(super) latest: Instant,
}

/// What becomes of one that waits.
#[derive(Debug)]
pub(in crate::quota) enum Verdict {
    Granted(Grant),
    /// Its turn would come too late.
    InVain,
}

pub(super) enum Entry {
    Admitted(Permit),
    Queued {
        place: Place,
        verdict: oneshot::Receiver<Verdict>,
        latest: Instant,
    },
}

impl Shared {
    /// What the mutex guards is whole after every statement, so that a panic
    /// elsewhere spoils nothing.
    pub(in crate::quota) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn enter(
        self: &Arc<Self>,
        caller: &Caller,
        weight: NonZeroU32,
        deadline: Instant,
    ) -> Result<Entry, Denied> {
        let mut state = self.lock();
        // Under the lock, so that slots are taken in the order of time.
        let now = Instant::now();
        if state.take_free_slot(now) {
            return Ok(Entry::Admitted(Permit::new(self, now)));
        }
        let latest = state.latest_slot(now, deadline);
        let (mut state, slot) = self.foretell(state, now, caller, weight);
        let denied = Denied::until(slot, now);
        if slot > latest - (latest - now) / SLACK {
            return Err(denied);
        }
        let (sender, verdict) = oneshot::channel();
        let waiter = Waiter {
            verdict: sender,
            latest,
        };
        let pushed = state.queue.push(caller, weight, waiter);
        let pushed = pushed.map_err(|_full| denied.for_want_of_room())?;
        let is_first = state.queue.len() == 1;
        drop(state);
        // Dropping the displaced waiter tells it; not under the lock, which it
        // takes to compute its wait.
        drop(pushed.displaced);
        if is_first {
            self.wake.notify_one();
        }
        let place = Place {
            shared: Arc::clone(self),
            key: pushed.key,
        };
        Ok(Entry::Queued {
            place,
            verdict,
            latest,
        })
    }

    /// The slot of a newcomer of `caller`. Lets go of the lock to ask a shared
    /// store, whose other replicas make it an estimate anyway.
    fn foretell<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        now: Instant,
        caller: &Caller,
        weight: NonZeroU32,
    ) -> (MutexGuard<'a, State>, Instant) {
        let pace = state.pace(now);
        let ahead = state.queue.ahead_of(caller, weight);
        match (&state.slots, &self.store) {
            (Slots::Local(windows), _) => {
                let turn = windows.turn_after(pace, ahead);
                (state, turn)
            }
            (Slots::Shared { .. }, Some(store)) => {
                drop(state);
                let slot = store.outlook().slot_after(pace, ahead);
                (self.lock(), slot)
            }
            (Slots::Shared { .. }, None) => (state, pace.start()),
        }
    }

    pub(super) fn denied(&self, caller: &Caller, weight: NonZeroU32) -> Denied {
        let state = self.lock();
        let now = Instant::now();
        let slot = self.foretell(state, now, caller, weight).1;
        Denied::until(slot, now)
    }
}

impl State {
    /// How fast the quota may be used: what is not bounded is not slowed down.
    pub(in crate::quota) fn pace(&mut self, now: Instant) -> Pace {
        if self.unbounded {
            return now.into();
        }
        self.adaptive.pace(now)
    }

    /// Nobody is overtaken: a slot is free only while nobody waits.
    fn take_free_slot(&mut self, now: Instant) -> bool {
        let pace = self.pace(now);
        match &mut self.slots {
            Slots::Local(windows) if self.queue.is_empty() && windows.next_turn(pace) <= now => {
                windows.take(now);
                true
            }
            Slots::Local(_) => false,
            Slots::Shared { .. } => self.unbounded && self.queue.is_empty(),
        }
    }

    /// The latest slot that leaves the call its usual time. That is half of the
    /// time there is at most: if every call had to be shorter than the usual
    /// one, none would go, and none could show that calls are quicker again.
    fn latest_slot(&self, now: Instant, deadline: Instant) -> Instant {
        let left = deadline.saturating_duration_since(now);
        let usual = self.usual.get().unwrap_or_default();
        // A grant and the answer take their way too.
        now + left.saturating_sub(GUARD) - usual.min(left / 2).min(left.saturating_sub(GUARD))
    }
}

impl State {
    /// Takes out those who wait in vain under bounds that are new.
    pub(super) fn judge(&mut self, now: Instant) -> Vec<Waiter> {
        let pace = self.pace(now);
        let Slots::Local(windows) = &self.slots else {
            return Vec::new();
        };
        let mut future = windows.clone();
        self.queue.sift(|waiter| {
            let turn = future.next_turn(pace);
            let in_time = turn <= waiter.latest;
            if in_time {
                future.take(turn);
            }
            in_time
        })
    }

    /// Slows down. Gives those who wait in vain from now on, to be dropped.
    pub(super) fn throttled(&mut self, now: Instant, retry_after: Option<Duration>) -> Vec<Waiter> {
        self.adaptive.throttled(now, retry_after);
        match self.adaptive.paused_until(now) {
            Some(until) => self.queue.take_out(|waiter| waiter.latest < until),
            None => Vec::new(),
        }
    }
}

impl Slots {
    /// A slot that was granted and not used can still be had.
    pub(in crate::quota) fn give_back(&mut self, slot: Instant) {
        match self {
            Self::Local(windows) => windows.give_back(slot),
            Self::Shared { spare } => *spare = Some(slot),
        }
    }

    pub(in crate::quota) fn take_spare(&mut self) -> Option<Instant> {
        match self {
            Self::Local(_) => None,
            Self::Shared { spare } => spare.take(),
        }
    }
}

/// A place in the queue: dropped, it is free.
pub(super) struct Place {
    shared: Arc<Shared>,
    key: Key,
}

impl Drop for Place {
    fn drop(&mut self) {
        let left = self.shared.lock().queue.remove(&self.key);
        drop(left);
    }
}

/// A permit on its way to a waiter: dropped there, its slot comes back.
#[derive(Debug)]
pub(in crate::quota) struct Grant {
    shared: Arc<Shared>,
    slot: Option<Instant>,
}

impl Grant {
    pub(in crate::quota) fn new(shared: &Arc<Shared>, slot: Instant) -> Self {
        Self {
            shared: Arc::clone(shared),
            slot: Some(slot),
        }
    }

    pub(super) fn accept(mut self) -> Permit {
        let granted = self.slot.take().unwrap_or_else(Instant::now);
        Permit::new(&self.shared, granted)
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            self.shared.lock().slots.give_back(slot);
            self.shared.wake.notify_one();
        }
    }
}
