//! A burst beyond the quota: who cannot make it learns so at once, and when to
//! come again.

use std::time::Duration;

use futures_util::future::join_all;
use rekognition_emulator::{Emulator, Fault, Latency, Quota};
use tokio::time::{Instant, sleep_until};
use tonic::Status;
use tonic_types::StatusExt as _;

use crate::ALONE;
use crate::offers::{BY_THE_SECOND, DEADLINE, call, clients, quantile, tally};
use crate::support::Running;

const BURST: usize = 200;

/// Calls before the burst: they show how long a call usually takes.
const EARLIER: usize = 5;

/// How long they take. The burst's own are quicker, so that a busy machine does
/// not spoil the calls that are admitted last.
const USUAL: Duration = Duration::from_millis(200);

/// What AWS admits in a second.
const PER_SECOND: usize = 25;

/// How much later than told a retry has its turn at most, for several come.
const PATIENCE: Duration = Duration::from_secs(1);

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_burst_those_who_cannot_make_it_are_refused_at_once_and_admitted_when_told() {
    let _alone = ALONE.lock().await;
    let quota = Quota {
        concurrent_sessions: None,
        ..Quota::of_region("us-east-1")
    };
    let emulator = Emulator::builder().quota(quota).start().await.unwrap();
    let gateway = Running::configured(&emulator, BY_THE_SECOND).await;
    let clients = clients(&gateway).await;
    emulator.set_faults([Fault::latency(Latency::fixed(USUAL))]);
    let earlier = clients.iter().take(EARLIER);
    for earlier in join_all(earlier.map(|c| call(c.clone(), None, DEADLINE))).await {
        earlier.result.unwrap();
    }
    emulator.set_faults([]);

    let began = Instant::now();
    let turns = clients.iter().cycle();
    let burst = turns.take(BURST).map(|c| call(c.clone(), None, DEADLINE));
    let burst = join_all(burst.map(tokio::spawn)).await;
    let burst: Vec<_> = burst.into_iter().map(Result::unwrap).collect();

    let (mut made, refused): (Vec<_>, Vec<_>) = burst.iter().partition(|a| a.is_ok());
    made.sort_unstable_by_key(|answer| answer.at);
    let first_queued = made[PER_SECOND - EARLIER].at;
    let last_refusal = refused.iter().map(|answer| answer.at).max().unwrap();
    let delays: Vec<_> = refused
        .iter()
        .map(|answer| told(answer.result.as_ref().unwrap_err()))
        .collect();
    let (least, most) = (delays.iter().min().unwrap(), delays.iter().max().unwrap());
    println!(
        "{BURST} at once: {:?}; refusals took p50 {:?}, the last came after {:?}, the first \
         answer to one that waited after {:?}; told delays {least:?} to {most:?}",
        tally(&burst),
        quantile(refused.iter().map(|answer| answer.took), 0.5),
        last_refusal - began,
        first_queued - began,
    );
    let waited = refused.iter().filter(|a| a.at >= first_queued).count();
    let throttled = emulator.journal().throttled;
    println!("{waited} refused after waiting, {throttled} throttles");
    assert_eq!(throttled, 0);
    // What fits into two seconds, less the rest of a slot and what calls take.
    assert!((40..=50).contains(&made.len()), "{}", made.len());
    assert!(last_refusal < first_queued);
    // The slot after those of the queue: past the deadline, less the usual time
    // of a call, and by less than two slots.
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
async fn with_the_quota_used_up_a_refusal_takes_less_than_50_ms() {
    let _alone = ALONE.lock().await;
    let emulator = Emulator::builder().start().await.unwrap();
    let gateway = Running::configured(&emulator, BY_THE_SECOND).await;
    let client = gateway.client().await;
    let burst = (0..PER_SECOND).map(|_| call(client.clone(), None, DEADLINE));
    let burst: Vec<_> = join_all(burst.map(tokio::spawn)).await;
    assert!(burst.into_iter().all(|answer| answer.unwrap().is_ok()));
    // All of these fit into the second in which there is no slot.
    let mut took = Vec::new();
    for _ in 0..20 {
        let refusal = call(client.clone(), None, Duration::from_millis(200)).await;
        told(&refusal.result.unwrap_err());
        took.push(refusal.took);
    }
    let (median, longest) = (quantile(took.clone(), 0.5), quantile(took, 1.0));
    println!("20 refusals one after the other: p50 {median:?}, the longest {longest:?}");
    assert!(median < Duration::from_millis(50));
}
