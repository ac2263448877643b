use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::quota::limits::{Flow, GUARD, Limits};
use crate::quota::{Outlook, Reserving, Store, Windows};

const SECOND: Duration = Duration::from_secs(1);

fn caller(name: &str) -> Caller {
    Caller::named(name).unwrap()
}

fn weight(weight: u32) -> NonZeroU32 {
    NonZeroU32::new(weight).unwrap()
}

fn limits(creates: u32, sessions: u32) -> Limits {
    Limits {
        creates_per_second: NonZeroU32::new(creates),
        sessions_in_flow: NonZeroU32::new(sessions).map(|sessions| Flow {
            sessions,
            session_length: SECOND * 10,
        }),
    }
}

fn limiter(limits: Limits, bound: usize) -> Limiter {
    let region = Region::parse("eu-west-1").unwrap();
    Limiter::start(region, Source::Memory(Windows::new(limits)), bound)
}

/// Counts the permits of a caller that has `every` so often a call with 2 s.
async fn offer(limiter: &Limiter, name: &str, of: u32, every: Duration, until: Instant) -> Tally {
    let granted = Arc::new(Mutex::new(Tally::default()));
    while Instant::now() < until {
        let (limiter, caller, tally) = (limiter.clone(), caller(name), Arc::clone(&granted));
        tokio::spawn(async move {
            let began = Instant::now();
            let permit = limiter
                .permit(&caller, weight(of), began + SECOND * 2)
                .await;
            let mut tally = tally.lock().unwrap();
            match permit {
                Ok(_) => tally.granted.push(Instant::now()),
                Err(_) => tally.denied += 1,
            }
            tally.longest = tally.longest.max(began.elapsed());
        });
        tokio::time::sleep(every).await;
    }
    // Those that still wait get their answers too.
    tokio::time::sleep(SECOND * 2).await;
    granted.lock().unwrap().clone()
}

impl Tally {
    fn granted_by(&self, until: Instant) -> usize {
        self.granted.iter().filter(|&&at| at <= until).count()
    }
}

#[derive(Clone, Debug, Default)]
struct Tally {
    granted: Vec<Instant>,
    denied: usize,
    longest: Duration,
}

#[tokio::test(start_paused = true)]
async fn ten_times_the_quota_uses_it_all_and_never_more() {
    let limiter = limiter(limits(25, 0), 1_000);
    let until = Instant::now() + SECOND * 30;
    let tally = offer(&limiter, "a", 1, Duration::from_millis(4), until).await;
    let granted = &tally.granted;
    let used = tally.granted_by(until);
    assert!(used >= 750 * 97 / 100, "{used}");
    for (first, later) in granted.iter().zip(&granted[25..]) {
        assert!(*later >= *first + SECOND + GUARD);
    }
}

#[tokio::test(start_paused = true)]
async fn sessions_in_flow_bound_what_creates_would_allow() {
    let limiter = limiter(limits(25, 75), 1_000);
    let until = Instant::now() + SECOND * 60;
    let tally = offer(&limiter, "a", 1, Duration::from_millis(4), until).await;
    let granted = &tally.granted;
    let used = tally.granted_by(until);
    assert!(used >= 450 * 97 / 100, "{used}");
    for (first, later) in granted.iter().zip(&granted[75..]) {
        assert!(*later >= *first + SECOND * 10 + GUARD);
    }
}

#[tokio::test(start_paused = true)]
async fn a_quiet_caller_gets_all_it_asks_for_beside_one_that_asks_for_100_times_its_share() {
    let limiter = limiter(limits(25, 0), 1_000);
    let greedy = Duration::from_micros(800);
    let before = Instant::now() + SECOND * 2;
    let until = Instant::now() + SECOND * 20;
    let (burst, ()) = tokio::join!(offer(&limiter, "greedy", 1, greedy, until), async {
        // The burst that a fresh quota admits is over by then.
        tokio::time::sleep_until(before).await;
        let quiet = offer(&limiter, "quiet", 1, SECOND / 10, until).await;
        assert_eq!((quiet.denied, quiet.granted.len()), (0, 180));
        // The turn under way, one of the other, and its own.
        assert!(quiet.longest <= SECOND * 3 / 25, "{:?}", quiet.longest);
    });
    let all = burst.granted_by(until) + 180;
    assert!(all >= 500 * 97 / 100, "{all}");
}

#[tokio::test(start_paused = true)]
async fn a_quiet_caller_gets_all_it_asks_for_when_sessions_in_flow_are_short() {
    let limiter = limiter(limits(25, 75), 1_000);
    let until = Instant::now() + SECOND * 40;
    let (greedy, quiet) = tokio::join!(
        offer(&limiter, "greedy", 1, Duration::from_millis(4), until),
        offer(&limiter, "quiet", 1, SECOND, until),
    );
    assert_eq!(
        (quiet.denied, quiet.granted.len()),
        (0, 40),
        "{:?}",
        quiet.longest
    );
    let all = greedy.granted_by(until) + quiet.granted_by(until);
    assert!(all >= 300 * 97 / 100, "{all}");
}

#[tokio::test(start_paused = true)]
async fn greedy_callers_share_by_their_weights() {
    let limiter = limiter(limits(25, 0), 1_000);
    let until = Instant::now() + SECOND * 60;
    let every = Duration::from_millis(7);
    let (one, three) = tokio::join!(
        offer(&limiter, "one", 1, every, until),
        offer(&limiter, "three", 3, every, until),
    );
    let ratio = three.granted.len() as f64 / one.granted.len() as f64;
    assert!((ratio / 3.0 - 1.0).abs() < 0.05, "1:{ratio}");
}

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

/// Waits for a permit, and tells when it came.
async fn granted(limiter: &Limiter, name: &str, deadline: Instant) -> Result<Instant, Denied> {
    let permit = limiter.permit(&caller(name), weight(1), deadline).await;
    permit.map(|permit| permit.granted)
}

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
