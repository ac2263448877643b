//! Who cannot make it learns so at once, and when to come again.

use std::time::Duration;

use futures_util::future::join_all;
use rekognition_emulator::{Emulator, Fault, Latency, Quota};
use tokio::task::JoinSet;
use tokio::time::sleep_until;
use tonic::Status;
use tonic_types::StatusExt as _;

use crate::ALONE;
use crate::offers::{BY_THE_SECOND, Client, DEADLINE, call, clients, quantile, tally};
use crate::support::Running;

const BURST: usize = 200;

/// What AWS admits in a second.
const PER_SECOND: usize = 25;

/// How long AWS takes for a call.
const LATENCY: Duration = Duration::from_millis(50);

/// What counts as at once.
const AT_ONCE: Duration = Duration::from_millis(50);

/// How much later than told a retry has its turn at most, for several come.
const PATIENCE: Duration = Duration::from_secs(1);

/// Calls that wait: more than are admitted in a second.
const WAITING: usize = 40;

fn told(status: &Status) -> Duration {
    let info = status.get_details_error_info();
    assert_eq!(info.unwrap().reason, "ACCOUNT_QUOTA", "{status:?}");
    let retry = status.get_details_retry_info().unwrap();
    let pushback = status.metadata().get("grpc-retry-pushback-ms").unwrap();
    let pushback = Duration::from_millis(pushback.to_str().unwrap().parse().unwrap());
    let delay = retry.retry_delay.unwrap();
    // The one counts nanoseconds, the other milliseconds, rounded up.
    assert!(delay <= pushback && pushback < delay + Duration::from_millis(1));
    pushback
}

/// A gateway in front of AWS's calls per second, whose clients have their
/// connections and who knows how long a call usually takes.
async fn warm() -> (Emulator, Running, Vec<Client>) {
    let quota = Quota {
        concurrent_sessions: None,
        ..Quota::of_region("us-east-1")
    };
    let emulator = Emulator::builder().quota(quota).start().await.unwrap();
    emulator.set_faults([Fault::latency(Latency::fixed(LATENCY))]);
    let gateway = Running::configured(&emulator, BY_THE_SECOND).await;
    let clients = clients(&gateway).await;
    let calls = clients.iter().cycle().take(PER_SECOND);
    for answer in join_all(calls.map(|client| call(client.clone(), None, DEADLINE))).await {
        answer.result.unwrap();
    }
    (emulator, gateway, clients)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_burst_those_who_cannot_make_it_are_refused_at_once_and_admitted_when_told() {
    let _alone = ALONE.lock().await;
    let (emulator, _gateway, clients) = warm().await;
    let turns = clients.iter().cycle().take(BURST);
    let burst = turns.map(|client| tokio::spawn(call(client.clone(), None, DEADLINE)));
    let burst: Vec<_> = join_all(burst)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let (made, refused): (Vec<_>, Vec<_>) = burst.iter().partition(|answer| answer.is_ok());
    let delays: Vec<_> = refused
        .iter()
        .map(|answer| told(answer.result.as_ref().unwrap_err()))
        .collect();
    let (least, most) = (delays.iter().min().unwrap(), delays.iter().max().unwrap());
    let longest = refused.iter().map(|answer| answer.took).max().unwrap();
    println!(
        "{BURST} at once: {:?}; refusals took p50 {:?}, the longest {longest:?}; \
         told delays {least:?} to {most:?}; {} throttles",
        tally(&burst),
        quantile(refused.iter().map(|answer| answer.took), 0.5),
        emulator.journal().throttled,
    );
    assert_eq!(emulator.journal().throttled, 0);
    // Nobody waited in vain, and those that were refused had no place before
    // their deadline.
    assert_eq!(made.len() + refused.len(), BURST);
    assert!((40..=50).contains(&made.len()), "{}", made.len());
    assert!(longest < AT_ONCE, "{longest:?}");
    assert!(*least > DEADLINE * 3 / 4 && *most < DEADLINE + DEADLINE / 20);

    let retries = refused.iter().take(10).map(|answer| {
        let again = answer.at + told(answer.result.as_ref().unwrap_err());
        let client = clients[0].clone();
        async move {
            sleep_until(again).await;
            call(client, None, PATIENCE).await
        }
    });
    let retries = join_all(retries).await;
    println!(
        "10 retries after the told delay: {:?}, the last took {:?}",
        tally(&retries),
        quantile(retries.iter().map(|answer| answer.took), 1.0)
    );
    for retry in &retries {
        assert!(retry.is_ok(), "{:?}", retry.result);
    }
    assert_eq!(emulator.journal().throttled, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_queue_a_refusal_takes_less_than_50_ms_and_tells_the_wait() {
    let _alone = ALONE.lock().await;
    let quota = Quota {
        concurrent_sessions: None,
        ..Quota::of_region("us-east-1")
    };
    let emulator = Emulator::builder().quota(quota).start().await.unwrap();
    let gateway = Running::configured(&emulator, BY_THE_SECOND).await;
    let client = gateway.client().await;
    let mut waiting = JoinSet::new();
    for _ in 0..WAITING {
        waiting.spawn(call(client.clone(), None, DEADLINE));
    }
    let hasty = Duration::from_millis(200);
    while call(client.clone(), None, hasty).await.result.is_ok() {}
    let mut took = Vec::new();
    for _ in 0..20 {
        let refusal = call(client.clone(), None, hasty).await;
        let wait = told(&refusal.result.unwrap_err());
        assert!(wait > Duration::ZERO);
        took.push(refusal.took);
    }
    let (median, longest) = (quantile(took.clone(), 0.5), quantile(took, 1.0));
    println!("20 refusals one after the other: p50 {median:?}, the longest {longest:?}");
    assert!(median < Duration::from_millis(50));
    for answer in waiting.join_all().await {
        answer.result.unwrap();
    }
}
