//! A request becomes a session, with everything that it asks for.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use face_liveness_client::v1::{
    ChallengePreference, ChallengeType, ChallengeVersions, CreateSessionRequest, OutputConfig,
    Settings,
};
use rekognition_emulator::Outcome;
use serde_json::json;

use crate::support::{Running, emulator, load};

#[tokio::test]
async fn an_empty_request_makes_a_session_in_the_default_region() {
    let emulator = emulator().await;
    let gateway = Running::over(&emulator).await;
    let before = SystemTime::now();
    let answer = gateway
        .create(CreateSessionRequest::default())
        .await
        .unwrap();
    let after = SystemTime::now();

    let journal = emulator.journal();
    let request = &journal.requests[0];
    let session = answer.get_ref();
    assert_eq!(
        request.outcome,
        Outcome::SessionMade {
            session_id: session.session_id.clone()
        }
    );
    assert_eq!(session.region, "us-east-1");
    assert!(!session.replayed);
    let create_time: SystemTime = session.create_time.unwrap().try_into().unwrap();
    assert!((before..=after).contains(&create_time));
    let expire_time: SystemTime = session.expire_time.unwrap().try_into().unwrap();
    assert_eq!(
        expire_time.duration_since(create_time).unwrap(),
        Duration::from_secs(180)
    );
    let request_id = answer.metadata().get("x-amzn-requestid").unwrap();
    assert_eq!(request_id, request.request_id.as_str());
}

#[tokio::test]
async fn every_field_reaches_aws() {
    let emulator = emulator().await;
    let gateway = Running::over(&emulator).await;
    let request = CreateSessionRequest {
        kms_key_id: Some("alias/liveness".to_owned()),
        client_request_token: Some("intent-1".to_owned()),
        region: Some("us-east-1".to_owned()),
        settings: Some(Settings {
            output_config: Some(OutputConfig {
                s3_bucket: "my-bucket".to_owned(),
                s3_key_prefix: Some("liveness/".to_owned()),
            }),
            audit_images_limit: Some(2),
            challenge_preferences: vec![
                ChallengePreference {
                    r#type: ChallengeType::FaceMovement.into(),
                    versions: Some(ChallengeVersions {
                        minimum: Some("1.0.0".to_owned()),
                        maximum: None,
                    }),
                },
                ChallengePreference {
                    r#type: ChallengeType::FaceMovementAndLight.into(),
                    versions: None,
                },
            ],
        }),
    };
    gateway.create(request).await.unwrap();
    let expected = json!({
        "KmsKeyId": "alias/liveness",
        "ClientRequestToken": "intent-1",
        "Settings": {
            "OutputConfig": { "S3Bucket": "my-bucket", "S3KeyPrefix": "liveness/" },
            "AuditImagesLimit": 2,
            "ChallengePreferences": [
                { "Type": "FaceMovementChallenge", "Versions": { "Minimum": "1.0.0" } },
                { "Type": "FaceMovementAndLightChallenge" },
            ],
        },
    });
    assert_eq!(emulator.journal().requests[0].body, Some(expected));
}

#[tokio::test]
async fn absent_fields_stay_absent_and_every_call_has_a_token_of_its_own() {
    let emulator = emulator().await;
    let gateway = Running::over(&emulator).await;
    for _ in 0..3 {
        gateway
            .create(CreateSessionRequest::default())
            .await
            .unwrap();
    }
    let journal = emulator.journal();
    let mut tokens = HashSet::new();
    for request in &journal.requests {
        let body = request.body.as_ref().unwrap().as_object().unwrap();
        assert_eq!(body.keys().collect::<Vec<_>>(), ["ClientRequestToken"]);
        tokens.insert(body["ClientRequestToken"].as_str().unwrap().to_owned());
    }
    assert_eq!((tokens.len(), journal.sessions_made), (3, 3));
}

#[tokio::test]
async fn audit_images_limits_beyond_0_to_4_count_as_the_nearest() {
    let emulator = emulator().await;
    let gateway = Running::over(&emulator).await;
    for limit in [-7, 9] {
        let settings = Settings {
            audit_images_limit: Some(limit),
            ..Default::default()
        };
        gateway
            .create(CreateSessionRequest {
                settings: Some(settings),
                ..Default::default()
            })
            .await
            .unwrap();
    }
    let journal = emulator.journal();
    let limits: Vec<_> = journal
        .requests
        .iter()
        .map(|request| request.body.as_ref().unwrap()["Settings"].clone())
        .collect();
    assert_eq!(
        limits,
        [
            json!({ "AuditImagesLimit": 0 }),
            json!({ "AuditImagesLimit": 4 })
        ]
    );
}

#[tokio::test]
async fn each_of_several_regions_is_called_at_its_own_endpoint() {
    let (ireland, oregon) = (emulator().await, emulator().await);
    let toml = format!(
        "regions = [{{ name = 'eu-west-1', endpoint_url = '{}' }}, {{ name = 'us-west-2', endpoint_url = '{}' }}]",
        ireland.endpoint_url(),
        oregon.endpoint_url(),
    );
    let gateway = Running::start(load(&toml, None).await);
    let asked = |region: Option<&str>| CreateSessionRequest {
        region: region.map(str::to_owned),
        ..Default::default()
    };
    let default = gateway.create(asked(None)).await.unwrap().into_inner();
    let other = gateway
        .create(asked(Some("us-west-2")))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (default.region.as_str(), other.region.as_str()),
        ("eu-west-1", "us-west-2")
    );
    let regions = |emulator: &rekognition_emulator::Emulator| {
        let journal = emulator.journal();
        journal
            .requests
            .iter()
            .map(|request| request.region.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(regions(&ireland), ["eu-west-1"]);
    assert_eq!(regions(&oregon), ["us-west-2"]);
}
