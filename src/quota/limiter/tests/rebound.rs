//! Limits that change while calls wait.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_raised_limit_admits_no_more_than_itself_with_what_was_taken_before() {
    let limiter = limiter(limits(5, 0), 1_000);
    let began = Instant::now();
    let until = began + SECOND * 9;
    let offered = async {
        let every = Duration::from_millis(10);
        offer(&limiter, "a", 1, every, until).await
    };
    let raised = began + SECOND * 7 / 2;
    let (tally, ()) = tokio::join!(offered, async {
        tokio::time::sleep_until(raised).await;
        limiter.rebound(limits(20, 0).into(), 1_000);
    });
    let granted = &tally.granted;
    for (first, later) in granted.iter().zip(&granted[20..]) {
        assert!(*later >= *first + SECOND + GUARD, "{:?}", *first - began);
    }
    let before = granted.partition_point(|at| *at <= raised);
    assert!((15..=20).contains(&before), "{before}");
    let after = tally.granted_by(until) - before;
    assert!(after >= 100, "the raise is used: {after}");
}

#[tokio::test(start_paused = true)]
async fn a_cut_holds_at_once_for_what_was_taken_before() {
    let limiter = limiter(limits(20, 0), 1_000);
    let began = Instant::now();
    let until = began + SECOND * 9;
    let cut = began + SECOND * 7 / 2;
    let every = Duration::from_millis(10);
    let (tally, ()) = tokio::join!(offer(&limiter, "a", 1, every, until), async {
        tokio::time::sleep_until(cut).await;
        limiter.rebound(limits(5, 0).into(), 1_000);
    });
    let granted = &tally.granted;
    let first_after = granted.partition_point(|at| *at <= cut);
    for place in first_after..granted.len() {
        let gap = granted[place] - granted[place - 5];
        assert!(gap >= SECOND + GUARD, "{gap:?}");
    }
    let after = tally.granted_by(until) - first_after;
    assert!((20..=27).contains(&after), "{after}");
}

#[tokio::test(start_paused = true)]
async fn a_longer_session_counts_those_that_are_under_way() {
    let limiter = limiter(limits(0, 6), 10);
    let began = Instant::now();
    for _ in 0..3 {
        granted(&limiter, "a", Instant::now()).await.unwrap();
        tokio::time::sleep(SECOND).await;
    }
    let longer = Limits {
        sessions_in_flow: limits(0, 3).sessions_in_flow.map(|flow| Flow {
            session_length: SECOND * 30,
            ..flow
        }),
        ..Limits::default()
    };
    limiter.rebound(longer.into(), 10);
    let denied = granted(&limiter, "a", began + SECOND * 20).await;
    let slot = Instant::now() + denied.unwrap_err().wait;
    assert_eq!(slot, began + SECOND * 30 + GUARD);
}

#[tokio::test(start_paused = true)]
async fn who_waits_keeps_its_place_and_who_waits_in_vain_learns_it_at_once() {
    let limiter = limiter(limits(2, 0), 10);
    let began = Instant::now();
    granted(&limiter, "a", began).await.unwrap();
    let call = async |name, patience| {
        let answer = granted(&limiter, name, began + patience).await;
        (answer, began.elapsed())
    };
    // Their turns are half a second apart, and will be a whole one.
    let (first, hasty, patient, ()) = tokio::join!(
        call("a", SECOND * 9),
        call("b", SECOND * 2),
        call("a", SECOND * 9),
        async {
            tokio::time::sleep(SECOND / 4).await;
            limiter.rebound(limits(1, 0).into(), 10);
        }
    );
    let timers = Duration::from_millis(3);
    let at = |turn| began + (SECOND + GUARD) * turn..=began + (SECOND + GUARD) * turn + timers;
    assert!(at(1).contains(&first.0.unwrap()));
    let (denied, told) = hasty;
    assert_eq!((told, denied.unwrap_err().no_room), (SECOND / 4, false));
    assert!(at(2).contains(&patient.0.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_limit_goes_at_once_when_it_is_raised_or_switched_off() {
    let limiter = limiter(limits(1, 0), 10);
    let began = Instant::now();
    granted(&limiter, "a", began).await.unwrap();
    let (raised, off, ()) = tokio::join!(
        granted(&limiter, "a", began + SECOND * 9),
        granted(&limiter, "a", began + SECOND * 9),
        async {
            tokio::time::sleep(SECOND / 4).await;
            limiter.rebound(limits(2, 0).into(), 10);
            tokio::time::sleep(SECOND / 2).await;
            limiter.rebound(Bounds::default(), 10);
        }
    );
    let timers = Duration::from_millis(3);
    assert!(raised.unwrap() <= began + SECOND * 3 / 4);
    assert!(off.unwrap() <= began + SECOND * 3 / 4 + timers);
    // Without a limit nobody waits, whatever AWS says.
    let who = caller("a");
    for _ in 0..100 {
        let permit = limiter.permit(&who, weight(1), Instant::now()).await;
        let retry_after = Some(SECOND * 9);
        permit.unwrap().report(Outcome::Throttled { retry_after });
    }
    // One that comes now counts them.
    limiter.rebound(limits(100, 0).into(), 10);
    let denied = granted(&limiter, "a", Instant::now()).await.unwrap_err();
    assert_eq!(denied.wait, SECOND + GUARD);
}

#[tokio::test(start_paused = true)]
async fn what_aws_throttled_stays_slow_under_another_limit() {
    let limiter = limiter(limits(10, 0), 10);
    let now = Instant::now();
    let permit = limiter.permit(&caller("a"), weight(1), now).await.unwrap();
    let retry_after = Some(SECOND * 3);
    permit.report(Outcome::Throttled { retry_after });
    let before = limiter.snapshot();
    limiter.rebound(limits(50, 0).into(), 10);
    assert_eq!(limiter.snapshot(), before);
    let denied = granted(&limiter, "a", now + SECOND).await.unwrap_err();
    assert_eq!(denied.wait, SECOND * 3);
}

#[tokio::test(start_paused = true)]
async fn a_smaller_queue_sends_nobody_away_who_waits_already() {
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
    limiter.rebound(limits(1, 0).into(), 1);
    assert_eq!(limiter.snapshot().queued, 3);
    assert!(limiter.permit(&who, one, far).await.unwrap_err().no_room);
    for call in calls.drain(1..) {
        let _ = call.await.unwrap();
    }
}
