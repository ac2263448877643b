//! The quota is used fully, and divided fairly.

use super::*;

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
