//! Slots that come from a store which replicas share.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::quota::{Outlook, Reserving, Store};

/// Grants a slot every 100 ms, of which this replica has one in two.
#[derive(Debug)]
struct Turnstile {
    next: Mutex<Instant>,
    windows: Windows,
    asked: Arc<AtomicUsize>,
}

impl Store for Turnstile {
    fn reserve(&self) -> Reserving<'_> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(5)).await;
            let mut next = self.next.lock().unwrap();
            let slot = next.max(Instant::now());
            *next = slot + SECOND / 10;
            slot
        })
    }

    fn outlook(&self) -> Outlook {
        Outlook {
            windows: Arc::new(self.windows.clone()),
            not_before: None,
            share: 0.5,
        }
    }
}

fn shared(store: Turnstile) -> Limiter {
    let region = Region::parse("eu-west-1").unwrap();
    Limiter::start(region, Source::Shared(Arc::new(store)), 100)
}

#[tokio::test(start_paused = true)]
async fn a_shared_store_is_asked_for_every_permit_and_only_while_somebody_waits() {
    let asked = Arc::new(AtomicUsize::new(0));
    let store = Turnstile {
        next: Mutex::new(Instant::now()),
        windows: Windows::new(limits(10, 0)),
        asked: Arc::clone(&asked),
    };
    let limiter = shared(store);
    tokio::time::sleep(SECOND).await;
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    let began = Instant::now();
    let call = async || {
        let deadline = began + SECOND * 9;
        let permit = limiter.permit(&caller("a"), weight(1), deadline).await;
        permit.map(drop).map(|()| began.elapsed())
    };
    let granted = futures_util::future::join_all((0..10).map(|_| call())).await;
    assert_eq!(asked.load(Ordering::Relaxed), 10);
    let last = granted.into_iter().map(Result::unwrap).max().unwrap();
    assert!(last >= SECOND * 9 / 10 && last <= SECOND, "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn who_cannot_make_it_is_denied_by_what_a_shared_store_knows_before_any_slot_of_it() {
    let mut windows = Windows::new(limits(1, 0));
    windows.fill(Instant::now());
    let limiter = shared(Turnstile {
        next: Mutex::new(Instant::now() + SECOND * 60),
        windows,
        asked: Arc::default(),
    });
    let (who, one, began) = (caller("a"), weight(1), Instant::now());
    let denied = limiter.permit(&who, one, began + SECOND).await.unwrap_err();
    assert_eq!(denied.wait, SECOND + GUARD);
    let far = began + SECOND * 60;
    let mut waiting = Box::pin(limiter.permit(&who, one, far));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    // The other half of the slots is for the other replicas.
    let denied = limiter.permit(&who, one, began + SECOND * 3).await;
    assert_eq!(denied.unwrap_err().wait, (SECOND + GUARD) * 3);
    assert_eq!(began.elapsed(), Duration::ZERO);
}
