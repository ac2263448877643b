//! Several gateways and one Redis keep to one quota, also when Redis is lost.

#![expect(clippy::print_stdout, reason = "the figures are part of the result")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use face_liveness_client::v1::CreateSessionRequest;
use face_liveness_client::v1::face_liveness_service_client::FaceLivenessServiceClient;
use rekognition_emulator::{DEFAULT_SESSION_LENGTH, Emulator, Quota};
use tempfile::NamedTempFile;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::identity::token_of;
use crate::redis_server::{Server, poll};
use crate::replica::{BY_THE_SECOND, Replica};
use crate::support::file;

/// AWS's quota in us-east-1, creates a second.
const QUOTA: u32 = 25;

/// And what its concurrent sessions allow.
const SESSIONS: u32 = 75;

const REPLICAS: usize = 3;

/// Calls that each replica always has waiting: more than it is let through in a
/// second, so that the offer is many times the quota.
const WAITING: usize = 30;

/// Longer than any wait in the queue, so that whatever fails fails for another
/// reason.
const DEADLINE: Duration = Duration::from_secs(25);

async fn all(replicas: &[Replica], sharing: bool) {
    poll(async || {
        for replica in replicas {
            if replica.shares().await != sharing {
                return false;
            }
        }
        true
    })
    .await;
}

/// A call with this deadline, by whoever has this token.
async fn create(channel: &Channel, token: Option<&str>, deadline: Duration) -> Result<(), Status> {
    let mut request = Request::new(CreateSessionRequest::default());
    request.set_timeout(deadline);
    if let Some(token) = token {
        let bearer = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", bearer);
    }
    let mut client = FaceLivenessServiceClient::new(channel.clone());
    client.create_session(request).await.map(drop)
}

/// Calls again and again; ends with the first call that fails.
async fn insist(channel: Channel, token: Option<&str>) -> Status {
    loop {
        if let Err(status) = create(&channel, token, DEADLINE).await {
            return status;
        }
    }
}

/// Calls once a second with a short deadline; ends with the first call that fails.
async fn ask_quietly(channel: Channel, token: &str, tally: Arc<Tally>) -> Status {
    let mut every_second = interval(Duration::from_secs(1));
    loop {
        every_second.tick().await;
        let began = Instant::now();
        if let Err(status) = create(&channel, Some(token), Duration::from_secs(2)).await {
            return status;
        }
        let took = u64::try_from(began.elapsed().as_millis()).unwrap();
        tally.longest_ms.fetch_max(took, Ordering::Relaxed);
        tally.served.fetch_add(1, Ordering::Relaxed);
    }
}

#[derive(Debug, Default)]
struct Tally {
    served: AtomicU64,
    longest_ms: AtomicU64,
}

/// Ten times the quota for 30 s, none of it repeated; the share of the quota that
/// was used.
async fn overload(emulator: &Emulator, replicas: &[Replica]) -> f64 {
    let lasting = Duration::from_secs(30);
    let mut calls = JoinSet::new();
    let mut turns = replicas.iter().cycle();
    let mut pace = interval(Duration::from_secs(1) / (QUOTA * 10));
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let before = emulator.journal().sessions_made;
    let end = Instant::now() + lasting;
    while pace.tick().await < end {
        let channel = turns.next().unwrap().channel.clone();
        calls.spawn(async move { create(&channel, None, Duration::from_secs(2)).await });
    }
    let made = emulator.journal().sessions_made - before;
    let offered = calls.len();
    let refused: Vec<_> = calls
        .join_all()
        .await
        .into_iter()
        .filter_map(Result::err)
        .collect();
    println!(
        "offered {offered} in {lasting:?}: {made} sessions in that time, {} refused for the quota; throttled: {}",
        refused.len(),
        emulator.journal().throttled
    );
    for status in refused {
        assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    }
    f64::from(u32::try_from(made).unwrap()) / (f64::from(QUOTA) * lasting.as_secs_f64())
}

