//! One intent, one session, at any scale and whatever is lost on the way.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use face_liveness_client::v1::{CreateSessionRequest, CreateSessionResponse};
use futures_util::future::join_all;
use rekognition_emulator::{Emulator, Fault, Latency, Outcome, Quota};
use tokio::sync::Semaphore;
use tonic::Code;

use crate::ALONE;
use crate::offers::{Client, clients};
use crate::support::Running;

const INTENTS: usize = 5_000;

/// Calls at a time.
const AT_ONCE: usize = 64;

const NO_LIMITS: &str = "region = 'us-east-1'\n[server]\ndrain_delay = '0s'\n\
     [quota]\ncreates_per_second = 'off'\nconcurrent_sessions = 'off'\n";

fn intent(token: &str) -> CreateSessionRequest {
    CreateSessionRequest {
        client_request_token: Some(token.to_owned()),
        ..Default::default()
    }
}

/// Calls until it succeeds, after the told delays and with the same token.
async fn insist(
    mut client: Client,
    token: String,
    places: &Semaphore,
) -> (String, u64, CreateSessionResponse) {
    let mut calls = 0;
    loop {
        calls += 1;
        let place = places.acquire().await.unwrap();
        let answer = client.create_session(intent(&token)).await;
        drop(place);
        let status = match answer {
            Ok(session) => return (token, calls, session.into_inner()),
            Err(status) => status,
        };
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        let told = status.metadata().get("grpc-retry-pushback-ms").unwrap();
        let told = told.to_str().unwrap().parse().unwrap();
        tokio::time::sleep(Duration::from_millis(told)).await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_5000_intents_each_has_exactly_one_session_though_half_of_the_attempts_fail() {
    let _alone = ALONE.lock().await;
    // The first fault that hits a call does: the later ones see fewer calls.
    let faults = [
        Fault::reset_after_create().with_probability(0.3),
        Fault::reset().with_probability(0.1 / 0.7),
        Fault::internal_server_error().with_probability(0.1 / 0.6),
    ];
    let emulator = Emulator::builder()
        .quota(Quota::UNLIMITED)
        .faults(faults)
        .seed(42)
        .journal_size(INTENTS * 10)
        .start()
        .await
        .unwrap();
    let gateway = Running::configured(&emulator, NO_LIMITS).await;
    let clients = clients(&gateway).await;
    let places = Semaphore::new(AT_ONCE);
    let calls = (0..INTENTS).map(|n| {
        let client = clients[n % clients.len()].clone();
        insist(client, format!("intent-{n}"), &places)
    });
    let answers = join_all(calls).await;
    let journal = emulator.journal();
    let hits: Vec<_> = emulator.faults().iter().map(|fault| fault.hits).collect();
    println!(
        "{INTENTS} intents: {} calls, {} attempts, faults {hits:?}, {} sessions made for {} \
         tokens, {} replayed by AWS, {} by the gateway",
        answers.iter().map(|(_, calls, _)| calls).sum::<u64>(),
        journal.requests_seen,
        journal.sessions_made,
        journal.distinct_tokens,
        journal.sessions_replayed,
        answers.iter().filter(|answer| answer.2.replayed).count(),
    );
    let expected = INTENTS as u64;
    assert_eq!(
        (journal.sessions_made, journal.distinct_tokens),
        (expected, expected)
    );
    let made = made(&emulator);
    for (token, _, session) in &answers {
        assert_eq!(made[token], [session.session_id.as_str()], "{token}");
    }
    // The faults did happen.
    assert!(journal.faults_injected > expected / 2);
    assert!(journal.sessions_replayed > expected / 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_simultaneous_calls_with_one_token_are_one_request_to_aws() {
    let _alone = ALONE.lock().await;
    let slow = Fault::latency(Latency::fixed(Duration::from_millis(500)));
    let emulator = Emulator::builder().faults([slow]).start().await.unwrap();
    let gateway = Running::over(&emulator).await;
    let clients = clients(&gateway).await;
    let turns = clients.iter().cycle().take(100).cloned();
    let calls = turns.map(|mut client| async move { client.create_session(intent("t")).await });
    let answers = join_all(calls).await;
    let sessions: Vec<_> = answers
        .into_iter()
        .map(|answer| answer.unwrap().into_inner())
        .collect();
    let ids: HashSet<_> = sessions.iter().map(|session| &session.session_id).collect();
    let firsts = sessions.iter().filter(|session| !session.replayed).count();
    let requests = emulator.journal().requests_seen;
    println!("100 simultaneous calls with one token: {requests} request to AWS");
    assert_eq!((ids.len(), firsts, requests), (1, 1, 1));
}
