//! Each caller is held to its own rate, and pays for nobody else.

use face_liveness_client::v1::CreateSessionRequest;
use face_liveness_gateway::config::Identity;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::raw::{framed, refusal};
use crate::support::{Running, config, emulator};

const ONE_A_MINUTE: &str = "
    region = 'us-east-1'
    [server]
    drain_delay = '0s'
    [[callers]]
    id = 'slow'
    rate = 0.0167
    burst = 1
";

async fn create(gateway: &Running, caller: &str) -> Result<(), Status> {
    let mut request = Request::new(CreateSessionRequest::default());
    request
        .metadata_mut()
        .insert("x-caller-id", caller.parse().unwrap());
    gateway
        .client()
        .await
        .create_session(request)
        .await
        .map(drop)
}

#[tokio::test]
async fn a_caller_over_its_rate_is_refused_with_the_wait_before_anything_is_decoded() {
    let emulator = emulator().await;
    let mut config = config(&emulator, ONE_A_MINUTE).await;
    config.identity = Identity::Believed;
    let gateway = Running::start(config);
    create(&gateway, "slow").await.unwrap();

    // Not a message at all, which nobody finds out.
    let status = refusal(&gateway, &[("x-caller-id", "slow")], framed(3, &[0xff; 3])).await;
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(
        status.get_details_error_info().unwrap().reason,
        "CALLER_RATE"
    );
    let quota = status.get_details_quota_failure().unwrap();
    assert_eq!(quota.violations[0].subject, "caller:slow");
    let delay = status
        .get_details_retry_info()
        .unwrap()
        .retry_delay
        .unwrap();
    assert!((50..=60).contains(&delay.as_secs()), "{delay:?}");
    let pushback = status.metadata().get("grpc-retry-pushback-ms").unwrap();
    let pushback: u128 = pushback.to_str().unwrap().parse().unwrap();
    assert_eq!(pushback, delay.as_nanos().div_ceil(1_000_000));

    create(&gateway, "other").await.unwrap();
    assert_eq!(emulator.journal().requests_seen, 2);
}

#[tokio::test]
async fn outside_development_nobody_is_believed() {
    let emulator = emulator().await;
    let gateway = Running::configured(&emulator, ONE_A_MINUTE).await;
    for _ in 0..3 {
        create(&gateway, "slow").await.unwrap();
    }
}
