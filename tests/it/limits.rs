//! Nothing that a peer can grow grows without bound.

use face_liveness_client::v1::CreateSessionRequest;
use rekognition_emulator::Fault;
use tonic::metadata::MetadataValue;
use tonic::{Code, Request};
use tonic_types::StatusExt as _;

use crate::support::{ONE_REGION, Running, assert_alive, emulator, watch_health};

#[tokio::test]
async fn calls_beyond_those_that_may_be_in_flight_are_shed_on_every_connection() {
    let emulator = emulator().await;
    emulator.set_faults([Fault::hang()]);
    let gateway = Running::configured(&emulator, &format!("{ONE_REGION}max_in_flight = 1")).await;
    let mut held = gateway.client().await;
    let held =
        tokio::spawn(async move { held.create_session(CreateSessionRequest::default()).await });
    while emulator.journal().requests_seen == 0 {
        tokio::task::yield_now().await;
    }
    let status = gateway
        .create(CreateSessionRequest::default())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(
        status.get_details_error_info().unwrap().reason,
        "OVERLOADED"
    );
    assert_eq!(
        status.metadata().get("grpc-retry-pushback-ms").unwrap(),
        "1000"
    );
    assert!(status.get_details_retry_info().is_some());

    // A client that hangs up gives its slot back.
    held.abort();
    emulator.set_faults([]);
    while gateway
        .create(CreateSessionRequest::default())
        .await
        .is_err()
    {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn health_is_answered_while_calls_are_shed() {
    let emulator = emulator().await;
    emulator.set_faults([Fault::hang()]);
    let gateway = Running::configured(&emulator, &format!("{ONE_REGION}max_in_flight = 1")).await;
    let mut held = gateway.client().await;
    let _held =
        tokio::spawn(async move { held.create_session(CreateSessionRequest::default()).await });
    while emulator.journal().requests_seen == 0 {
        tokio::task::yield_now().await;
    }
    assert!(
        watch_health(gateway.connect().await)
            .await
            .message()
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn metadata_beyond_the_limit_is_refused() {
    let gateway = Running::over(&emulator().await).await;
    let mut request = Request::new(CreateSessionRequest::default());
    request.metadata_mut().insert(
        "x-large",
        MetadataValue::try_from("x".repeat(32 * 1024)).unwrap(),
    );
    assert!(
        gateway
            .client()
            .await
            .create_session(request)
            .await
            .is_err()
    );
    assert_alive(&gateway).await;
}

#[tokio::test]
async fn a_connection_beyond_the_limit_waits_for_another_to_end() {
    let emulator = emulator().await;
    let gateway = Running::configured(&emulator, &format!("{ONE_REGION}max_connections = 1")).await;
    let mut first = gateway.client().await;
    first
        .create_session(CreateSessionRequest::default())
        .await
        .unwrap();
    let second = gateway.create(CreateSessionRequest::default());
    let mut second = Box::pin(second);
    // The first goes on being served while the second waits.
    let served = tokio::select! {
        biased;
        _ = &mut second => panic!("two connections at once"),
        served = first.create_session(CreateSessionRequest::default()) => served,
    };
    served.unwrap();
    drop(first);
    second.await.unwrap();
}
