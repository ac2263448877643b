//! What a call carries, and what a session tells.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use face_liveness_client::testing::{Answer, FakeGateway, Refusal};
use face_liveness_client::v1::{CreateSessionRequest, CreateSessionResponse};
use face_liveness_client::{BuildError, Client, ErrorKind, InvalidEndpoint, Reason};
use tonic::Code;

use crate::support::{client_of, create, quick};

#[tokio::test]
async fn a_session_holds_what_the_gateway_answered() {
    let gateway = FakeGateway::start().await.unwrap();
    let answer = Answer::session()
        .metadata("x-amzn-requestid", "aws-1")
        .metadata("x-request-id", "gateway-1");
    gateway.enqueue(answer);
    let request = CreateSessionRequest {
        region: Some("eu-west-1".to_owned()),
        ..Default::default()
    };
    let session = client_of(&gateway).create_session(request).await.unwrap();
    assert_eq!(session.region, "eu-west-1");
    assert_eq!(session.aws_request_id.as_deref(), Some("aws-1"));
    assert_eq!(session.request_id.as_deref(), Some("gateway-1"));
    assert_eq!(
        session
            .expire_time
            .duration_since(session.create_time)
            .unwrap(),
        Duration::from_secs(180)
    );
    assert!(session.remaining() <= Duration::from_secs(180));
    assert!(!format!("{session:?}").contains(&session.session_id));
}

fn lasting(from: SystemTime, to: SystemTime, replayed: bool) -> CreateSessionResponse {
    CreateSessionResponse {
        session_id: uuid::Uuid::new_v4().to_string(),
        region: "us-east-1".to_owned(),
        create_time: Some(from.into()),
        expire_time: Some(to.into()),
        replayed,
    }
}

#[tokio::test]
async fn the_time_that_remains_does_not_depend_on_the_gateways_clock() {
    let gateway = FakeGateway::start().await.unwrap();
    let client = client_of(&gateway);
    let (hour, life) = (Duration::from_secs(3600), Duration::from_secs(180));
    let now = SystemTime::now();

    gateway.enqueue(Answer::response(lasting(
        now - hour,
        now - hour + life,
        false,
    )));
    let behind = create(&client).await.unwrap();
    assert!(behind.remaining() > Duration::ZERO);

    gateway.enqueue(Answer::response(lasting(
        now + hour,
        now + hour + life,
        false,
    )));
    let ahead = create(&client).await.unwrap();
    assert!(ahead.remaining() <= life);
}

#[tokio::test]
async fn a_replayed_session_remains_until_its_expiry() {
    let gateway = FakeGateway::start().await.unwrap();
    let client = client_of(&gateway);
    let (hour, life) = (Duration::from_secs(3600), Duration::from_secs(180));
    let now = SystemTime::now();

    gateway.enqueue(Answer::response(lasting(
        now - hour,
        now - hour + life,
        true,
    )));
    assert_eq!(create(&client).await.unwrap().remaining(), Duration::ZERO);

    gateway.enqueue(Answer::response(lasting(
        now + hour,
        now + hour + life,
        true,
    )));
    assert_eq!(create(&client).await.unwrap().remaining(), life);
}

#[tokio::test]
async fn every_call_carries_the_clients_metadata_and_the_callers() {
    let gateway = FakeGateway::start().await.unwrap();
    let client = quick()
        .endpoint(gateway.endpoint())
        .metadata("x-team", "payments")
        .user_agent("checkout/2.1")
        .static_bearer_token("token-1")
        .build()
        .unwrap();
    let mut request = tonic::Request::new(CreateSessionRequest::default());
    let id = "3f0c".parse().unwrap();
    request.metadata_mut().insert("x-request-id", id);
    client.create_session(request).await.unwrap();

    let received = &gateway.requests()[0];
    assert_eq!(received.text("x-team"), Some("payments"));
    assert_eq!(received.text("x-request-id"), Some("3f0c"));
    assert_eq!(received.text("authorization"), Some("Bearer token-1"));
    let agent = received.text("user-agent").unwrap();
    assert!(
        agent.starts_with("checkout/2.1 face-liveness-client/"),
        "{agent}"
    );
}

