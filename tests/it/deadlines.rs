//! No call outlives its deadline, whoever sets it.

use std::time::{Duration, Instant};

use face_liveness_client::v1::CreateSessionRequest;
use rekognition_emulator::Fault;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::raw::{framed, refusal};
use crate::support::{ONE_REGION, Running, assert_alive, emulator};

/// The code and reason of a call with this `grpc-timeout`. tonic's client would
/// give up by itself.
async fn refused(gateway: &Running, timeout: &str) -> (Code, String) {
    let status = refusal(gateway, &[("grpc-timeout", timeout)], framed(0, &[])).await;
    (
        status.code(),
        status.get_details_error_info().unwrap().reason,
    )
}

#[tokio::test]
async fn a_deadline_that_has_passed_costs_no_call_to_aws() {
    let emulator = emulator().await;
    let gateway = Running::over(&emulator).await;
    // The connection to AWS is warm: nothing but the deadline is in the way.
    assert_alive(&gateway).await;
    assert_eq!(
        refused(&gateway, "0n").await,
        (Code::DeadlineExceeded, "DEADLINE".to_owned())
    );
    assert_eq!(emulator.journal().requests_seen, 1);
}

#[tokio::test]
async fn a_deadline_beyond_the_servers_maximum_counts_as_that() {
    let emulator = emulator().await;
    emulator.set_faults([Fault::hang()]);
    let toml = format!("{ONE_REGION}max_deadline = '200ms'");
    let gateway = Running::configured(&emulator, &toml).await;
    assert_eq!(
        refused(&gateway, "99999999H").await,
        (Code::DeadlineExceeded, "DEADLINE".to_owned())
    );
}

#[tokio::test]
async fn without_a_deadline_the_servers_maximum_counts() {
    let emulator = emulator().await;
    emulator.set_faults([Fault::hang()]);
    let toml = format!("{ONE_REGION}max_deadline = '200ms'");
    let gateway = Running::configured(&emulator, &toml).await;
    let status = gateway
        .create(CreateSessionRequest::default())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn a_retry_that_would_come_too_late_is_not_waited_for() {
    let emulator = emulator().await;
    emulator.set_faults([Fault::throttling_after(Duration::from_secs(60))]);
    let gateway = Running::over(&emulator).await;
    let started = Instant::now();
    let (code, reason) = refused(&gateway, "20S").await;
    assert_eq!(
        (code, reason.as_str()),
        (Code::Unavailable, "UPSTREAM_THROTTLED")
    );
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(emulator.journal().requests_seen, 1);
}

#[tokio::test]
async fn a_deadline_that_cannot_be_read_is_refused_and_named() {
    let gateway = Running::over(&emulator().await).await;
    for timeout in ["", "soon", "5", "1.5S", "999999999S", "-1S"] {
        assert_eq!(
            refused(&gateway, timeout).await,
            (Code::InvalidArgument, "INVALID_REQUEST".to_owned()),
            "{timeout:?}"
        );
    }
    assert_alive(&gateway).await;
}
