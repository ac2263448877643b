//! The quota of one region: a permit in time, or at once the wait.

mod state;

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::adaptive::Adaptive;
use super::limits::{Bounds, GUARD};
use super::pump;
use super::quantile::RunningQuantile;
use super::queue::Queue;
use super::store::Source;
use crate::caller::Caller;
use crate::region::Region;
use state::Entry;
pub(super) use state::{Grant, Shared, Slots, State, Verdict, Waiter};

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
        let (slots, store, unbounded) = match source {
            Source::Memory(windows) => {
                let unbounded = windows.are_unbounded();
                (Slots::Local(windows), None, unbounded)
            }
            Source::Shared(store) => {
                let unbounded = store.outlook().windows.are_unbounded();
                (Slots::Shared { spare: None }, Some(store), unbounded)
            }
        };
        let shared = Arc::new(Shared {
            store: store.clone(),
            state: Mutex::new(State {
                unbounded,
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
        let (place, verdict, latest) = match self.shared.enter(caller, weight, deadline)? {
            Entry::Admitted(permit) => return Ok(permit),
            Entry::Queued {
                place,
                verdict,
                latest,
            } => (place, verdict, latest),
        };
        match timeout_at(latest, verdict).await {
            Ok(Ok(Verdict::Granted(grant))) => Ok(grant.accept()),
            Ok(Err(_displaced)) => Err(self.shared.denied(caller, weight).for_want_of_room()),
            // Too late, or sure to be.
            Ok(Ok(Verdict::InVain)) | Err(_) => {
                // Its own place must not count towards the wait.
                drop(place);
                Err(self.shared.denied(caller, weight))
            }
        }
    }

    /// Goes by `bounds` from now on, and gives room to `queue_bound` waiters. A
    /// store that replicas share must have been told before.
    ///
    /// What has been admitted stays counted, and AWS's throttles stay heeded.
    /// Whoever waits keeps its place, and learns at once if it has none before its
    /// deadline any more; with a shared store when that is near.
    pub fn rebound(&self, bounds: Bounds, queue_bound: usize) {
        let mut state = self.shared.lock();
        state.unbounded = bounds.is_off();
        state.queue.set_bound(queue_bound);
        if let Slots::Local(windows) = &mut state.slots {
            windows.rebound(bounds);
        }
        let in_vain = state.judge(Instant::now());
        drop(state);
        tell(in_vain);
        // The turn that the pump waits for may be another now.
        self.shared.wake.notify_one();
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
            // There is no quota of which less could be used.
            Outcome::Throttled { .. } if state.unbounded => Vec::new(),
            Outcome::Throttled { retry_after } => state.throttled(now, retry_after),
            Outcome::Failed => Vec::new(),
        };
        drop(state);
        tell(in_vain);
    }
}

/// Not under the lock, which they take to compute their wait.
fn tell(in_vain: Vec<Waiter>) {
    for waiter in in_vain {
        drop(waiter.verdict.send(Verdict::InVain));
    }
}

#[cfg(test)]
mod tests;