#[tokio::test]
async fn every_attempt_asks_for_a_fresh_token() {
    let gateway = FakeGateway::start().await.unwrap();
    let count = Arc::new(AtomicU32::new(0));
    let client = quick()
        .endpoint(gateway.endpoint())
        .bearer_token(move || {
            let number = count.fetch_add(1, Ordering::Relaxed);
            async move { Ok(format!("token-{number}")) }
        })
        .build()
        .unwrap();
    gateway.enqueue(Refusal::new(Reason::Draining));
    create(&client).await.unwrap();
    let requests = gateway.requests();
    assert_eq!(requests[0].text("authorization"), Some("Bearer token-0"));
    assert_eq!(requests[1].text("authorization"), Some("Bearer token-1"));
}

#[tokio::test]
async fn without_a_token_the_call_is_not_sent_and_says_why() {
    let gateway = FakeGateway::start().await.unwrap();
    let client = quick()
        .endpoint(gateway.endpoint())
        .bearer_token(|| async { Err("the vault is sealed".into()) })
        .build()
        .unwrap();
    let error = create(&client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Token);
    assert_eq!(error.code(), Code::Unauthenticated);
    assert!(!error.is_retryable());
    let mut causes = Vec::new();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    assert!(
        causes.iter().any(|cause| cause == "the vault is sealed"),
        "{causes:?}"
    );
    assert!(gateway.requests().is_empty());
}

#[tokio::test]
async fn a_token_that_ends_with_a_line_is_sent_without_its_end() {
    let gateway = FakeGateway::start().await.unwrap();
    let client = quick()
        .endpoint(gateway.endpoint())
        .static_bearer_token("from-a-file\n")
        .build()
        .unwrap();
    create(&client).await.unwrap();
    let requests = gateway.requests();
    assert_eq!(
        requests[0].text("authorization"),
        Some("Bearer from-a-file")
    );
}

#[tokio::test]
async fn a_token_unfit_for_a_header_is_an_error_that_does_not_show_it() {
    for token in ["sec\nquiz", " \n"] {
        let client = quick()
            .endpoint("http://127.0.0.1:1")
            .static_bearer_token(token)
            .build()
            .unwrap();
        let error = create(&client).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Token);
        assert!(!format!("{error} {error:?}").contains("quiz"));
    }
}

#[tokio::test]
async fn the_raw_client_shares_connections_and_metadata_but_does_not_retry() {
    let gateway = FakeGateway::start().await.unwrap();
    let client = quick()
        .endpoint(gateway.endpoint())
        .static_bearer_token("token-1")
        .build()
        .unwrap();
    create(&client).await.unwrap();
    gateway.enqueue(Refusal::new(Reason::Draining));
    let mut raw = client.raw();
    let status = raw.create_session(CreateSessionRequest::default()).await;
    assert_eq!(status.unwrap_err().code(), Code::Unavailable);
    let requests = gateway.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1].text("authorization"), Some("Bearer token-1"));
    assert_eq!(gateway.connections(), 1);
}

#[test]
fn mistakes_show_when_the_client_is_built() {
    let problem = |builder: face_liveness_client::Builder| builder.build().unwrap_err();
    assert!(matches!(problem(Client::builder()), BuildError::NoEndpoint));
    let builder = quick().endpoint("http://gateway:1").endpoint("gateway:2");
    assert!(matches!(
        problem(builder),
        BuildError::Endpoint {
            index: 2,
            problem: InvalidEndpoint::Syntax
        }
    ));
    for key in ["", "two words", "x-bin", "grpc-timeout", "content-type"] {
        let builder = quick().endpoint("http://gateway:1").metadata(key, "value");
        assert!(
            matches!(problem(builder), BuildError::Metadata { .. }),
            "{key}"
        );
    }
    let builder = quick().endpoint("http://gateway:1").user_agent("a\nb");
    assert!(matches!(problem(builder), BuildError::UserAgent));
}
