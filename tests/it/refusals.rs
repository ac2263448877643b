//! Every reason to say no is told by its code, reason and details. One table;
//! each row is driven by a real call.

use std::time::Duration;

use face_liveness_client::v1::CreateSessionRequest;
use face_liveness_gateway::config::Config;
use rekognition_emulator::{Emulator, Fault};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::raw::{framed, refusal};
use crate::support::{KEY, ONE_REGION, Running, config, emulator, signing};

const GATEWAY: &str = "faceliveness.v1";
const AWS: &str = "rekognition.amazonaws.com";

/// What a row expects.
struct Row {
    code: Code,
    domain: &'static str,
    reason: &'static str,
    retry: Retry,
}

#[derive(Clone, Copy)]
enum Retry {
    Never,
    After(Duration),
}

fn row(code: Code, domain: &'static str, reason: &'static str, retry: Retry) -> Row {
    Row {
        code,
        domain,
        reason,
        retry,
    }
}

const ONE_SECOND: Retry = Retry::After(Duration::from_secs(1));

/// Checks a status against its row, and what must hold for every refusal.
fn check(status: &Status, row: &Row) {
    let name = row.reason;
    assert_eq!(status.code(), row.code, "{name}: {status:?}");
    let info = status
        .get_details_error_info()
        .unwrap_or_else(|| panic!("{name}: no ErrorInfo"));
    assert_eq!(
        (info.domain.as_str(), info.reason.as_str()),
        (row.domain, row.reason)
    );
    let pushback = status
        .metadata()
        .get("grpc-retry-pushback-ms")
        .unwrap()
        .to_str()
        .unwrap();
    let delay = status
        .get_details_retry_info()
        .and_then(|info| info.retry_delay);
    match row.retry {
        Retry::Never => {
            assert_eq!((pushback, delay), ("-1", None), "{name}");
        }
        Retry::After(expected) => {
            assert_eq!(pushback, expected.as_millis().to_string(), "{name}");
            assert_eq!(delay, Some(expected), "{name}");
        }
    }
    let quota_failure = status.get_details_quota_failure().is_some();
    assert_eq!(
        quota_failure,
        row.code == Code::ResourceExhausted,
        "{name}: QuotaFailure"
    );
    let of_aws = status
        .metadata()
        .get("x-amzn-requestid")
        .map(|id| id.to_str().unwrap());
    assert_eq!(
        info.metadata.get("aws_request_id").map(String::as_str),
        of_aws,
        "{name}"
    );
}

/// What an empty request is answered by a gateway over an emulator with `faults`.
async fn refused(
    faults: impl IntoIterator<Item = Fault>,
    change: impl FnOnce(&mut Config, &Emulator),
) -> Status {
    let emulator = emulator().await;
    emulator.set_faults(faults);
    let mut config = config(&emulator, ONE_REGION).await;
    change(&mut config, &emulator);
    Running::start(config)
        .create(CreateSessionRequest::default())
        .await
        .unwrap_err()
}

async fn refused_by(fault: Fault) -> Status {
    refused([fault], |_, _| {}).await
}

#[tokio::test]
async fn what_aws_refuses_is_told_apart() {
    use Retry::{After, Never};
    let millis = |millis| After(Duration::from_millis(millis));
    let rows = [
        (
            Fault::invalid_parameter(),
            row(
                Code::InvalidArgument,
                AWS,
                "UPSTREAM_INVALID_PARAMETER",
                Never,
            ),
        ),
        (
            Fault::provisioned_throughput_exceeded(),
            row(Code::ResourceExhausted, AWS, "UPSTREAM_QUOTA", ONE_SECOND),
        ),
        (
            Fault::throttling(),
            row(Code::Unavailable, AWS, "UPSTREAM_THROTTLED", ONE_SECOND),
        ),
        (
            Fault::throttling_after(Duration::from_millis(250)),
            row(Code::Unavailable, AWS, "UPSTREAM_THROTTLED", millis(250)),
        ),
        (
            Fault::internal_server_error(),
            row(Code::Unavailable, AWS, "UPSTREAM_UNAVAILABLE", ONE_SECOND),
        ),
        (
            Fault::service_unavailable(),
            row(Code::Unavailable, AWS, "UPSTREAM_UNAVAILABLE", ONE_SECOND),
        ),
        (
            Fault::access_denied(),
            row(Code::Internal, AWS, "UPSTREAM_ACCESS_DENIED", Never),
        ),
        (
            Fault::expired_token(),
            row(Code::Unavailable, AWS, "UPSTREAM_CREDENTIALS", millis(5000)),
        ),
        (
            Fault::unrecognized_client(),
            row(Code::Unavailable, AWS, "UPSTREAM_CREDENTIALS", millis(5000)),
        ),
        (
            Fault::no_session_id(),
            row(Code::Internal, AWS, "UPSTREAM_MALFORMED", Never),
        ),
        (
            Fault::malformed_session_id("not-an-id"),
            row(Code::Internal, AWS, "UPSTREAM_MALFORMED", Never),
        ),
        (
            Fault::not_json(),
            row(Code::Internal, AWS, "UPSTREAM_MALFORMED", Never),
        ),
    ];
    let calls = rows.map(|(fault, row)| async move {
        let status = refused_by(fault).await;
        check(&status, &row);
        assert!(
            status.metadata().get("x-amzn-requestid").is_some(),
            "{}: no request id",
            row.reason
        );
    });
    futures_util::future::join_all(calls).await;
}

