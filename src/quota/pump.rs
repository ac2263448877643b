//! The task that grants a region's permits, one for every slot.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use super::limiter::{Grant, Shared, Waiter};
use super::store::{Source, Store};

/// How late a reserved slot may be used. The log that replicas share has the
/// slot, not its use: what a use is late by is taken from the guard that keeps
/// two spans' calls apart.
const FRESH: Duration = Duration::from_millis(10);

/// Grants permits until `gone`.
pub(super) async fn run(shared: Arc<Shared>, source: Source, gone: CancellationToken) {
    let grants = async {
        match source {
            Source::Memory => grant_local(&shared).await,
            Source::Shared(store) => grant_shared(&shared, store).await,
        }
    };
    // Cancelled only when no handle is left, and so nobody waits.
    let _ = gone.run_until_cancelled(grants).await;
}

/// What there is to do for the pump of a limiter of its own.
enum Step {
    Idle,
    Later(Instant),
    Grant(Waiter, Instant),
}

async fn grant_local(shared: &Arc<Shared>) {
    // The turn that was waited for: what the timer is late by must not delay
    // those that follow.
    let mut due = None;
    loop {
        match local_step(shared, due.take()) {
            Step::Idle => shared.wake.notified().await,
            // Whichever comes first: a slot that came back is earlier.
            Step::Later(turn) => {
                due = Some(turn);
                drop(timeout_at(turn, shared.wake.notified()).await);
            }
            Step::Grant(waiter, slot) => grant(shared, waiter, slot),
        }
    }
}

/// A slot is taken when its turn has come and somebody is there to use it, never
/// ahead: there is nothing to give back when waiters leave.
fn local_step(shared: &Shared, due: Option<Instant>) -> Step {
    let mut state = shared.lock();
    if state.queue.is_empty() {
        return Step::Idle;
    }
    let now = Instant::now();
    let pace = state.adaptive.pace(now);
    let turn = state.windows.next_turn(pace);
    if turn > now {
        return Step::Later(turn);
    }
    match state.queue.pop() {
        Some(waiter) => {
            let turn = due.map_or(turn, |due| due.min(turn));
            state.windows.take_turn(turn, now);
            Step::Grant(waiter, now)
        }
        None => Step::Idle,
    }
}

async fn grant_shared(shared: &Arc<Shared>, mut store: Box<dyn Store>) {
    loop {
        if shared.lock().queue.is_empty() {
            shared.wake.notified().await;
            continue;
        }
        let slot = match take_spare(shared) {
            Some(slot) => slot,
            None => reserve(shared, store.as_mut()).await,
        };
        sleep_until(slot).await;
        use_slot(shared, slot);
    }
}

async fn reserve(shared: &Shared, store: &mut dyn Store) -> Instant {
    let pace = shared.lock().adaptive.pace(Instant::now());
    let reservation = store.reserve(pace).await;
    let mut state = shared.lock();
    match reservation.outlook {
        Some(outlook) => state.expect(outlook),
        None => state.windows.take(reservation.slot),
    }
    reservation.slot
}

fn take_spare(shared: &Shared) -> Option<Instant> {
    let spare = shared.lock().spare.take()?;
    is_fresh(spare).then_some(spare)
}

/// A slot that nobody waits for any more is kept for as long as it is fresh.
fn use_slot(shared: &Arc<Shared>, slot: Instant) {
    let mut state = shared.lock();
    let now = Instant::now();
    let paused = state.adaptive.paused_until(now).is_some();
    let waiter = if paused || !is_fresh(slot) {
        None
    } else {
        state.queue.pop()
    };
    match waiter {
        Some(waiter) => {
            drop(state);
            grant(shared, waiter, slot);
        }
        // In a pause it could not be used while it is fresh.
        None => state.spare = (!paused).then_some(slot),
    }
}

fn is_fresh(slot: Instant) -> bool {
    Instant::now() <= slot + FRESH
}

/// Not under the lock: the grant of a waiter that has left gives its slot back
/// when it is dropped here.
fn grant(shared: &Arc<Shared>, waiter: Waiter, slot: Instant) {
    drop(waiter.send(Grant::new(shared, slot)));
}
