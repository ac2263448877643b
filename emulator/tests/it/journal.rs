//! The journal tells what was seen and done, and forgets the oldest.

use rekognition_emulator::{Journal, Operation, Outcome, SignatureState};
use serde_json::json;

use crate::support::{CREATE, call, control, emulator, sdk, unsigned};

#[tokio::test]
async fn a_request_is_recorded_with_all_that_it_said() {
    let emulator = emulator().start().await.unwrap();
    let client = sdk(&emulator, "eu-west-1");
    let request = client
        .create_face_liveness_session()
        .client_request_token("t");
    let session_id = request.send().await.unwrap().session_id().to_owned();
    let journal = emulator.journal();
    let record = &journal.requests[0];
    assert_eq!(record.operation, Some(Operation::CreateFaceLivenessSession));
    assert_eq!(record.region, "eu-west-1");
    assert_eq!(record.access_key.as_deref(), Some("test"));
    assert_eq!(record.signature, SignatureState::Verified);
    assert_eq!(record.attempt, Some(1));
    assert_eq!(record.body, Some(json!({"ClientRequestToken": "t"})));
    assert_eq!(record.status, Some(200));
    assert_eq!(record.outcome, Outcome::SessionMade { session_id });
}

#[tokio::test]
async fn the_request_id_is_that_of_the_answer() {
    let emulator = unsigned().await;
    let answer = call(&emulator, CREATE, "{}").await;
    let recorded = &emulator.journal().requests[0].request_id;
    assert_eq!(answer.header("x-amzn-requestid"), Some(recorded.as_str()));
}

#[tokio::test]
async fn the_oldest_requests_are_forgotten_and_the_counts_stay_right() {
    let emulator = emulator()
        .verify_signatures(false)
        .journal_size(2)
        .start()
        .await
        .unwrap();
    for token in ["a", "b", "b", "c"] {
        call(
            &emulator,
            CREATE,
            &json!({"ClientRequestToken": token}).to_string(),
        )
        .await;
    }
    let journal = emulator.journal();
    assert_eq!((journal.requests_seen, journal.requests.len()), (4, 2));
    assert_eq!((journal.sessions_made, journal.distinct_tokens), (3, 3));
    assert_eq!(
        journal.requests[1].body,
        Some(json!({"ClientRequestToken": "c"}))
    );
}

#[tokio::test]
async fn long_bodies_are_left_out() {
    let emulator = unsigned().await;
    let long = json!({"Unheard": "x".repeat(9000)}).to_string();
    assert_eq!(call(&emulator, CREATE, &long).await.status, 200);
    assert_eq!(emulator.journal().requests[0].body, None);
}

#[tokio::test]
async fn the_journal_reads_the_same_over_http() {
    let emulator = unsigned().await;
    call(&emulator, CREATE, r#"{"ClientRequestToken":"t"}"#).await;
    call(&emulator, CREATE, "nonsense").await;
    let answer = control(&emulator, "GET", "journal", "").await;
    let read: Journal = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(read, emulator.journal());
    assert_eq!(read.requests.len(), 2, "control requests are not journaled");
}
