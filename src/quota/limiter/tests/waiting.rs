//! Who waits, how long, and who is told at once that it would be in vain.

use super::*;

#[tokio::test(start_paused = true)]
async fn of_a_burst_those_that_cannot_make_it_are_denied_at_once_with_the_real_wait() {
    let limiter = limiter(limits(25, 0), 1_000);
    let began = Instant::now();
    let call = async || {
        let permit = limiter
            .permit(&caller("a"), weight(1), began + SECOND * 2)
            .await;
        (permit.map(drop), began.elapsed())
    };
    let burst = futures_util::future::join_all((0..200).map(|_| call())).await;
    let (granted, denied): (Vec<_>, Vec<_>) = burst.into_iter().partition(|(p, _)| p.is_ok());
    // A turn each twenty-fifth of a span, up to a little before the deadline.
    assert_eq!(granted.len(), 48);
    let told = (SECOND + GUARD) / 25 * 48;
    for (permit, at) in denied {
        let denied = Denied {
            wait: told,
            no_room: false,
        };
        assert_eq!((permit, at), (Err(denied), Duration::ZERO));
    }
    tokio::time::sleep_until(began + told - Duration::from_millis(2)).await;
    let early = limiter
        .permit(&caller("a"), weight(1), Instant::now())
        .await;
    assert!(early.is_err(), "the slot is there before the told wait");
    // Timers are as fine as a millisecond, and each window waits for one.
    tokio::time::sleep(Duration::from_millis(4)).await;
    let on_time = limiter
        .permit(&caller("a"), weight(1), Instant::now())
        .await;
    assert!(on_time.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_usual_time_of_a_call_must_fit_before_the_deadline() {
    let limiter = limiter(limits(1, 0), 10);
    let in_two = async || {
        let deadline = Instant::now() + SECOND * 2;
        limiter.permit(&caller("a"), weight(1), deadline).await
    };
    let permit = in_two().await.unwrap();
    tokio::time::sleep(SECOND * 3).await;
    permit.report(Outcome::Made);
    in_two().await.unwrap().report(Outcome::Failed);
    // At most half of the deadline counts: 1 s is left, the slot is at 1.02 s.
    assert_eq!(
        in_two().await.unwrap_err(),
        Denied {
            wait: SECOND + GUARD,
            no_room: false,
        }
    );
    tokio::time::sleep(SECOND / 10).await;
    in_two().await.unwrap().report(Outcome::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_leaves_makes_room_and_its_permit_goes_to_the_next() {
    let limiter = limiter(limits(1, 0), 10);
    let far = Instant::now() + SECOND * 60;
    let _ = limiter.permit(&caller("a"), weight(1), far).await.unwrap();
    let (who, one) = (caller("a"), weight(1));
    let mut leaving = Box::pin(limiter.permit(&who, one, far));
    let mut staying = Box::pin(limiter.permit(&who, one, far));
    assert!(futures_util::poll!(&mut leaving).is_pending());
    assert!(futures_util::poll!(&mut staying).is_pending());
    drop(leaving);
    assert_eq!(limiter.snapshot().queued, 1);
    let began = Instant::now();
    let _ = staying.await.unwrap();
    assert!(began.elapsed() <= SECOND + GUARD + Duration::from_millis(1));
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_was_granted_and_not_received_is_not_lost() {
    let limiter = limiter(limits(1, 0), 10);
    let far = Instant::now() + SECOND * 60;
    let _ = limiter.permit(&caller("a"), weight(1), far).await.unwrap();
    let (who, one) = (caller("a"), weight(1));
    let mut first = Box::pin(limiter.permit(&who, one, far));
    let mut second = Box::pin(limiter.permit(&who, one, far));
    assert!(futures_util::poll!(&mut first).is_pending());
    assert!(futures_util::poll!(&mut second).is_pending());
    tokio::time::sleep(SECOND * 3 / 2).await;
    // The grant lies in the first's channel by now.
    assert_eq!(limiter.snapshot().queued, 1);
    drop(first);
    let began = Instant::now();
    let _ = second.await.unwrap();
    assert!(
        began.elapsed() <= Duration::from_millis(1),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_denies_at_once() {
    let limiter = limiter(limits(1, 0), 3);
    let far = Instant::now() + SECOND * 60;
    let (who, one) = (caller("a"), weight(1));
    let mut calls: Vec<_> = (0..4)
        .map(|_| Box::pin(limiter.permit(&who, one, far)))
        .collect();
    assert!(futures_util::poll!(&mut calls[0]).is_ready());
    for call in &mut calls[1..] {
        assert!(futures_util::poll!(call).is_pending());
    }
    let denied = limiter.permit(&who, one, far).await.unwrap_err();
    assert_eq!(denied.wait, (SECOND + GUARD) * 4);
    let other = caller("b");
    let mut other = Box::pin(limiter.permit(&other, one, far));
    assert!(futures_util::poll!(&mut other).is_pending());
    assert!(
        calls.remove(3).await.is_err(),
        "the last of the fattest makes room"
    );
}

#[tokio::test(start_paused = true)]
async fn whom_others_turns_push_past_the_deadline_is_denied_in_time() {
    let limiter = limiter(limits(1, 0), 10);
    let now = Instant::now();
    let _ = limiter.permit(&caller("a"), weight(1), now).await.unwrap();
    let (a, b, one) = (caller("a"), caller("b"), weight(1));
    let mut first = Box::pin(limiter.permit(&a, one, now + SECOND * 9));
    let mut second = Box::pin(limiter.permit(&a, one, now + SECOND * 5 / 2));
    let mut other = Box::pin(limiter.permit(&b, one, now + SECOND * 9));
    for call in [&mut first, &mut second] {
        assert!(futures_util::poll!(call).is_pending());
    }
    assert!(futures_util::poll!(&mut other).is_pending());
    let (first, second, other) = tokio::join!(first, second, other);
    assert!(first.is_ok() && other.is_ok());
    let Denied { wait, no_room } = second.unwrap_err();
    assert!(!no_room);
    assert!(wait > Duration::ZERO && wait <= SECOND, "{wait:?}");
}

#[tokio::test(start_paused = true)]
async fn throttles_slow_the_permits_down_and_their_end_brings_the_rate_back() {
    let limiter = limiter(limits(10, 0), 1_000);
    let throttled = Outcome::Throttled {
        retry_after: Some(SECOND * 3),
    };
    let now = Instant::now();
    let permit = limiter.permit(&caller("a"), weight(1), now).await.unwrap();
    permit.report(throttled);
    let paused = limiter.permit(&caller("a"), weight(1), now + SECOND).await;
    assert_eq!(paused.unwrap_err().wait, SECOND * 3);
    let every = Duration::from_millis(10);
    let until = now + SECOND * 5;
    let slowed = offer(&limiter, "a", 1, every, until)
        .await
        .granted_by(until);
    assert!((10..=20).contains(&slowed), "{slowed}");
    tokio::time::sleep(SECOND * 3).await;
    let until = Instant::now() + SECOND * 10;
    let whole = offer(&limiter, "a", 1, every, until)
        .await
        .granted_by(until);
    assert!(whole >= 97, "{whole}");
    assert_eq!(limiter.snapshot().factor, 1.0);
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_ends_the_pump() {
    let limiter = limiter(limits(1, 0), 10);
    let shared = Arc::downgrade(&limiter.shared);
    let clone = limiter.clone();
    drop(limiter);
    tokio::time::sleep(SECOND).await;
    assert!(shared.strong_count() > 1);
    drop(clone);
    tokio::time::sleep(SECOND).await;
    assert_eq!(shared.strong_count(), 0);
}

/// Makes a call that takes so long, for as many as show what is usual.
async fn accustom(limiter: &Limiter, took: Duration) {
    for _ in 0..16 {
        let far = Instant::now() + SECOND * 60;
        let permit = limiter.permit(&caller("a"), weight(1), far).await.unwrap();
        tokio::time::sleep(took).await;
        permit.report(Outcome::Made);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_took_longer_than_usual_counts_as_late_as_it_may_have_been() {
    let limiter = limiter(limits(1, 0), 10);
    let usual = SECOND / 10;
    accustom(&limiter, usual).await;
    let far = Instant::now() + SECOND * 600;
    let mut granted = Instant::now();
    for (beyond, late) in [
        (LATEST_ARRIVAL / 2, LATEST_ARRIVAL / 2),
        (SECOND / 2, LATEST_ARRIVAL),
        (Duration::ZERO, Duration::ZERO),
    ] {
        let slow = limiter.permit(&caller("a"), weight(1), far).await.unwrap();
        granted = granted.max(slow.granted);
        tokio::time::sleep(usual + beyond).await;
        // Whether it is told or not.
        drop(slow);
        let _ = limiter.permit(&caller("a"), weight(1), far).await.unwrap();
        let gap = Instant::now() - granted;
        let expected = late + SECOND + GUARD;
        let timers = Duration::from_millis(3);
        assert!(gap >= expected && gap <= expected + timers, "{gap:?}");
        granted = Instant::now() + SECOND + GUARD;
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_in_vain_for_the_end_of_a_pause_learns_so_when_it_begins() {
    let limiter = limiter(limits(1, 0), 10);
    let began = Instant::now();
    let (who, one) = (caller("a"), weight(1));
    let throttled = limiter.permit(&who, one, began).await.unwrap();
    let call = async |deadline| {
        let permit = limiter.permit(&who, one, deadline).await;
        (permit.map(drop), began.elapsed())
    };
    let (hasty, patient, ()) =
        tokio::join!(call(began + SECOND * 2), call(began + SECOND * 60), async {
            tokio::time::sleep(SECOND / 2).await;
            let retry_after = Some(SECOND * 10);
            throttled.report(Outcome::Throttled { retry_after });
        });
    let (denied, after) = hasty;
    assert_eq!(after, SECOND / 2);
    assert!(denied.unwrap_err().wait >= SECOND * 10);
    assert!(patient.0.is_ok() && patient.1 >= SECOND * 10);
}
