//! Every fault happens as named, where it was scripted.

use std::io::ErrorKind;
use std::time::Duration;

use aws_sdk_rekognition::Client;
use aws_sdk_rekognition::config::retry::RetryConfig;
use rekognition_emulator::{Emulator, Fault, Latency, Operation, Outcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{
    CREATE, GET, call, call_text, emulator, exchange, parse, refusal, sdk, sdk_config, unsigned,
};

async fn with(fault: Fault) -> Emulator {
    let emulator = unsigned().await;
    emulator.set_faults([fault]);
    emulator
}

#[tokio::test]
async fn each_refusal_reaches_the_sdk_as_its_error() {
    let emulator = emulator().start().await.unwrap();
    let client = sdk(&emulator, "us-east-1");
    for (fault, code, status) in [
        (Fault::throttling(), "ThrottlingException", 500),
        (Fault::internal_server_error(), "InternalServerError", 500),
        (Fault::access_denied(), "AccessDeniedException", 400),
        (Fault::expired_token(), "ExpiredTokenException", 400),
        (Fault::invalid_parameter(), "InvalidParameterException", 400),
        (
            Fault::provisioned_throughput_exceeded(),
            "ProvisionedThroughputExceededException",
            400,
        ),
        (
            Fault::unrecognized_client(),
            "UnrecognizedClientException",
            400,
        ),
        (Fault::service_unavailable(), "ServiceUnavailable", 503),
    ] {
        emulator.set_faults([fault.on_call(1)]);
        let refused = refusal(client.create_face_liveness_session().send().await);
        assert_eq!(refused, (Some(code.to_owned()), Some(status)));
        let after = client.create_face_liveness_session().send().await;
        assert!(after.is_ok(), "only the first call after {code}");
    }
    let journal = emulator.journal();
    assert_eq!((journal.sessions_made, journal.faults_injected), (8, 8));
    assert_eq!(
        journal.throttled, 0,
        "injected throttles are not the quota's"
    );
}

#[tokio::test]
async fn a_throttle_can_advise_a_wait() {
    let emulator = with(Fault::throttling_after(Duration::from_millis(750))).await;
    let answer = call(&emulator, CREATE, "{}").await;
    assert_eq!(answer.header("x-amz-retry-after"), Some("750"));
    emulator.set_faults([Fault::throttling()]);
    let answer = call(&emulator, CREATE, "{}").await;
    assert_eq!(answer.header("x-amz-retry-after"), None);
}

#[tokio::test]
async fn a_reset_is_a_tcp_reset_and_makes_no_session() {
    let emulator = with(Fault::reset()).await;
    let error = exchange(emulator.addr(), &call_text(CREATE, "{}"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let journal = emulator.journal();
    assert_eq!(journal.sessions_made, 0);
    assert_eq!(journal.requests[0].outcome, Outcome::NotProcessed);
}

#[tokio::test]
async fn a_reset_after_create_is_a_tcp_reset_and_makes_a_session() {
    let emulator = with(Fault::reset_after_create()).await;
    let error = exchange(emulator.addr(), &call_text(CREATE, "{}"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(emulator.journal().sessions_made, 1);
}

fn retrying(emulator: &Emulator) -> Client {
    let retries = RetryConfig::standard().with_initial_backoff(Duration::from_millis(1));
    Client::from_conf(
        sdk_config(emulator, "us-east-1")
            .retry_config(retries)
            .build(),
    )
}

#[tokio::test]
async fn a_retry_after_a_lost_answer_doubles_the_session_unless_it_has_a_token() {
    let emulator = emulator().start().await.unwrap();
    let client = retrying(&emulator);
    for (token, sessions) in [(None, 2), (Some("t".to_owned()), 1)] {
        emulator.reset();
        emulator.set_faults([Fault::reset_after_create().on_call(1)]);
        let request = client.create_face_liveness_session();
        request
            .set_client_request_token(token)
            .send()
            .await
            .unwrap();
        let journal = emulator.journal();
        assert_eq!(journal.sessions_made, sessions);
        let attempts: Vec<_> = journal.requests.iter().map(|seen| seen.attempt).collect();
        assert_eq!(attempts, [Some(1), Some(2)]);
        assert_eq!(
            journal.requests[0].invocation_id,
            journal.requests[1].invocation_id
        );
    }
}

#[tokio::test]
async fn a_hang_lasts_until_the_emulator_stops() {
    let emulator = with(Fault::hang()).await;
    let mut stream = TcpStream::connect(emulator.addr()).await.unwrap();
    stream
        .write_all(call_text(CREATE, "{}").as_bytes())
        .await
        .unwrap();
    while emulator.journal().requests_seen == 0 {
        tokio::task::yield_now().await;
    }
    let early = stream.try_read(&mut [0; 64]).unwrap_err();
    assert_eq!(early.kind(), ErrorKind::WouldBlock);
    emulator.shutdown().await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert_eq!(answer, b"", "nothing ever comes");
    assert_eq!(emulator.journal().sessions_made, 0);
}

#[tokio::test]
async fn a_fault_with_a_probability_repeats_with_its_seed() {
    let mut runs = Vec::new();
    for seed in [7, 7, 8] {
        let chance = Fault::internal_server_error().with_probability(0.5);
        let builder = emulator().verify_signatures(false).faults([chance]);
        let emulator = builder.seed(seed).start().await.unwrap();
        let mut statuses = Vec::new();
        for _ in 0..32 {
            statuses.push(call(&emulator, CREATE, "{}").await.status);
        }
        runs.push(statuses);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[tokio::test]
async fn an_answer_cut_short_announces_more_than_it_sends() {
    let emulator = with(Fault::cut_short()).await;
    let answer = exchange(emulator.addr(), &call_text(CREATE, "{}"))
        .await
        .unwrap();
    let answer = parse(&answer);
    let announced: usize = answer.header("content-length").unwrap().parse().unwrap();
    assert!(
        !answer.body.is_empty() && answer.body.len() < announced,
        "{answer:?}"
    );
    assert_eq!(emulator.journal().sessions_made, 1);
}

#[tokio::test]
async fn an_answer_cut_short_is_an_error_to_the_sdk() {
    let emulator = emulator()
        .faults([Fault::cut_short()])
        .start()
        .await
        .unwrap();
    let client = sdk(&emulator, "us-east-1");
    assert!(client.create_face_liveness_session().send().await.is_err());
}

#[tokio::test]
async fn an_answer_that_is_not_json_is_an_error_to_the_sdk() {
    let emulator = emulator()
        .faults([Fault::not_json()])
        .start()
        .await
        .unwrap();
    let client = sdk(&emulator, "us-east-1");
    let error = client
        .create_face_liveness_session()
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 200);
    assert_eq!(emulator.journal().sessions_made, 1);
}

#[tokio::test]
async fn an_answer_can_lack_its_session_id_or_have_a_malformed_one() {
    let emulator = with(Fault::no_session_id()).await;
    let answer = call(&emulator, CREATE, "{}").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "{}"));
    emulator.set_faults([Fault::malformed_session_id("../etc")]);
    let answer = call(&emulator, CREATE, "{}").await;
    assert_eq!(answer.body, r#"{"SessionId":"../etc"}"#);
    assert_eq!(emulator.journal().sessions_made, 2);
}

#[tokio::test]
async fn answer_faults_leave_refusals_alone() {
    let emulator = with(Fault::reset_after_create()).await;
    let answer = call(&emulator, CREATE, r#"{"KmsKeyId":""}"#).await;
    assert_eq!(answer.error_type(), "InvalidParameterException");
    assert_eq!(emulator.journal().faults_injected, 0);
}

#[tokio::test]
async fn gets_fail_when_told_to() {
    let emulator =
        with(Fault::throttling().on_operation(Operation::GetFaceLivenessSessionResults)).await;
    assert_eq!(call(&emulator, CREATE, "{}").await.status, 200);
    assert_eq!(
        call(&emulator, GET, "{}").await.error_type(),
        "ThrottlingException"
    );
}

#[tokio::test]
async fn calls_with_a_refused_signature_are_not_counted() {
    let emulator = emulator()
        .faults([Fault::throttling().on_call(1)])
        .start()
        .await
        .unwrap();
    let unsigned = call(&emulator, CREATE, "{}").await;
    assert_eq!(unsigned.error_type(), "MissingAuthenticationTokenException");
    let first = sdk(&emulator, "us-east-1")
        .create_face_liveness_session()
        .send()
        .await;
    assert_eq!(refusal(first).0.as_deref(), Some("ThrottlingException"));
}

#[tokio::test]
async fn a_call_is_processed_before_its_answer_is_delayed() {
    let hour = Latency::fixed(Duration::from_secs(3600));
    let emulator = with(Fault::latency(hour)).await;
    let mut stream = TcpStream::connect(emulator.addr()).await.unwrap();
    stream
        .write_all(call_text(CREATE, "{}").as_bytes())
        .await
        .unwrap();
    while emulator.journal().requests_seen == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(emulator.journal().sessions_made, 1);
    assert_eq!(emulator.journal().requests[0].latency_ms, 3_600_000);
    let early = stream.try_read(&mut [0; 64]).unwrap_err();
    assert_eq!(early.kind(), ErrorKind::WouldBlock);
}

#[tokio::test]
async fn a_delayed_answer_arrives() {
    let emulator = with(Fault::latency(Latency::fixed(Duration::from_millis(1)))).await;
    assert_eq!(call(&emulator, CREATE, "{}").await.status, 200);
}
