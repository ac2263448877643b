//! One intent, one session: what is tried again, when, and how it shows.

use std::time::Duration;

use face_liveness_client::testing::{Answer, FakeGateway, Refusal};
use face_liveness_client::v1::CreateSessionRequest;
use face_liveness_client::{ErrorKind, Reason};
use tonic::{Code, Status};

use crate::support::{client_of, create, quick, watched};

#[tokio::test]
async fn of_all_codes_only_unavailable_is_tried_again_unasked() {
    for code in (1..=16).map(Code::from_i32) {
        let gateway = FakeGateway::start().await.unwrap();
        for _ in 0..3 {
            gateway.enqueue(Status::new(code, "no"));
        }
        let client = quick().endpoint(gateway.endpoint()).max_attempts(3);
        let error = create(&client.build().unwrap()).await.unwrap_err();

        let attempts = if code == Code::Unavailable { 3 } else { 1 };
        assert_eq!(error.code(), code);
        assert_eq!(error.is_retryable(), code == Code::Unavailable, "{code:?}");
        assert_eq!(gateway.requests().len(), attempts, "{code:?}");
        assert_eq!(error.attempts() as usize, attempts);
    }
}

#[tokio::test]
async fn exhausted_resources_are_tried_again_only_after_a_delay_that_the_server_names() {
    let gateway = FakeGateway::start().await.unwrap();
    let (builder, events) = watched(quick().endpoint(gateway.endpoint()));
    let client = builder.build().unwrap();

    let delay = Duration::from_millis(7);
    gateway.enqueue(Refusal::new(Reason::AccountQuota).retry_after(delay));
    create(&client).await.unwrap();
    assert_eq!(events.lock().unwrap()[0].delay, delay);
    assert_eq!(gateway.requests().len(), 2);

    gateway.enqueue(Refusal::new(Reason::AccountQuota).without_delay());
    let error = create(&client).await.unwrap_err();
    assert!(!error.is_retryable());
    assert_eq!(gateway.requests().len(), 3);
}

#[tokio::test]
async fn the_servers_delay_goes_before_the_back_off_and_the_pushback_before_retry_info() {
    let gateway = FakeGateway::start().await.unwrap();
    let (builder, events) = watched(quick().endpoint(gateway.endpoint()));
    let refusal = || Refusal::new(Reason::Overloaded).retry_after(Duration::from_millis(9));
    gateway.enqueue(refusal().pushback(Some("5")));
    gateway.enqueue(refusal().pushback(None));
    gateway.enqueue(refusal().pushback(Some("0")));
    gateway.enqueue(refusal().without_delay());
    create(&builder.build().unwrap()).await.unwrap();

    let events = events.lock().unwrap();
    let delays: Vec<_> = events.iter().map(|event| event.delay.as_millis()).collect();
    assert_eq!(delays[..3], [5, 9, 0]);
    assert!(events[3].delay <= Duration::from_millis(1), "back-off");
    let numbers: Vec<_> = events.iter().map(|event| event.attempt).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    assert!(
        events
            .iter()
            .all(|event| event.error.code() == Code::Unavailable)
    );
}

#[tokio::test]
async fn a_pushback_that_is_negative_or_no_number_ends_the_call() {
    for pushback in ["-1", "-1000", "soon", "", "1.5", "99999999999999999999999"] {
        let gateway = FakeGateway::start().await.unwrap();
        gateway.enqueue(Refusal::new(Reason::Draining).pushback(Some(pushback)));
        let error = create(&client_of(&gateway)).await.unwrap_err();
        assert_eq!(error.code(), Code::Unavailable);
        assert!(!error.is_retryable() && error.retry_after().is_none());
        assert_eq!(gateway.requests().len(), 1, "{pushback:?}");
    }
}

#[tokio::test]
async fn all_attempts_share_one_token_and_tell_how_many_came_before() {
    let gateway = FakeGateway::start().await.unwrap();
    let client = client_of(&gateway);
    gateway.enqueue(Refusal::new(Reason::Draining));
    gateway.enqueue(Answer::drop_connection());
    create(&client).await.unwrap();
    create(&client).await.unwrap();

    let requests = gateway.requests();
    let tokens: Vec<_> = requests
        .iter()
        .map(|request| request.message.client_request_token.clone().unwrap())
        .collect();
    assert_eq!(tokens[0], tokens[1]);
    assert_eq!(tokens[0], tokens[2]);
    assert_ne!(tokens[0], tokens[3]);
    assert_eq!(
        uuid::Uuid::parse_str(&tokens[0]).unwrap().get_version_num(),
        4
    );

    let previous = |index: usize| requests[index].text("grpc-previous-rpc-attempts");
    assert_eq!(
        [previous(0), previous(1), previous(2), previous(3)],
        [None, Some("1"), Some("2"), None]
    );
}

#[tokio::test]
async fn a_given_token_is_kept_and_gets_the_same_session_again() {
    let gateway = FakeGateway::start().await.unwrap();
    let client = client_of(&gateway);
    let request = CreateSessionRequest {
        client_request_token: Some("order-7".to_owned()),
        ..Default::default()
    };
    let first = client.create_session(request.clone()).await.unwrap();
    let second = client.create_session(request).await.unwrap();
    assert_eq!(first.session_id, second.session_id);
    assert!(!first.replayed && second.replayed);
    for received in gateway.requests() {
        let token = received.message.client_request_token;
        assert_eq!(token.as_deref(), Some("order-7"));
    }
}

#[tokio::test]
async fn a_lost_connection_is_tried_again_over_another() {
    let gateway = FakeGateway::start().await.unwrap();
    let (builder, events) = watched(quick().endpoint(gateway.endpoint()));
    gateway.enqueue(Answer::drop_connection());
    create(&builder.build().unwrap()).await.unwrap();

    assert_eq!(gateway.connections(), 2);
    let event = &events.lock().unwrap()[0];
    assert_eq!(event.error.kind(), ErrorKind::Transport);
    assert_eq!(event.error.code(), Code::Unavailable);
    let message = event.error.to_string();
    assert!(
        message.contains("lost the connection to 127.0.0.1:"),
        "{message}"
    );
}

#[tokio::test]
async fn the_budget_ends_retries_until_calls_succeed_again() {
    let gateway = FakeGateway::start().await.unwrap();
    let client = quick()
        .endpoint(gateway.endpoint())
        .retry_budget(4, 0.5)
        .build()
        .unwrap();
    let refuse = |times| {
        for _ in 0..times {
            gateway.enqueue(Refusal::new(Reason::UpstreamUnavailable).without_delay());
        }
    };

    refuse(2);
    assert_eq!(create(&client).await.unwrap_err().attempts(), 2);
    refuse(1);
    assert_eq!(create(&client).await.unwrap_err().attempts(), 1);
    for _ in 0..6 {
        create(&client).await.unwrap();
    }
    refuse(2);
    assert_eq!(create(&client).await.unwrap_err().attempts(), 2);
}

#[tokio::test]
async fn one_attempt_is_made_even_when_none_is_allowed() {
    let gateway = FakeGateway::start().await.unwrap();
    let client = quick().endpoint(gateway.endpoint()).max_attempts(0);
    gateway.enqueue(Refusal::new(Reason::Draining));
    let error = create(&client.build().unwrap()).await.unwrap_err();
    assert_eq!(error.attempts(), 1);
    assert!(error.is_retryable());
}
