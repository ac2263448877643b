//! Sessions are made, found again by their token, and gone after three minutes.

use std::time::Duration;

use aws_sdk_rekognition::types::{
    ChallengePreference, ChallengeType, CreateFaceLivenessSessionRequestSettings,
    LivenessOutputConfig, LivenessSessionStatus, Versions,
};
use rekognition_emulator::{Clock, Credentials, Emulator, SESSION_LIFETIME};

use crate::support::{CREATE, GET, call, emulator, refusal, sdk, sdk_config, unsigned};

fn every_setting() -> CreateFaceLivenessSessionRequestSettings {
    let output = LivenessOutputConfig::builder()
        .s3_bucket("my-bucket")
        .s3_key_prefix("faces/")
        .build()
        .unwrap();
    let versions = Versions::builder()
        .minimum("1.0.0")
        .maximum("2.0.0")
        .build();
    let challenge = ChallengePreference::builder()
        .r#type(ChallengeType::FaceMovementChallenge)
        .versions(versions)
        .build()
        .unwrap();
    CreateFaceLivenessSessionRequestSettings::builder()
        .output_config(output)
        .audit_images_limit(4)
        .challenge_preferences(challenge)
        .build()
}

#[tokio::test]
async fn the_sdk_makes_a_session_and_reads_it() {
    let emulator = emulator().start().await.unwrap();
    let client = sdk(&emulator, "eu-west-1");
    let made = client
        .create_face_liveness_session()
        .kms_key_id("alias/key")
        .settings(every_setting())
        .client_request_token("token")
        .send()
        .await
        .unwrap();
    assert_eq!(made.session_id().len(), 36);
    let read = client
        .get_face_liveness_session_results()
        .session_id(made.session_id())
        .send()
        .await
        .unwrap();
    assert_eq!(read.session_id(), made.session_id());
    assert_eq!(read.status(), &LivenessSessionStatus::Created);
}

async fn create(emulator: &Emulator, region: &str, token: Option<&str>) -> String {
    let request = sdk(emulator, region)
        .create_face_liveness_session()
        .set_client_request_token(token.map(str::to_owned));
    request.send().await.unwrap().session_id().to_owned()
}

#[tokio::test]
async fn the_same_token_gets_the_same_session() {
    let emulator = emulator().start().await.unwrap();
    let first = create(&emulator, "us-east-1", Some("a")).await;
    assert_eq!(create(&emulator, "us-east-1", Some("a")).await, first);
    assert_ne!(create(&emulator, "us-east-1", Some("b")).await, first);
    assert_ne!(create(&emulator, "us-west-2", Some("a")).await, first);
    assert_ne!(
        create(&emulator, "us-east-1", None).await,
        create(&emulator, "us-east-1", None).await
    );
    let journal = emulator.journal();
    assert_eq!((journal.sessions_made, journal.sessions_replayed), (5, 1));
    assert_eq!(journal.distinct_tokens, 3);
}

#[tokio::test]
async fn the_same_token_gets_the_same_session_whatever_else_differs() {
    let emulator = unsigned().await;
    let first = call(&emulator, CREATE, r#"{"ClientRequestToken":"t"}"#).await;
    let other = r#"{"ClientRequestToken":"t","Settings":{"AuditImagesLimit":1}}"#;
    assert_eq!(call(&emulator, CREATE, other).await.body, first.body);
}

#[tokio::test]
async fn sessions_and_tokens_belong_to_an_account_and_its_key_pairs() {
    let emulator = emulator()
        .credentials([
            Credentials::new("ONE", "s"),
            Credentials::new("TWO", "s"),
            Credentials::new("OTHER", "s").in_account("111122223333"),
        ])
        .start()
        .await
        .unwrap();
    let mut ids = Vec::new();
    for key in ["ONE", "TWO", "OTHER"] {
        let pair = aws_sdk_rekognition::config::Credentials::new(key, "s", None, None, "tests");
        let config = sdk_config(&emulator, "us-east-1").credentials_provider(pair);
        let client = aws_sdk_rekognition::Client::from_conf(config.build());
        let request = client
            .create_face_liveness_session()
            .client_request_token("t");
        ids.push(request.send().await.unwrap().session_id().to_owned());
    }
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0], ids[2]);
}

#[tokio::test]
async fn a_session_and_its_token_are_gone_after_three_minutes() {
    let clock = Clock::frozen();
    let emulator = emulator().clock(clock.clone()).start().await.unwrap();
    let id = create(&emulator, "us-east-1", Some("t")).await;
    let client = sdk(&emulator, "us-east-1");
    let read = || {
        client
            .get_face_liveness_session_results()
            .session_id(&id)
            .send()
    };

    clock.advance(SESSION_LIFETIME - Duration::from_millis(1));
    assert!(read().await.is_ok());
    assert_eq!(create(&emulator, "us-east-1", Some("t")).await, id);

    clock.advance(Duration::from_millis(1));
    let error = read().await.unwrap_err().into_service_error();
    assert!(error.is_session_not_found_exception(), "{error:?}");
    assert_ne!(create(&emulator, "us-east-1", Some("t")).await, id);
}

#[tokio::test]
async fn a_session_is_found_in_its_own_region_only() {
    let emulator = emulator().start().await.unwrap();
    let id = create(&emulator, "us-east-1", None).await;
    let elsewhere = sdk(&emulator, "us-west-2")
        .get_face_liveness_session_results()
        .session_id(id);
    let expected = (Some("SessionNotFoundException".to_owned()), Some(400));
    assert_eq!(refusal(elsewhere.send().await), expected);
}

#[tokio::test]
async fn a_region_without_face_liveness_denies_access_without_a_message() {
    let emulator = emulator().start().await.unwrap();
    let client = sdk(&emulator, "eu-central-1");
    let error = client
        .create_face_liveness_session()
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 400);
    let error = error.into_service_error();
    assert!(error.is_access_denied_exception(), "{error:?}");
    assert_eq!(error.meta().message(), None);
}

#[tokio::test]
async fn the_regions_can_be_others() {
    let emulator = emulator().regions(["eu-central-1"]).start().await.unwrap();
    create(&emulator, "eu-central-1", None).await;
    let refused = sdk(&emulator, "us-east-1")
        .create_face_liveness_session()
        .send();
    assert_eq!(
        refusal(refused.await).0.as_deref(),
        Some("AccessDeniedException")
    );
}

#[tokio::test]
async fn unsigned_requests_are_for_the_default_region() {
    let emulator = emulator()
        .verify_signatures(false)
        .default_region("eu-west-1")
        .start()
        .await
        .unwrap();
    let made = call(&emulator, CREATE, "{}").await.json();
    let id = made["SessionId"].as_str().unwrap();
    let read = sdk(&emulator, "eu-west-1")
        .get_face_liveness_session_results()
        .session_id(id);
    assert!(read.send().await.is_ok());
    let unknown = r#"{"SessionId":"00000000-0000-4000-8000-000000000000"}"#;
    let answer = call(&emulator, GET, unknown).await;
    assert_eq!(answer.error_type(), "SessionNotFoundException");
}
