//! Every refusal is told apart, with all that it says.

use std::time::Duration;

use face_liveness_client::testing::{Answer, FakeGateway, Refusal};
use face_liveness_client::v1::CreateSessionRequest;
use face_liveness_client::{Error, ErrorKind, Reason};
use tonic::{Code, Status};

use crate::support::{create, quick};

async fn error_of(answer: impl Into<Answer>) -> Error {
    let gateway = FakeGateway::start().await.unwrap();
    gateway.enqueue(answer);
    let client = quick().endpoint(gateway.endpoint()).max_attempts(1);
    create(&client.build().unwrap()).await.unwrap_err()
}

/// The gateway's table, in its own words.
const TABLE: [(&str, Code, bool); 22] = [
    ("INVALID_REQUEST", Code::InvalidArgument, false),
    ("REGION_NOT_SERVED", Code::InvalidArgument, false),
    ("UNIMPLEMENTED", Code::Unimplemented, false),
    ("UNAUTHENTICATED", Code::Unauthenticated, false),
    ("KEYS_UNAVAILABLE", Code::Unavailable, true),
    ("POLICY", Code::PermissionDenied, false),
    ("TOKEN_REUSED", Code::AlreadyExists, false),
    ("SESSION_EXPIRING", Code::FailedPrecondition, false),
    ("CALLER_RATE", Code::ResourceExhausted, true),
    ("ACCOUNT_QUOTA", Code::ResourceExhausted, true),
    ("OVERLOADED", Code::Unavailable, true),
    ("DRAINING", Code::Unavailable, true),
    ("DEADLINE", Code::DeadlineExceeded, false),
    ("INTERNAL", Code::Internal, false),
    ("UPSTREAM_INVALID_PARAMETER", Code::InvalidArgument, false),
    ("UPSTREAM_QUOTA", Code::ResourceExhausted, true),
    ("UPSTREAM_THROTTLED", Code::Unavailable, true),
    ("UPSTREAM_UNAVAILABLE", Code::Unavailable, true),
    ("UPSTREAM_ACCESS_DENIED", Code::Internal, false),
    ("UPSTREAM_CREDENTIALS", Code::Unavailable, true),
    ("UPSTREAM_MALFORMED", Code::Internal, false),
    ("UPSTREAM_REJECTED", Code::Internal, false),
];

#[tokio::test]
async fn each_reason_of_the_gateway_is_recognised() {
    assert_eq!(TABLE.len(), Reason::KNOWN.len());
    for (name, code, retryable) in TABLE {
        let reason = Reason::from(name);
        assert!(Reason::KNOWN.contains(&reason), "{name}");
        let error = error_of(Refusal::new(reason.clone())).await;
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert_eq!(error.reason(), Some(&reason));
        assert_eq!(error.code(), code, "{name}");
        assert_eq!(error.is_retryable(), retryable, "{name}");
        assert_eq!(error.retry_after().is_some(), retryable, "{name}");
        assert!(
            error.to_string().contains(&format!("({name}): ")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_reason_of_a_newer_gateway_is_kept() {
    let error = error_of(Refusal::new(Reason::from("MOON_PHASE"))).await;
    assert_eq!(
        error.reason(),
        Some(&Reason::Unknown("MOON_PHASE".to_owned()))
    );
}

#[tokio::test]
async fn an_error_holds_every_violation() {
    let refusal = Refusal::new(Reason::InvalidRequest)
        .violation("kms_key_id", "is too long")
        .violation("settings.output_config.s3_bucket", "is required");
    let error = error_of(refusal).await;
    let violations: Vec<_> = error
        .field_violations()
        .iter()
        .map(|it| (it.field.as_str(), it.description.as_str()))
        .collect();
    assert_eq!(
        violations,
        [
            ("kms_key_id", "is too long"),
            ("settings.output_config.s3_bucket", "is required")
        ]
    );
}

#[tokio::test]
async fn an_error_holds_the_delay_and_the_request_ids() {
    let delay = Duration::from_millis(1500);
    let answer = Answer::from(Refusal::new(Reason::UpstreamQuota).retry_after(delay))
        .metadata("x-amzn-requestid", "aws-1")
        .metadata("x-request-id", "gateway-1");
    let error = error_of(answer).await;
    assert_eq!(error.retry_after(), Some(delay));
    assert_eq!(error.aws_request_id(), Some("aws-1"));
    assert_eq!(error.request_id(), Some("gateway-1"));
}

#[tokio::test]
async fn a_status_without_details_has_a_code_and_a_message_alone() {
    let error = error_of(Status::not_found("what?")).await;
    assert_eq!(error.code(), Code::NotFound);
    assert_eq!(error.message(), "what?");
    assert_eq!(error.to_string(), "NOT_FOUND: what?");
    assert_eq!(error.reason(), None);
    assert!(error.field_violations().is_empty());
}

#[tokio::test]
async fn an_error_knows_the_token_but_does_not_show_it() {
    let gateway = FakeGateway::start().await.unwrap();
    gateway.enqueue(Refusal::new(Reason::Policy));
    let client = quick().endpoint(gateway.endpoint()).build().unwrap();
    let request = CreateSessionRequest {
        client_request_token: Some("order-7".to_owned()),
        ..Default::default()
    };
    let error = client.create_session(request).await.unwrap_err();
    assert_eq!(error.client_request_token(), Some("order-7"));
    assert!(!format!("{error} {error:?} {client:?}").contains("order-7"));
}