#[tokio::test]
async fn an_aws_that_does_not_answer_is_unavailable() {
    let unavailable = row(Code::Unavailable, AWS, "UPSTREAM_UNAVAILABLE", ONE_SECOND);
    let impatient =
        |config: &mut Config, _: &Emulator| config.aws.read_timeout = Duration::from_millis(50);
    let nowhere = |config: &mut Config, _: &Emulator| {
        // Nobody listens on the discard port.
        config.regions[0].endpoint_url = Some("http://127.0.0.1:9".parse().unwrap());
    };
    let (reset, reset_after, cut_short, hang, refused_connection) = tokio::join!(
        refused_by(Fault::reset()),
        refused_by(Fault::reset_after_create()),
        refused_by(Fault::cut_short()),
        refused([Fault::hang()], impatient),
        refused([], nowhere),
    );
    for status in [reset, reset_after, cut_short, hang, refused_connection] {
        check(&status, &unavailable);
    }
}

#[tokio::test]
async fn credentials_that_aws_does_not_know_are_the_operators_to_mend() {
    let expected = row(
        Code::Unavailable,
        AWS,
        "UPSTREAM_CREDENTIALS",
        Retry::After(Duration::from_secs(5)),
    );
    for (access_key, secret_key) in [("unknown", KEY), (KEY, "wrong")] {
        let status = refused([], |config, _| {
            config.aws.identity = signing(access_key, secret_key)
        })
        .await;
        check(&status, &expected);
    }
}

#[tokio::test]
async fn a_refusal_of_aws_that_the_gateway_does_not_know_is_told_as_such() {
    let status = refused([], |config, emulator| {
        let elsewhere = format!("{}/not-rekognition", emulator.endpoint_url());
        config.regions[0].endpoint_url = Some(elsewhere.parse().unwrap());
    })
    .await;
    check(
        &status,
        &row(Code::Internal, AWS, "UPSTREAM_REJECTED", Retry::Never),
    );
}

#[tokio::test]
async fn what_aws_says_in_its_own_words_is_not_passed_on() {
    let status = refused_by(Fault::internal_server_error()).await;
    let shown = format!("{status:?}").to_lowercase();
    assert!(!shown.contains("internalservererror"), "{shown}");
}

#[tokio::test]
async fn a_request_outside_the_constraints_is_invalid() {
    let gateway = Running::over(&emulator().await).await;
    let request = CreateSessionRequest {
        kms_key_id: Some(String::new()),
        ..Default::default()
    };
    let status = gateway.create(request).await.unwrap_err();
    check(
        &status,
        &row(
            Code::InvalidArgument,
            GATEWAY,
            "INVALID_REQUEST",
            Retry::Never,
        ),
    );
}

#[tokio::test]
async fn a_region_that_is_not_served_is_told_with_those_that_are() {
    let gateway = Running::over(&emulator().await).await;
    let request = CreateSessionRequest {
        region: Some("eu-west-1".to_owned()),
        ..Default::default()
    };
    let status = gateway.create(request).await.unwrap_err();
    check(
        &status,
        &row(
            Code::InvalidArgument,
            GATEWAY,
            "REGION_NOT_SERVED",
            Retry::Never,
        ),
    );
    let violations = status.get_details_bad_request().unwrap().field_violations;
    assert_eq!(violations[0].field, "region");
    assert_eq!(violations[0].description, "must be one of us-east-1");
}

#[tokio::test]
async fn a_deadline_that_passes_is_deadline_exceeded() {
    let emulator = emulator().await;
    emulator.set_faults([Fault::hang()]);
    let gateway = Running::over(&emulator).await;
    let status = refusal(&gateway, &[("grpc-timeout", "200m")], framed(0, &[])).await;
    check(
        &status,
        &row(Code::DeadlineExceeded, GATEWAY, "DEADLINE", Retry::Never),
    );
}