/// The sessions made in the coming `seconds`, as a share of a quota of so many a
/// second.
async fn used(emulator: &Emulator, calls: &mut JoinSet<Status>, quota: f64, seconds: u32) -> f64 {
    let before = emulator.journal().sessions_made;
    tokio::select! {
        failed = calls.join_next() => panic!("a call failed: {failed:?}"),
        () = tokio::time::sleep(Duration::from_secs(seconds.into())) => {}
    }
    let made = emulator.journal().sessions_made - before;
    let made = u32::try_from(made).unwrap();
    println!(
        "{made} sessions in {seconds} s; throttled so far: {}",
        emulator.journal().throttled
    );
    f64::from(made) / (quota * f64::from(seconds))
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn three_replicas_keep_to_one_quota_while_redis_comes_and_goes() {
    let quota = Quota {
        creates_per_second: Some(QUOTA),
        ..Quota::UNLIMITED
    };
    let emulator = Emulator::builder().quota(quota).start().await.unwrap();
    let mut redis = Server::start(&[]).await;
    let replicas: Vec<_> = (0..REPLICAS)
        .map(|_| {
            let variables = [("QUOTA_SHARE", "0.333"), BY_THE_SECOND];
            Replica::start(&emulator, &redis.url(), &variables)
        })
        .collect();
    all(&replicas, true).await;
    let overloaded = overload(&emulator, &replicas).await;
    let mut calls = JoinSet::new();
    for replica in replicas.iter().cycle().take(REPLICAS * WAITING) {
        calls.spawn(insist(replica.channel.clone(), None));
    }

    let quota = f64::from(QUOTA);
    // The queues fill.
    used(&emulator, &mut calls, quota, 2).await;
    let shared = used(&emulator, &mut calls, quota, 12).await;
    redis.kill();
    all(&replicas, false).await;
    let alone = used(&emulator, &mut calls, quota, 6).await;
    redis.restart().await;
    all(&replicas, true).await;
    let again = used(&emulator, &mut calls, quota, 12).await;

    let throttled = emulator.journal().throttled;
    println!(
        "quota used: {:.1} % overloaded, {:.1} % shared, {:.1} % without Redis, {:.1} % shared again; throttled: {throttled}",
        overloaded * 100.0,
        shared * 100.0,
        alone * 100.0,
        again * 100.0
    );
    assert_eq!(throttled, 0);
    assert!(overloaded >= 0.95, "{overloaded}");
    assert!(shared >= 0.95 && again >= 0.95, "{shared} {again}");
    assert!(alone >= 0.5, "{alone}");
}

/// Callers `greedy` and `quiet`, with their names for tokens.
fn two_callers() -> NamedTempFile {
    let tokens = ["greedy", "quiet"].map(|caller| token_of(caller, caller));
    file(&tokens.concat())
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_quiet_caller_gets_all_it_asks_for_of_aws_s_defaults_while_redis_comes_and_goes() {
    let emulator = Emulator::builder()
        .quota(Quota::of_region("us-east-1"))
        .start()
        .await
        .unwrap();
    let mut redis = Server::start(&[]).await;
    let callers = two_callers();
    let variables = [
        ("QUOTA_SHARE", "0.333"),
        ("CONFIG", callers.path().to_str().unwrap()),
        // A machine that is busy is not to be taken for a loss.
        ("QUOTA_STORE_TIMEOUT", "500ms"),
    ];
    let replicas = [(); REPLICAS].map(|()| Replica::start(&emulator, &redis.url(), &variables));
    all(&replicas, true).await;
    let quota = f64::from(SESSIONS) / DEFAULT_SESSION_LENGTH.as_secs_f64();
    let tally = Arc::new(Tally::default());
    let mut calls = JoinSet::new();
    for replica in &replicas {
        for _ in 0..WAITING / 2 {
            calls.spawn(insist(replica.channel.clone(), Some("greedy")));
        }
        calls.spawn(ask_quietly(
            replica.channel.clone(),
            "quiet",
            Arc::clone(&tally),
        ));
    }

    // The first burst is used up.
    used(&emulator, &mut calls, quota, 12).await;
    let shared = used(&emulator, &mut calls, quota, 12).await;
    redis.kill();
    all(&replicas, false).await;
    let alone = used(&emulator, &mut calls, quota, 25).await;
    redis.restart().await;
    all(&replicas, true).await;
    let again = used(&emulator, &mut calls, quota, 15).await;

    let throttled = emulator.journal().throttled;
    println!(
        "quota used: {:.1} % shared, {:.1} % without Redis, {:.1} % shared again; throttled: {throttled}; quiet: {tally:?}",
        shared * 100.0,
        alone * 100.0,
        again * 100.0
    );
    assert_eq!(throttled, 0);
    assert!(shared >= 0.95 && again >= 0.95, "{shared} {again}");
    assert!(alone >= 0.85, "{alone}");
    // Three times one in each of the 64 s at least, less what is under way.
    assert!(tally.served.load(Ordering::Relaxed) >= 180, "{tally:?}");
}
