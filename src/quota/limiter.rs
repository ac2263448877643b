//! The quota of one region: a permit in time, or at once the wait.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::adaptive::Adaptive;
use super::limits::GUARD;
use super::pump;
use super::quantile::RunningQuantile;
use super::queue::{Key, Queue};
use super::store::{Source, Store};
use super::windows::Windows;
use crate::caller::Caller;
use crate::region::Region;

/// The part of the wait by which a newcomer's slot must lie before the latest
/// that would do: calls that reach AWS late delay the turns that come a span
/// after, and those who wait shall not learn only then that it was in vain.
const SLACK: u32 = 32;

/// What a call can be late by on its way to AWS: a connection with TLS takes three
/// round trips. What it takes longer is AWS's own time.
const LATEST_ARRIVAL: Duration = Duration::from_millis(60);

/// Hands out the permits of one region's quota, in an order that is fair over
/// callers. A clone is another handle of the same limiter; handles may be used
/// from any thread and any runtime.
#[derive(Clone, Debug)]
pub struct Limiter {
    shared: Arc<Shared>,
    /// Ends the pump with the last handle.
    _pump: Arc<DropGuard>,
}

/// The right to make one call to AWS, now.
///
/// Dropped without a report, it counts as failed and stays used: the call may have
/// reached AWS.
#[derive(Debug)]
#[must_use = "a permit is for one call, whose outcome is to be reported"]
pub struct Permit {
    shared: Arc<Shared>,
    granted: Instant,
    outcome: Outcome,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// AWS made the session.
    Made,
    /// AWS throttled the call, for the account's sake or its own.
    Throttled {
        /// The pause that AWS asked for.
        retry_after: Option<Duration>,
    },
    /// Anything else.
    Failed,
}

/// No permit before the deadline, or no room to wait for one.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the quota is used up for the next {wait:?}")]
pub struct Denied {
    /// The time until the slot that the call would have had.
    pub wait: Duration,
    /// Whether it was the room to wait that there was none of.
    pub no_room: bool,
}

impl Denied {
    /// Whoever is denied did wait, or the guess was too bright: to come back at
    /// once would be in vain.
    fn until(slot: Instant, now: Instant) -> Self {
        Self {
            wait: slot.saturating_duration_since(now).max(GUARD),
            no_room: false,
        }
    }

    fn for_want_of_room(self) -> Self {
        Self {
            no_room: true,
            ..self
        }
    }
}

/// How a limiter is doing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Snapshot {
    /// How many wait.
    pub queued: usize,
    /// How many callers they are of.
    pub callers: usize,
    /// The part of the quota in use: less than 1 after AWS has throttled.
    pub factor: f64,
    /// The rest of the pause that AWS asked for.
    pub pause: Duration,
    /// The usual time of a call upstream; `None` until there has been one.
    pub usual: Option<Duration>,
}

impl Limiter {
    /// Starts the limiter of `region`, with room for `queue_bound` waiters.
    ///
    /// The task that grants permits runs on the present runtime, which must
    /// outlast all who wait, and ends when the last handle is dropped.
    ///
    /// # Panics
    /// When called outside a Tokio runtime.
    #[must_use]
    pub fn start(region: Region, source: Source, queue_bound: usize) -> Self {
        let (slots, store) = match source {
            Source::Memory(windows) => (Slots::Local(windows), None),
            Source::Shared(store) => (Slots::Shared { spare: None }, Some(store)),
        };
        let shared = Arc::new(Shared {
            store: store.clone(),
            state: Mutex::new(State {
                slots,
                queue: Queue::new(queue_bound),
                adaptive: Adaptive::new(region),
                usual: RunningQuantile::default(),
            }),
            wake: Notify::new(),
        });
        let gone = CancellationToken::new();
        tokio::spawn(pump::run(Arc::clone(&shared), store, gone.clone()));
        Self {
            shared,
            _pump: Arc::new(gone.drop_guard()),
        }
    }

    /// Waits for a permit. A call that is dropped leaves the queue, and its
    /// permit goes to the next.
    ///
    /// A caller's calls are served in their order, and the callers in turns as
    /// [`Queue`] says, by `weight`.
    ///
    /// # Errors
    /// At once if the slot, with the usual time of a call after it, lies past
    /// `deadline`, or the queue is full. Later if AWS has asked for a pause beyond
    /// it, if other callers' turns have pushed the slot past it, or if a caller
    /// with less than its share of a full queue took the place.
    pub async fn permit(
        &self,
        caller: &Caller,
        weight: NonZeroU32,
        deadline: Instant,
    ) -> Result<Permit, Denied> {
        let (place, grant, latest) = match self.shared.enter(caller, weight, deadline)? {
            Entry::Admitted(permit) => return Ok(permit),
            Entry::Queued {
                place,
                grant,
                latest,
            } => (place, grant, latest),
        };
        match timeout_at(latest, grant).await {
            Ok(Ok(grant)) => Ok(grant.accept()),
            Ok(Err(_displaced)) => Err(self.shared.denied(caller, weight).for_want_of_room()),
            Err(_late) => {
                // Its own place must not count towards the wait.
                drop(place);
                Err(self.shared.denied(caller, weight))
            }
        }
    }

