//! A caller gets what its policy allows and nothing else, and what it leaves out
//! is filled in.

use face_liveness_client::v1::{
    CreateSessionRequest, CreateSessionResponse, OutputConfig, Settings,
};
use face_liveness_gateway::config::Identity;
use rekognition_emulator::Emulator;
use serde_json::{Value, json};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::support::{Running, emulator, load};

const POLICIES: &str = "
    [server]
    drain_delay = '0s'
    [[regions]]
    name = 'us-east-1'
    [[regions]]
    name = 'eu-west-1'
    [default_caller]
    admitted = false
    [[callers]]
    id = 'shop'
    [callers.policy]
    outputs = ['audit/{caller}/']
    kms_keys = ['alias/shop-*']
    regions = ['eu-*']
    max_audit_images = 1
    challenges = ['face_movement']
    [callers.policy.defaults]
    bucket = 'audit'
    key_prefix = '{caller}/new/'
    kms_key = 'alias/shop-1'
    audit_images = 1
    challenges = ['face_movement:1.0.0-']
    [[callers]]
    id = 'team-*'
    [[callers]]
    id = 'team-locked'
    [callers.policy]
    own_output = false
";

async fn gateway(emulator: &Emulator) -> Running {
    let mut config = load(POLICIES, None).await;
    config.identity = Identity::Believed;
    for entry in &mut config.regions {
        entry.endpoint_url = Some(emulator.endpoint_url().parse().unwrap());
    }
    Running::start(config)
}

async fn create(
    gateway: &Running,
    caller: &str,
    request: CreateSessionRequest,
) -> Result<CreateSessionResponse, Status> {
    let mut request = Request::new(request);
    let metadata = request.metadata_mut();
    metadata.insert("x-caller-id", caller.parse().unwrap());
    let mut client = gateway.client().await;
    Ok(client.create_session(request).await?.into_inner())
}

fn output(bucket: &str, prefix: Option<&str>) -> CreateSessionRequest {
    CreateSessionRequest {
        settings: Some(Settings {
            output_config: Some(OutputConfig {
                s3_bucket: bucket.to_owned(),
                s3_key_prefix: prefix.map(str::to_owned),
            }),
            ..Settings::default()
        }),
        ..CreateSessionRequest::default()
    }
}

fn last_body(emulator: &Emulator) -> Value {
    let journal = emulator.journal();
    journal.requests.last().unwrap().body.clone().unwrap()
}

/// The fields that the refusal names.
fn refused_fields(status: &Status) -> Vec<String> {
    let info = status.get_details_error_info().unwrap();
    assert_eq!(
        (status.code(), &*info.reason),
        (Code::PermissionDenied, "POLICY")
    );
    assert_eq!(
        status.metadata().get("grpc-retry-pushback-ms").unwrap(),
        "-1"
    );
    let bad = status.get_details_bad_request();
    let violations = bad.map(|bad| bad.field_violations).unwrap_or_default();
    violations.into_iter().map(|broken| broken.field).collect()
}

#[tokio::test]
async fn an_empty_request_gets_everything_that_the_policy_fills_in() {
    let emulator = emulator().await;
    let gateway = gateway(&emulator).await;
    let session = create(&gateway, "shop", CreateSessionRequest::default())
        .await
        .unwrap();
    assert_eq!(session.region, "eu-west-1", "the first that it may use");
    let body = last_body(&emulator);
    assert_eq!(body["KmsKeyId"], "alias/shop-1");
    let settings = json!({
        "OutputConfig": {"S3Bucket": "audit", "S3KeyPrefix": "shop/new/"},
        "AuditImagesLimit": 1,
        "ChallengePreferences":
            [{"Type": "FaceMovementChallenge", "Versions": {"Minimum": "1.0.0"}}],
    });
    assert_eq!(body["Settings"], settings);
}

#[tokio::test]
async fn what_the_policy_does_not_allow_is_refused_and_not_sent() {
    let emulator = emulator().await;
    let gateway = gateway(&emulator).await;
    let request = CreateSessionRequest {
        kms_key_id: Some("alias/payments".to_owned()),
        region: Some("us-east-1".to_owned()),
        ..output("payments", Some("shop/"))
    };
    let status = create(&gateway, "shop", request).await.unwrap_err();
    let expected = ["settings.output_config.s3_bucket", "kms_key_id", "region"];
    assert_eq!(refused_fields(&status), expected);
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.metadata["caller"], "shop");
    assert_eq!(info.metadata["rule"], "callers \"shop\"");
    let told = format!("{status:?} {:?}", status.get_error_details());
    assert!(!told.contains("alias/"), "a key is told: {told}");
    assert!(!told.contains("team-"), "another's rule is told: {told}");

    for prefix in [
        None,
        Some(""),
        Some("shop"),
        Some("shop-2/"),
        Some("shop/../team-a/"),
    ] {
        let request = output("audit", prefix);
        let answer = create(&gateway, "shop", request).await;
        if prefix.is_none() {
            assert!(answer.is_ok(), "the default prefix is filled in");
            continue;
        }
        let fields = refused_fields(&answer.unwrap_err());
        assert_eq!(
            fields,
            ["settings.output_config.s3_key_prefix"],
            "{prefix:?}"
        );
    }
    assert_eq!(emulator.journal().requests_seen, 1);
}

#[tokio::test]
async fn the_most_specific_rule_holds_and_the_default_may_be_nobody() {
    let emulator = emulator().await;
    let gateway = gateway(&emulator).await;
    let anywhere = || output("anywhere", None);
    assert!(create(&gateway, "team-a", anywhere()).await.is_ok());
    let status = create(&gateway, "team-locked", anywhere())
        .await
        .unwrap_err();
    assert_eq!(refused_fields(&status), ["settings.output_config"]);
    let status = create(&gateway, "stranger", CreateSessionRequest::default())
        .await
        .unwrap_err();
    assert!(refused_fields(&status).is_empty());
    assert!(
        status.message().contains("stranger is not admitted"),
        "{status}"
    );
    assert_eq!(emulator.journal().requests_seen, 1);
}

#[tokio::test]
async fn a_repeat_is_compared_with_the_defaults_filled_in() {
    let emulator = emulator().await;
    let gateway = gateway(&emulator).await;
    let token = Some("intent-1".to_owned());
    let implicit = CreateSessionRequest {
        client_request_token: token.clone(),
        ..CreateSessionRequest::default()
    };
    let explicit = CreateSessionRequest {
        client_request_token: token,
        ..output("audit", Some("shop/new/"))
    };
    let first = create(&gateway, "shop", implicit).await.unwrap();
    let again = create(&gateway, "shop", explicit.clone()).await.unwrap();
    assert_eq!((again.session_id, again.replayed), (first.session_id, true));
    let other = CreateSessionRequest {
        client_request_token: explicit.client_request_token,
        ..output("audit", Some("shop/old/"))
    };
    let status = create(&gateway, "shop", other).await.unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists);
}
