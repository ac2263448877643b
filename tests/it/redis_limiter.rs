//! A limiter on a quota that other replicas share is as fair as one on its own, and
//! what AWS asks of one replica holds up no other.

#![expect(clippy::print_stdout, reason = "the figures are part of the result")]

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use face_liveness_gateway::caller::Caller;
use face_liveness_gateway::quota::{Denied, Flow, Limiter, Limits, Outcome, Permit, Share, Source};
use face_liveness_gateway::redis::{Settings, State, Windows};
use face_liveness_gateway::region::Region;
use futures_util::future::join_all;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout};

use crate::redis::connection;
use crate::redis_server::{PATIENCE, Server};

const SECOND: Duration = Duration::from_secs(1);

const BY_THE_SECOND: Limits = Limits {
    creates_per_second: NonZeroU32::new(25),
    sessions_in_flow: None,
};

/// The windows of one of three replicas.
async fn windows(server: &Server, limits: Limits) -> Windows {
    let settings = Settings {
        prefix: "test".to_owned(),
        limits,
        share: Share::new(1.0 / 3.0),
    };
    let connection = connection(&server.url()).await;
    let windows = Windows::new(connection, us_east_1(), &settings);
    windows.look().await;
    windows
}

fn us_east_1() -> Region {
    Region::parse("us-east-1").unwrap()
}

fn limiter(windows: Windows) -> Limiter {
    Limiter::start(us_east_1(), Source::Shared(Arc::new(windows)), 1_000)
}

/// One of three replicas, which shares the quota.
async fn replica(server: &Server, limits: Limits) -> Limiter {
    let windows = windows(server, limits).await;
    let mut states = windows.states();
    let shared = states.wait_for(|state| *state == State::Shared);
    timeout(PATIENCE, shared).await.unwrap().unwrap();
    limiter(windows)
}

async fn permit(limiter: &Limiter, caller: &str, patience: Duration) -> Result<Permit, Denied> {
    let caller = Caller::named(caller).unwrap();
    let deadline = Instant::now() + patience;
    limiter.permit(&caller, NonZeroU32::MIN, deadline).await
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_quiet_caller_gets_all_it_asks_for_though_sessions_in_flow_are_short() {
    let server = Server::start(&[]).await;
    let limiter = replica(&server, Limits::of_region(&us_east_1())).await;
    let mut greedy = JoinSet::new();
    for _ in 0..30 {
        let limiter = limiter.clone();
        greedy.spawn(async move {
            loop {
                let _ = permit(&limiter, "greedy", SECOND * 60).await;
            }
        });
    }
    let mut every_second = interval(SECOND);
    let mut longest = Duration::ZERO;
    for _ in 0..25 {
        every_second.tick().await;
        let began = Instant::now();
        let _ = permit(&limiter, "quiet", SECOND * 2).await.unwrap();
        longest = longest.max(began.elapsed());
    }
    println!("25 permits for the quiet caller, the longest wait {longest:?}");
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn the_first_calls_to_a_new_redis_wait_until_others_could_have_told_it_what_they_took() {
    let server = Server::start(&[]).await;
    let limiter = limiter(windows(&server, Limits::of_region(&us_east_1())).await);
    let calls = (0..10).map(|_| permit(&limiter, "a", SECOND * 2));
    for answer in join_all(calls).await {
        let _ = answer.unwrap();
    }
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_pause_that_aws_asks_of_one_replica_holds_up_no_other() {
    let server = Server::start(&[]).await;
    let paused = replica(&server, BY_THE_SECOND).await;
    let other = replica(&server, BY_THE_SECOND).await;
    let throttled = permit(&paused, "a", SECOND).await.unwrap();
    let waiting = paused.clone();
    let waiting = tokio::spawn(async move { permit(&waiting, "a", SECOND * 60).await });
    throttled.report(Outcome::Throttled {
        retry_after: Some(SECOND * 30),
    });
    let calls = (0..40).map(|_| permit(&other, "a", SECOND * 10));
    let granted = join_all(calls).await.into_iter().filter(Result::is_ok);
    assert_eq!(granted.count(), 40);
    assert!(!waiting.is_finished());
    waiting.abort();
    let wait = permit(&paused, "a", SECOND).await.unwrap_err().wait;
    assert!(wait > SECOND * 20, "{wait:?}");
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn the_only_busy_replica_of_three_has_the_whole_quota() {
    let server = Server::start(&[]).await;
    let busy = replica(&server, BY_THE_SECOND).await;
    let idle = replica(&server, BY_THE_SECOND).await;
    let _ = permit(&idle, "a", SECOND).await.unwrap();
    let calls = (0..200).map(|_| permit(&busy, "a", SECOND * 2));
    let answers = join_all(calls).await;
    let granted = answers.iter().filter(|answer| answer.is_ok()).count();
    let waits = answers.into_iter().filter_map(Result::err);
    let least = waits.map(|denied| denied.wait).min().unwrap();
    println!("200 at once: {granted} granted; the least wait told {least:?}");
    assert!((40..=50).contains(&granted), "{granted}");
    assert!(least > SECOND * 3 / 2, "{least:?}");
}

/// So many sessions that are so long, and no other limit.
fn flow(sessions: u32, session_length: Duration) -> Limits {
    Limits {
        creates_per_second: None,
        sessions_in_flow: NonZeroU32::new(sessions).map(|sessions| Flow {
            sessions,
            session_length,
        }),
    }
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn replicas_whose_limits_differ_for_a_moment_count_what_the_others_took() {
    const HOUR: Duration = Duration::from_secs(3600);
    let server = Server::start(&[]).await;
    let third = Share::new(1.0 / 3.0);
    let replica = async || {
        let windows = windows(&server, flow(4, HOUR)).await;
        let mut states = windows.states();
        let shared = states.wait_for(|state| *state == State::Shared);
        timeout(PATIENCE, shared).await.unwrap().unwrap();
        windows
    };
    let (first, second) = (replica().await, replica().await);
    let is_near = async |windows: &Windows| {
        let slot = windows.reserve().await.slot;
        slot <= Instant::now() + SECOND * 60
    };
    // Of a long span half of the places are there at once.
    assert_eq!([is_near(&first).await, is_near(&second).await], [true; 2]);
    first.rebound(flow(12, HOUR), third);
    for _ in 0..4 {
        assert!(is_near(&first).await, "two of twelve were taken");
    }
    assert!(!is_near(&second).await, "it still goes by four");
    second.rebound(flow(12, HOUR), third);
    assert!(!is_near(&second).await, "seven of twelve were taken");
    first.rebound(flow(3, HOUR), third);
    assert!(!is_near(&first).await);
    assert_eq!([first.state(), second.state()], [State::Shared; 2]);

    // Redis may not have all that matters to a longer span, or to a new one.
    first.rebound(flow(300, HOUR * 2), third);
    assert_eq!(first.state(), State::Rejoining);
    let both = Limits {
        creates_per_second: NonZeroU32::new(9),
        ..flow(12, HOUR)
    };
    second.rebound(both, third);
    assert_eq!(second.state(), State::Rejoining);
}
