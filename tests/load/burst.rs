//! Who cannot make it learns so at once, and when to come again.

use std::time::Duration;

use rekognition_emulator::{Emulator, Quota};
use tokio::task::JoinSet;
use tonic::Status;
use tonic_types::StatusExt as _;

use crate::ALONE;
use crate::offers::{BY_THE_SECOND, DEADLINE, call, quantile};
use crate::support::Running;

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
