//! Several gateways and one Redis keep to one quota, also when Redis is lost.

#![expect(clippy::print_stdout, reason = "the figures are part of the result")]

use std::time::Duration;

use face_liveness_client::v1::CreateSessionRequest;
use face_liveness_client::v1::face_liveness_service_client::FaceLivenessServiceClient;
use rekognition_emulator::{Emulator, Quota};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::redis_server::{Server, poll};
use crate::replica::Replica;

/// AWS's quota in us-east-1, creates a second.
const QUOTA: u32 = 25;

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

/// Calls again and again; ends with the first call that fails.
async fn insist(channel: Channel) -> Status {
    let mut client = FaceLivenessServiceClient::new(channel);
    loop {
        let mut request = Request::new(CreateSessionRequest::default());
        request.set_timeout(DEADLINE);
        if let Err(status) = client.create_session(request).await {
            return status;
        }
    }
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
        calls.spawn(async move {
            let mut request = Request::new(CreateSessionRequest::default());
            request.set_timeout(Duration::from_secs(2));
            FaceLivenessServiceClient::new(channel)
                .create_session(request)
                .await
        });
    }
    let made = emulator.journal().sessions_made - before;
    let offered = calls.len();
    let refused = calls.join_all().await.into_iter().filter_map(Result::err);
    let codes = refused.map(|status| status.code());
    let exhausted = codes
        .filter(|code| *code == Code::ResourceExhausted)
        .count();
    println!(
        "offered {offered} in {lasting:?}: {made} sessions in that time, {exhausted} refused for the quota; throttled: {}",
        emulator.journal().throttled
    );
    f64::from(u32::try_from(made).unwrap()) / (f64::from(QUOTA) * lasting.as_secs_f64())
}

/// The sessions made in the coming `seconds`, as a share of the quota.
async fn used(emulator: &Emulator, calls: &mut JoinSet<Status>, seconds: u32) -> f64 {
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
    f64::from(made) / f64::from(QUOTA * seconds)
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
        .map(|_| Replica::start(&emulator, &redis.url(), &[("QUOTA_SHARE", "0.333")]))
        .collect();
    all(&replicas, true).await;
    let overloaded = overload(&emulator, &replicas).await;
    let mut calls = JoinSet::new();
    for replica in replicas.iter().cycle().take(REPLICAS * WAITING) {
        calls.spawn(insist(replica.channel.clone()));
    }

    // The queues fill.
    used(&emulator, &mut calls, 2).await;
    let shared = used(&emulator, &mut calls, 12).await;
    redis.kill();
    all(&replicas, false).await;
    let alone = used(&emulator, &mut calls, 6).await;
    redis.restart().await;
    all(&replicas, true).await;
    let again = used(&emulator, &mut calls, 12).await;

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
