//! A bad request is told all that is wrong with it, and costs no call to AWS.

use face_liveness_client::v1::{
    ChallengePreference, ChallengeVersions, CreateSessionRequest, OutputConfig, Settings,
};
use tonic_types::StatusExt as _;

use crate::support::{Running, emulator};

#[tokio::test]
async fn all_violations_are_told_at_once_and_nothing_is_sent_to_aws() {
    let emulator = emulator().await;
    let gateway = Running::over(&emulator).await;
    let request = CreateSessionRequest {
        kms_key_id: Some("-".to_owned()),
        client_request_token: Some("a token".to_owned()),
        region: Some("Europe".to_owned()),
        settings: Some(Settings {
            output_config: Some(OutputConfig::default()),
            audit_images_limit: Some(99),
            challenge_preferences: vec![ChallengePreference {
                r#type: 0,
                versions: Some(ChallengeVersions {
                    minimum: Some("one".to_owned()),
                    maximum: None,
                }),
            }],
        }),
    };
    let status = gateway.create(request).await.unwrap_err();
    let mut fields: Vec<_> = status
        .get_details_bad_request()
        .unwrap()
        .field_violations
        .into_iter()
        .map(|violation| violation.field)
        .collect();
    fields.sort();
    assert_eq!(
        fields,
        [
            "client_request_token",
            "kms_key_id",
            "region",
            "settings.challenge_preferences[0].type",
            "settings.challenge_preferences[0].versions.minimum",
            "settings.output_config.s3_bucket",
        ]
    );
    assert_eq!(emulator.journal().requests_seen, 0);
}

#[tokio::test]
async fn a_refusal_does_not_repeat_secrets() {
    let gateway = Running::over(&emulator().await).await;
    let request = CreateSessionRequest {
        kms_key_id: Some("alias/hush hush".to_owned()),
        client_request_token: Some("hush hush".to_owned()),
        ..Default::default()
    };
    let status = gateway.create(request).await.unwrap_err();
    assert!(!format!("{status:?}").contains("hush"), "{status:?}");
}
