//! One intent, one session: whatever gets lost on the way, and however often a
//! call is repeated.

#![expect(
    clippy::print_stdout,
    reason = "the figures are for whoever reads the tests' output"
)]

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use face_liveness_client::v1::face_liveness_service_client::FaceLivenessServiceClient;
use face_liveness_client::v1::{CreateSessionRequest, CreateSessionResponse, Settings};
use futures_util::future::join_all;
use rekognition_emulator::{Emulator, Fault, Latency, Outcome};
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::support::{Running, emulator};

fn intent(token: &str) -> CreateSessionRequest {
    CreateSessionRequest {
        client_request_token: Some(token.to_owned()),
        ..Default::default()
    }
}

/// Without the account's quota, of which these intents are many times too many.
const UNLIMITED: &str = "region = 'us-east-1'\n[quota]\ncreates_per_second = 'off'\nconcurrent_sessions = 'off'\n[server]\ndrain_delay = '0s'\n";

fn reason(status: &Status) -> String {
    status.get_details_error_info().unwrap().reason
}

/// Calls until it succeeds, as a client does that is told to retry.
async fn insist(
    mut client: FaceLivenessServiceClient<Channel>,
    token: String,
) -> (String, CreateSessionResponse) {
    loop {
        match client.create_session(intent(&token)).await {
            Ok(session) => return (token, session.into_inner()),
            Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The sessions that the emulator made, by token.
fn made(emulator: &Emulator) -> HashMap<String, Vec<String>> {
    let mut made = HashMap::<_, Vec<_>>::new();
    for request in emulator.journal().requests {
        if let Outcome::SessionMade { session_id } = request.outcome {
            let body = request.body.unwrap();
            let token = body["ClientRequestToken"].as_str().unwrap().to_owned();
            made.entry(token).or_default().push(session_id);
        }
    }
    made
}

#[tokio::test]
async fn whatever_is_lost_on_the_way_each_intent_has_exactly_one_session() {
    const INTENTS: usize = 300;
    let emulator = emulator().await;
    emulator.set_faults([
        Fault::reset_after_create().with_probability(0.3),
        Fault::reset().with_probability(0.1),
        Fault::internal_server_error().with_probability(0.1),
    ]);
    let gateway = Running::configured(&emulator, UNLIMITED).await;
    let client = gateway.client().await;
    let calls = (0..INTENTS).map(|n| insist(client.clone(), format!("intent-{n}")));
    let answers = join_all(calls).await;
    let made = made(&emulator);
    assert_eq!(made.len(), INTENTS);
    for (token, session) in &answers {
        assert_eq!(made[token], [session.session_id.as_str()], "{token}");
    }
    let journal = emulator.journal();
    println!(
        "{INTENTS} intents: {} attempts, {} faults, {} sessions made, {} replayed by AWS",
        journal.requests_seen,
        journal.faults_injected,
        journal.sessions_made,
        journal.sessions_replayed
    );
}

#[tokio::test]
async fn a_hundred_simultaneous_calls_with_one_token_are_one_request_to_aws() {
    let emulator = emulator().await;
    emulator.set_faults([Fault::latency(Latency::fixed(Duration::from_millis(300)))]);
    let gateway = Running::over(&emulator).await;
    // Several connections, and so several workers.
    let connections = join_all((0..4).map(|_| gateway.client())).await;
    let clients = connections.iter().cycle().take(100).cloned();
    let calls = clients.map(|mut client| async move { client.create_session(intent("t")).await });
    let answers = join_all(calls).await;
    let sessions: Vec<_> = answers
        .into_iter()
        .map(|answer| answer.unwrap().into_inner())
        .collect();
    let ids: HashSet<_> = sessions.iter().map(|session| &session.session_id).collect();
    let firsts = sessions.iter().filter(|session| !session.replayed).count();
    let requests = emulator.journal().requests_seen;
    println!("100 simultaneous calls: {requests} request to AWS");
    assert_eq!((ids.len(), firsts, requests), (1, 1, 1));
}

#[tokio::test]
async fn a_repeat_gets_the_same_session_with_its_true_times_at_no_cost() {
    let emulator = emulator().await;
    let gateway = Running::over(&emulator).await;
    let first = gateway.create(intent("t")).await.unwrap();
    let second = gateway.create(intent("t")).await.unwrap();
    let id = |answer: &tonic::Response<CreateSessionResponse>| {
        answer.metadata().get("x-amzn-requestid").cloned()
    };
    assert_eq!(id(&first), id(&second));
    let expected = CreateSessionResponse {
        replayed: true,
        ..first.into_inner()
    };
    assert_eq!(second.into_inner(), expected);
    assert_eq!(emulator.journal().requests_seen, 1);
}

#[tokio::test]
async fn other_parameters_under_the_same_token_are_refused_and_named() {
    let emulator = emulator().await;
    let gateway = Running::over(&emulator).await;
    let limit = |limit| CreateSessionRequest {
        settings: Some(Settings {
            audit_images_limit: Some(limit),
            ..Default::default()
        }),
        ..intent("t")
    };
    gateway.create(limit(4)).await.unwrap();
    // AWS counts 9 as 4: the same parameters.
    assert!(gateway.create(limit(9)).await.unwrap().get_ref().replayed);
    let status = gateway.create(limit(3)).await.unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists);
    assert_eq!(reason(&status), "TOKEN_REUSED");
    assert_eq!(
        status.metadata().get("grpc-retry-pushback-ms").unwrap(),
        "-1"
    );
    let violations = status.get_details_bad_request().unwrap().field_violations;
    let fields: Vec<_> = violations
        .iter()
        .map(|violation| &violation.field)
        .collect();
    assert_eq!(fields, ["settings.audit_images_limit"]);
    assert_eq!(emulator.journal().requests_seen, 1);
}
