//! The task that grants a region's permits, one for every slot.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use super::limiter::{Grant, Shared, Slots, State, Verdict, Waiter};
use super::store::Store;

/// How late a reserved slot may be used. The log that replicas share has the
/// slot, not its use: what a use is late by is taken from the guard that keeps
/// two spans' calls apart.
const FRESH: Duration = Duration::from_millis(10);

/// Grants permits until `gone`.
pub(super) async fn run(
    shared: Arc<Shared>,
    store: Option<Arc<dyn Store>>,
    gone: CancellationToken,
) {
    let grants = async {
        match store {
            None => grant_local(&shared).await,
            Some(store) => grant_shared(&shared, store.as_ref()).await,
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
    let pace = state.pace(now);
    let State {
        slots: Slots::Local(windows),
        queue,
        ..
    } = &mut *state
    else {
        return Step::Idle;
    };
    let turn = windows.next_turn(pace);
    if turn > now {
        return Step::Later(turn);
    }
    match queue.pop() {
        Some(waiter) => {
            let turn = due.map_or(turn, |due| due.min(turn));
            windows.take_turn(turn, now);
            Step::Grant(waiter, now)
        }
        None => Step::Idle,
    }
}

async fn grant_shared(shared: &Arc<Shared>, store: &dyn Store) {
    let mut last = None;
    loop {
        if shared.lock().queue.is_empty() {
            shared.wake.notified().await;
            continue;
        }
        let slot = match take_spare(shared) {
            Some(slot) => slot,
            None => {
                // Before anything is reserved: a slot far ahead would hold up the
                // other replicas, which may be told nothing of the kind.
                if let Some(until) = held_back(shared, store, last) {
                    drop(timeout_at(until, shared.wake.notified()).await);
                    continue;
                }
                store.reserve().await
            }
        };
        sleep_until(slot).await;
        use_slot(shared, slot);
        last = Some(slot);
    }
}

/// Until when this replica goes without a slot, because AWS asked it for a pause or
/// throttled it: its slots are then so much further apart.
fn held_back(shared: &Shared, store: &dyn Store, last: Option<Instant>) -> Option<Instant> {
    let now = Instant::now();
    let pace = shared.lock().pace(now);
    let slowed = last.filter(|_| pace.factor() < 1.0);
    let next = slowed.map(|last| last + store.outlook().interval().div_f64(pace.factor()));
    let until = pace.start().max(next.unwrap_or(now));
    (until > now).then_some(until)
}

fn take_spare(shared: &Shared) -> Option<Instant> {
    let spare = shared.lock().slots.take_spare()?;
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
        None if paused => {}
        None => state.slots.give_back(slot),
    }
}

fn is_fresh(slot: Instant) -> bool {
    Instant::now() <= slot + FRESH
}

/// Not under the lock: the grant of a waiter that has left gives its slot back
/// when it is dropped here.
fn grant(shared: &Arc<Shared>, waiter: Waiter, slot: Instant) {
    drop(
        waiter
            .verdict
            .send(Verdict::Granted(Grant::new(shared, slot))),
    );
}
