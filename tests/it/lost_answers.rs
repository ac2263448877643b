//! An answer that is lost on the way from AWS: what the token then stands for.

use std::time::{Duration, SystemTime};

use ::redis::AsyncCommands as _;
use face_liveness_client::v1::{CreateSessionRequest, CreateSessionResponse, Settings};
use rekognition_emulator::{Emulator, Fault};
use tokio::net::TcpSocket;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::redis_server::{Server, poll};
use crate::support::{ONE_REGION, Running, config, emulator, load};

/// Attempts of one call.
const ATTEMPTS: u64 = 5;

fn intent(audit_images_limit: i32) -> CreateSessionRequest {
    CreateSessionRequest {
        client_request_token: Some("t".to_owned()),
        settings: Some(Settings {
            audit_images_limit: Some(audit_images_limit),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn with_key(intent: CreateSessionRequest) -> CreateSessionRequest {
    CreateSessionRequest {
        kms_key_id: Some("alias/other".to_owned()),
        ..intent
    }
}

fn create_time(session: &CreateSessionResponse) -> SystemTime {
    session.create_time.unwrap().try_into().unwrap()
}

/// The one session that the emulator made is this.
fn assert_made_once(emulator: &Emulator, session: &CreateSessionResponse) {
    let journal = emulator.journal();
    assert_eq!((journal.sessions_made, journal.distinct_tokens), (1, 1));
    assert!(journal.sessions_replayed > 0, "AWS must have been asked");
    assert_eq!(session.session_id.len(), 36);
}

fn assert_reused(refused: Result<tonic::Response<CreateSessionResponse>, Status>) {
    let status = refused.unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists, "{status:?}");
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "TOKEN_REUSED");
    let violations = &details.bad_request().unwrap().field_violations;
    let fields: Vec<_> = violations
        .iter()
        .map(|violation| &violation.field)
        .collect();
    assert_eq!(fields, ["kms_key_id"]);
}

/// A call that makes its session and whose answers are all lost; the time before
/// and after it.
async fn lose(gateway: &Running, emulator: &Emulator) -> (SystemTime, SystemTime) {
    emulator.set_faults([Fault::reset_after_create().times(ATTEMPTS)]);
    let before = SystemTime::now();
    let lost = gateway.create(intent(1)).await.unwrap_err();
    assert_eq!(lost.code(), Code::Unavailable, "{lost:?}");
    assert_eq!(emulator.journal().sessions_made, 1);
    (before, SystemTime::now())
}

#[tokio::test]
async fn other_parameters_are_refused_and_a_repeat_gets_the_session_as_old_as_it_may_be() {
    let emulator = emulator().await;
    let gateway = Running::over(&emulator).await;
    let (before, after) = lose(&gateway, &emulator).await;
    assert_reused(gateway.create(with_key(intent(1))).await);

    let session = gateway.create(intent(1)).await.unwrap().into_inner();
    assert_made_once(&emulator, &session);
    assert!((before..=after).contains(&create_time(&session)));
    let repeat = gateway.create(intent(1)).await.unwrap().into_inner();
    let expected = CreateSessionResponse {
        replayed: true,
        ..session
    };
    assert_eq!(repeat, expected);
}

#[tokio::test]
async fn a_caller_who_hangs_up_leaves_a_session_as_old_as_it_may_be() {
    let emulator = emulator().await;
    let gateway = Running::over(&emulator).await;
    emulator.set_faults([Fault::hang().times(1)]);
    let before = SystemTime::now();
    let mut client = gateway.client().await;
    let impatient = tokio::spawn(async move { client.create_session(intent(1)).await });
    poll(async || emulator.journal().requests_seen == 1).await;
    let after = SystemTime::now();
    impatient.abort();
    assert_reused(gateway.create(with_key(intent(1))).await);
    let session = gateway.create(intent(1)).await.unwrap().into_inner();
    assert!((before..=after).contains(&create_time(&session)));
}

/// When the n-th request came to AWS, to the millisecond.
fn came(emulator: &Emulator, n: usize) -> SystemTime {
    humantime::parse_rfc3339(&emulator.journal().requests[n].time).unwrap()
}

#[tokio::test]
async fn within_one_call_too_a_session_is_as_old_as_the_attempt_that_was_lost() {
    let emulator = emulator().await;
    let gateway = Running::over(&emulator).await;
    let pause = Duration::from_millis(100);
    let throttled = || Fault::throttling_after(pause);
    emulator.set_faults([
        throttled().on_call(1),
        Fault::reset_after_create().on_call(2),
        throttled().on_call(3),
    ]);
    let request = CreateSessionRequest::default();
    let session = gateway.create(request).await.unwrap().into_inner();
    assert_made_once(&emulator, &session);
    let made = create_time(&session);
    assert!(came(&emulator, 0) < made);
    assert!(made < came(&emulator, 1) + Duration::from_millis(1));
}

#[tokio::test]
async fn what_aws_refused_binds_nobody_to_its_parameters() {
    let emulator = emulator().await;
    let gateway = Running::over(&emulator).await;
    for (n, fault) in [
        Fault::invalid_parameter(),
        Fault::access_denied(),
        Fault::expired_token(),
        Fault::throttling(),
        Fault::provisioned_throughput_exceeded(),
    ]
    .into_iter()
    .enumerate()
    {
        let name = fault.kind().name();
        emulator.set_faults([fault.times(ATTEMPTS)]);
        let named = CreateSessionRequest {
            client_request_token: Some(format!("t-{n}")),
            ..intent(1)
        };
        gateway.create(named.clone()).await.unwrap_err();
        emulator.set_faults([]);
        let answer = gateway.create(with_key(named)).await;
        assert!(answer.is_ok(), "{name}: {answer:?}");
    }
}

#[tokio::test]
async fn who_could_not_reach_aws_is_bound_to_nothing() {
    // A port that is taken, and at which nobody listens yet.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let endpoint = format!("http://{}", socket.local_addr().unwrap());
    let gateway = Running::start(load(ONE_REGION, Some(endpoint)).await);
    let unreachable = gateway.create(intent(1)).await.unwrap_err();
    assert_eq!(unreachable.code(), Code::Unavailable, "{unreachable:?}");

    let listener = socket.listen(16).unwrap().into_std().unwrap();
    let builder = Emulator::builder().listener(listener);
    let _emulator = builder.start().await.unwrap();
    let before = SystemTime::now();
    let session = gateway.create(with_key(intent(1))).await.unwrap();
    assert!(create_time(session.get_ref()) >= before);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn another_replica_knows_what_was_lost_and_no_token_or_key_is_in_the_clear() {
    let redis = Server::start(&[]).await;
    let emulator = emulator().await;
    let toml = format!("quota_store = '{}'\n{ONE_REGION}", redis.url());
    let replica = async || Running::start(config(&emulator, &toml).await);
    let (here, there) = (replica().await, replica().await);
    let mut client = redis.client().await;
    let mut record = async || {
        let mut keys: Vec<String> = client.keys("*:ledger:*").await.unwrap();
        let key = keys.pop()?;
        assert!(keys.is_empty());
        let value: String = client.get(&key).await.unwrap();
        Some((key, value))
    };

    let (before, after) = lose(&here, &emulator).await;
    poll(async || record().await.is_some()).await;
    let (key, lost) = record().await.unwrap();
    assert!(
        key.len() > 64 && lost.contains("first_sent"),
        "{key} {lost}"
    );
    assert!(!lost.contains("alias") && !lost.contains("session_id"));
    assert_reused(there.create(with_key(intent(1))).await);

    let session = there.create(intent(1)).await.unwrap().into_inner();
    assert_made_once(&emulator, &session);
    assert!((before..=after).contains(&create_time(&session)));
    poll(async || {
        record()
            .await
            .is_some_and(|(_, value)| value.contains("session_id"))
    })
    .await;
    let repeat = here.create(intent(1)).await.unwrap().into_inner();
    let expected = CreateSessionResponse {
        replayed: true,
        ..session
    };
    assert_eq!(repeat, expected);
}
