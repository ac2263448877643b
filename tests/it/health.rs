//! The gateway says SERVING exactly while calls can succeed.

use face_liveness_client::v1::SERVICE_NAME;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use face_liveness_gateway::config::AwsIdentity;

use crate::support::{ONE_REGION, Running, assert_alive, config, emulator, until, watch_health};

#[tokio::test]
async fn the_server_and_the_service_are_serving_once_credentials_are_loaded() {
    let gateway = Running::over(&emulator().await).await;
    let channel = gateway.connect().await;
    until(
        &mut watch_health(channel.clone()).await,
        ServingStatus::Serving,
    )
    .await;
    for service in ["", SERVICE_NAME] {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let answer = HealthClient::new(channel.clone())
            .check(request)
            .await
            .unwrap();
        assert_eq!(answer.get_ref().status(), ServingStatus::Serving);
    }
}

#[tokio::test]
async fn without_credentials_the_gateway_is_not_serving() {
    let emulator = emulator().await;
    let mut config = config(&emulator, ONE_REGION).await;
    config.aws.identity = AwsIdentity::DefaultChain {
        profile: Some("no-such-profile".to_owned()),
    };
    let gateway = Running::start(config);
    let mut states = watch_health(gateway.connect().await).await;
    assert_eq!(
        states.message().await.unwrap().unwrap().status(),
        ServingStatus::NotServing
    );
    let status = gateway.create(Default::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(emulator.journal().requests_seen, 0);
}

#[tokio::test]
async fn without_signing_no_credentials_are_needed() {
    let emulator = rekognition_emulator::Emulator::builder()
        .verify_signatures(false)
        .start()
        .await
        .unwrap();
    let mut config = config(&emulator, ONE_REGION).await;
    config.aws.identity = AwsIdentity::Anonymous;
    let gateway = Running::start(config);
    until(
        &mut watch_health(gateway.connect().await).await,
        ServingStatus::Serving,
    )
    .await;
    assert_alive(&gateway).await;
    assert_eq!(emulator.journal().requests[0].access_key, None);
}

#[tokio::test]
async fn loading_credentials_makes_no_session() {
    let emulator = emulator().await;
    let gateway = Running::over(&emulator).await;
    until(
        &mut watch_health(gateway.connect().await).await,
        ServingStatus::Serving,
    )
    .await;
    assert_eq!(emulator.journal().requests_seen, 0);
}

#[tokio::test]
async fn an_unknown_service_is_not_found() {
    let gateway = Running::over(&emulator().await).await;
    let request = HealthCheckRequest {
        service: "no.such.Service".to_owned(),
    };
    let status = HealthClient::new(gateway.connect().await)
        .check(request)
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
}