    /// How the limiter is doing.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let state = self.shared.lock();
        let now = Instant::now();
        let pause = state.adaptive.paused_until(now);
        Snapshot {
            queued: state.queue.len(),
            callers: state.queue.callers(),
            factor: state.adaptive.factor(now),
            pause: pause.map_or(Duration::ZERO, |until| until - now),
            usual: state.usual.get(),
        }
    }
}

impl Permit {
    fn new(shared: &Arc<Shared>, granted: Instant) -> Self {
        Self {
            shared: Arc::clone(shared),
            granted,
            outcome: Outcome::Failed,
        }
    }

    /// Tells what became of the call, when it is over. A throttle slows the
    /// region down; the time of a call that made a session counts as usual.
    pub fn report(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

/// What a call took beyond the usual, it may have been late by on its way to AWS:
/// in a log of this replica's own it counts as so much later.
impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let now = Instant::now();
        let took = now.saturating_duration_since(self.granted);
        let late = state.usual.excess(took).min(LATEST_ARRIVAL);
        if let Slots::Local(windows) = &mut state.slots
            && !late.is_zero()
        {
            windows.delay(self.granted, self.granted + late);
        }
        let in_vain = match self.outcome {
            Outcome::Made => {
                state.usual.record(took);
                Vec::new()
            }
            Outcome::Throttled { retry_after } => state.throttled(now, retry_after),
            Outcome::Failed => Vec::new(),
        };
        drop(state);
        // Not under the lock, which they take to compute their wait.
        drop(in_vain);
    }
}

/// What the handles, the waiters and the pump share.
#[derive(Debug)]
pub(super) struct Shared {
    /// Whoever keeps the account if this replica does not.
    store: Option<Arc<dyn Store>>,
    state: Mutex<State>,
    /// Tells the pump that somebody waits, or that a slot came back.
    pub(super) wake: Notify,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) slots: Slots,
    pub(super) queue: Queue<Waiter>,
    pub(super) adaptive: Adaptive,
    usual: RunningQuantile,
}

/// The slots that this replica knows of.
#[derive(Debug)]
pub(super) enum Slots {
    Local(Windows),
    Shared {
        /// One of the store's that nobody has used yet.
        spare: Option<Instant>,
    },
}

/// One that waits.
#[derive(Debug)]
pub(super) struct Waiter {
    /// Where it is granted its permit.
    pub(super) grant: oneshot::Sender<Grant>,
    /// The latest slot that would do.
    latest: Instant,
}

enum Entry {
    Admitted(Permit),
    Queued {
        place: Place,
        grant: oneshot::Receiver<Grant>,
        latest: Instant,
    },
}

impl Shared {
    /// What the mutex guards is whole after every statement, so that a panic
    /// elsewhere spoils nothing.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(
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
        let (sender, grant) = oneshot::channel();
        let waiter = Waiter {
            grant: sender,
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
            grant,
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
        let pace = state.adaptive.pace(now);
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

    fn denied(&self, caller: &Caller, weight: NonZeroU32) -> Denied {
        let state = self.lock();
        let now = Instant::now();
        let slot = self.foretell(state, now, caller, weight).1;
        Denied::until(slot, now)
    }
}

impl State {
    /// Nobody is overtaken: a slot is free only while nobody waits.
    fn take_free_slot(&mut self, now: Instant) -> bool {
        let pace = self.adaptive.pace(now);
        match &mut self.slots {
            Slots::Local(windows) if self.queue.is_empty() && windows.next_turn(pace) <= now => {
                windows.take(now);
                true
            }
            _ => false,
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
    /// Slows down. Gives those who wait in vain from now on, to be dropped.
    fn throttled(&mut self, now: Instant, retry_after: Option<Duration>) -> Vec<Waiter> {
        self.adaptive.throttled(now, retry_after);
        match self.adaptive.paused_until(now) {
            Some(until) => self.queue.take_out(|waiter| waiter.latest < until),
            None => Vec::new(),
        }
    }
}

impl Slots {
    /// A slot that was granted and not used can still be had.
    pub(super) fn give_back(&mut self, slot: Instant) {
        match self {
            Self::Local(windows) => windows.give_back(slot),
            Self::Shared { spare } => *spare = Some(slot),
        }
    }

    pub(super) fn take_spare(&mut self) -> Option<Instant> {
        match self {
            Self::Local(_) => None,
            Self::Shared { spare } => spare.take(),
        }
    }
}

/// A place in the queue: dropped, it is free.
struct Place {
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
pub(super) struct Grant {
    shared: Arc<Shared>,
    slot: Option<Instant>,
}

impl Grant {
    pub(super) fn new(shared: &Arc<Shared>, slot: Instant) -> Self {
        Self {
            shared: Arc::clone(shared),
            slot: Some(slot),
        }
    }

    fn accept(mut self) -> Permit {
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

#[cfg(test)]
mod tests;
