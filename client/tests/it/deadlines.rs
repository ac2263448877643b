//! A call ends in time, and the gateway knows when that is.

use std::time::Duration;

use face_liveness_client::testing::{Answer, FakeGateway, Refusal};
use face_liveness_client::v1::CreateSessionRequest;
use face_liveness_client::{ErrorKind, Reason};
use tokio::net::TcpListener;
use tonic::Code;

use crate::support::{LONG, create, quick, watched};

/// The milliseconds of a `grpc-timeout`, rounded down.
fn millis(timeout: &str) -> u128 {
    let (count, unit) = timeout.split_at(timeout.len() - 1);
    let count: u128 = count.parse().unwrap();
    match unit {
        "n" => count / 1_000_000,
        "u" => count / 1_000,
        "m" => count,
        "S" => count * 1_000,
        "M" => count * 60_000,
        unit => panic!("unit {unit}"),
    }
}

#[tokio::test]
async fn every_attempt_tells_the_time_that_is_left() {
    let gateway = FakeGateway::start().await.unwrap();
    let limit = Duration::from_secs(60);
    let client = quick()
        .endpoint(gateway.endpoint())
        .default_deadline(Some(limit));
    let delay = Duration::from_millis(20);
    gateway.enqueue(Refusal::new(Reason::Overloaded).retry_after(delay));
    create(&client.build().unwrap()).await.unwrap();

    let left: Vec<_> = gateway
        .requests()
        .iter()
        .map(|request| millis(request.text("grpc-timeout").unwrap()))
        .collect();
    assert!(left[0] <= limit.as_millis());
    assert!(left[1] + delay.as_millis() <= left[0] + 1, "{left:?}");
}

#[tokio::test]
async fn a_call_without_an_answer_ends_by_its_deadline() {
    let gateway = FakeGateway::start().await.unwrap();
    let limit = Duration::from_millis(50);
    let client = quick()
        .endpoint(gateway.endpoint())
        .default_deadline(Some(limit));
    gateway.enqueue(Answer::never());
    let error = create(&client.build().unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline);
    assert_eq!(error.code(), Code::DeadlineExceeded);
    assert_eq!(error.reason(), Some(&Reason::Deadline));
    assert!(error.client_request_token().is_some());
    assert!(error.to_string().contains("50ms"), "{error}");
}

#[tokio::test]
async fn the_deadlines_error_tells_what_failed_before() {
    let gateway = FakeGateway::start().await.unwrap();
    let limit = Duration::from_secs(3);
    let client = quick()
        .endpoint(gateway.endpoint())
        .default_deadline(Some(limit));
    let refusal = Refusal::new(Reason::Overloaded).message("too many of you");
    gateway.enqueue(refusal.retry_after(Duration::ZERO));
    gateway.enqueue(Answer::never());
    let error = create(&client.build().unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline);
    assert_eq!(error.attempts(), 2);
    assert!(error.message().contains("too many of you"), "{error}");
}

#[tokio::test]
async fn a_retry_past_the_deadline_is_not_waited_for() {
    let gateway = FakeGateway::start().await.unwrap();
    let builder = quick().endpoint(gateway.endpoint());
    let (builder, events) = watched(builder.default_deadline(Some(LONG)));
    gateway.enqueue(Refusal::new(Reason::AccountQuota).retry_after(LONG));
    let error = create(&builder.build().unwrap()).await.unwrap_err();
    assert_eq!(error.reason(), Some(&Reason::AccountQuota));
    assert_eq!(error.retry_after(), Some(LONG));
    assert_eq!(error.attempts(), 1);
    assert!(error.is_retryable());
    assert!(events.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_calls_own_time_limit_goes_before_the_clients() {
    let gateway = FakeGateway::start().await.unwrap();
    let client = quick().endpoint(gateway.endpoint()).build().unwrap();
    let mut request = tonic::Request::new(CreateSessionRequest::default());
    request.set_timeout(Duration::from_secs(7));
    client.create_session(request).await.unwrap();
    let timeout = millis(gateway.requests()[0].text("grpc-timeout").unwrap());
    assert!(timeout <= 7_000, "{timeout}");
}

#[tokio::test]
async fn a_call_without_a_deadline_sends_none() {
    let gateway = FakeGateway::start().await.unwrap();
    let client = quick().endpoint(gateway.endpoint()).default_deadline(None);
    create(&client.build().unwrap()).await.unwrap();
    assert_eq!(gateway.requests()[0].text("grpc-timeout"), None);
}

#[tokio::test]
async fn the_deadline_covers_the_bearer_token() {
    let gateway = FakeGateway::start().await.unwrap();
    let client = quick()
        .endpoint(gateway.endpoint())
        .default_deadline(Some(Duration::from_millis(50)))
        .bearer_token(std::future::pending)
        .build()
        .unwrap();
    let error = create(&client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline);
    assert!(gateway.requests().is_empty());
}

#[tokio::test]
async fn the_raw_client_obeys_the_time_limit_that_it_sends() {
    let gateway = FakeGateway::start().await.unwrap();
    gateway.enqueue(Answer::never());
    let client = quick().endpoint(gateway.endpoint()).build().unwrap();
    let mut request = tonic::Request::new(CreateSessionRequest::default());
    request.set_timeout(Duration::from_millis(50));
    let status = client.raw().create_session(request).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn a_connection_that_does_not_come_about_is_given_up() {
    // It accepts, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = quick()
        .endpoint(format!("https://{}", silent.local_addr().unwrap()))
        .connect_timeout(Some(Duration::from_millis(20)))
        .max_attempts(1)
        .tls(face_liveness_client::Tls::new().danger_accept_any_certificate())
        .build()
        .unwrap();
    let error = create(&client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert!(
        error.message().contains("no connection within 20ms"),
        "{error}"
    );
}

#[tokio::test]
async fn connecting_outlives_the_call_that_began_it() {
    // It accepts, and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    silent.set_nonblocking(true).unwrap();
    let client = quick()
        .endpoint(format!("https://{}", silent.local_addr().unwrap()))
        .connect_timeout(Some(LONG))
        .default_deadline(Some(Duration::from_millis(50)))
        .tls(face_liveness_client::Tls::new().danger_accept_any_certificate())
        .build()
        .unwrap();
    for _ in 0..2 {
        let error = create(&client).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Deadline);
    }
    let _connection = silent.accept().unwrap();
    let second = silent.accept().unwrap_err();
    assert_eq!(second.kind(), std::io::ErrorKind::WouldBlock);
}
