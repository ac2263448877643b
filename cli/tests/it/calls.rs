//! Calls, refusals and retries.

use std::time::Duration;

use face_liveness_client::Reason;
use face_liveness_client::testing::{Answer, Refusal};
use serde_json::Value;

use crate::support::{BINARY, Program, SESSION, create, gateway, recorded_session};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn every_parameter_reaches_the_gateway() {
    let gateway = gateway().await;
    let settings = "OutputConfig={S3Bucket=my-bucket,S3KeyPrefix=p/},AuditImagesLimit=-1,\
                    ChallengePreferences=[{Type=FaceMovementChallenge,Versions={Minimum=1.0.0}}]";
    let options = [
        "--kms-key-id=alias/key",
        "--settings",
        settings,
        "--client-request-token",
        "intent-1",
        "--region=eu-west-1",
    ];
    create(&gateway, &options).await.good();
    let request = gateway.requests().remove(0).message;
    assert_eq!(request.kms_key_id.as_deref(), Some("alias/key"));
    assert_eq!(request.client_request_token.as_deref(), Some("intent-1"));
    assert_eq!(request.region.as_deref(), Some("eu-west-1"));
    let settings = request.settings.unwrap();
    assert_eq!(settings.output_config.unwrap().s3_bucket, "my-bucket");
    assert_eq!(settings.audit_images_limit, Some(-1));
    let preference = &settings.challenge_preferences[0];
    assert_eq!(
        preference.r#type().as_str_name(),
        "CHALLENGE_TYPE_FACE_MOVEMENT"
    );
    let versions = preference.versions.as_ref().unwrap();
    assert_eq!(
        (versions.minimum.as_deref(), versions.maximum.as_deref()),
        (Some("1.0.0"), None)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn options_win_over_the_input_json() {
    let gateway = gateway().await;
    let program = Program::new(BINARY)
        .at(&gateway)
        .file(
            "in.json",
            r#"{"KmsKeyId": "from-json", "ClientRequestToken": "from-json"}"#,
        )
        .args([
            "create",
            "--cli-input-json",
            "file://in.json",
            "--kms-key-id",
            "from-option",
        ]);
    program.run().await.good();
    let request = gateway.requests().remove(0).message;
    assert_eq!(request.kms_key_id.as_deref(), Some("from-option"));
    assert_eq!(request.client_request_token.as_deref(), Some("from-json"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn scripts_for_the_aws_cli_change_one_word() {
    let gateway = gateway().await;
    gateway.enqueue(recorded_session());
    let words =
        "--region eu-west-1 rekognition create-face-liveness-session --query SessionId --out text";
    let program = Program::new(BINARY).at(&gateway).args(words.split(' '));
    assert_eq!(program.run().await.good(), format!("{SESSION}\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn verbose_output_adds_region_times_and_whether_it_is_replayed() {
    let gateway = gateway().await;
    gateway.enqueue(recorded_session());
    let printed = create(&gateway, &["--verbose-output"]).await.good();
    let expected = format!(
        "{{\n    \"SessionId\": \"{SESSION}\",\n    \"Region\": \"eu-west-1\",\n    \
         \"CreateTime\": \"2026-09-21T14:13:20.000Z\",\n    \
         \"ExpireTime\": \"2026-09-21T14:16:20.000Z\",\n    \"Replayed\": false\n}}\n"
    );
    assert_eq!(printed, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_retry_follows_the_pushback_with_one_token_for_all_attempts() {
    let gateway = gateway().await;
    gateway.enqueue(Refusal::new(Reason::Overloaded));
    gateway.enqueue(Refusal::new(Reason::UpstreamThrottled));
    create(&gateway, &[]).await.good();
    let requests = gateway.requests();
    assert_eq!(requests.len(), 3);
    let token = |attempt: usize| {
        requests[attempt]
            .message
            .client_request_token
            .clone()
            .unwrap()
    };
    assert_eq!(token(0), token(1));
    assert_eq!(token(0), token(2));
    assert_eq!(requests[2].text("grpc-previous-rpc-attempts"), Some("2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_refusal_is_told_as_by_aws_and_says_what_to_do_next() {
    let gateway = gateway().await;
    let refusal = Refusal::new(Reason::InvalidRequest)
        .message("2 fields are wrong")
        .violation("settings.output_config.s3_bucket", "must be longer")
        .violation("settings.challenge_preferences[1].type", "must be known")
        .violation("region", "must be one of eu-west-1");
    gateway.enqueue(Answer::from(refusal).metadata("x-request-id", "request-7"));
    let ran = create(&gateway, &[]).await;
    assert_eq!((ran.status, ran.stdout.as_str()), (255, ""));
    let expected = "\nAn error occurred (INVALID_REQUEST) when calling the \
        CreateFaceLivenessSession operation: 2 fields are wrong\n  \
        Settings.OutputConfig.S3Bucket: must be longer\n  \
        Settings.ChallengePreferences[1].Type: must be known\n  \
        --region: must be one of eu-west-1\n\
        Request id at the gateway: request-7\n";
    assert_eq!(ran.stderr, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_wait_that_does_not_fit_the_deadline_is_told() {
    let gateway = gateway().await;
    gateway.enqueue(
        Refusal::new(Reason::AccountQuota)
            .message("used up")
            .retry_after(Duration::from_secs(90)),
    );
    let ran = create(&gateway, &[]).await;
    assert_eq!(ran.status, 255);
    let expected = "\nAn error occurred (ACCOUNT_QUOTA) when calling the \
        CreateFaceLivenessSession operation: used up\n\
        A longer --cli-read-timeout waits for the quota.\n\
        Wait 90.0 s before the next call.\n";
    assert_eq!(ran.stderr, expected);
    assert_eq!(gateway.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_gateway_that_does_not_answer_in_time_is_told_as_by_aws() {
    let gateway = gateway().await;
    gateway.enqueue(Answer::never());
    let ran = create(&gateway, &["--cli-read-timeout", "1"]).await;
    assert_eq!(ran.status, 255);
    let first = ran.stderr.lines().nth(1).unwrap();
    assert_eq!(
        first,
        format!("Read timeout on endpoint URL: \"{}/\"", gateway.endpoint())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_refusal_without_a_reason_is_told_by_its_code() {
    let gateway = gateway().await;
    gateway.enqueue(tonic::Status::unimplemented("no such method"));
    let ran = create(&gateway, &[]).await;
    assert_eq!(
        ran.last_error(),
        "An error occurred (UNIMPLEMENTED) when calling the CreateFaceLivenessSession operation: no such method"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_debug_log_shows_the_call_and_no_secrets() {
    let gateway = gateway().await;
    gateway.enqueue(recorded_session());
    let options = [
        "--debug",
        "--token=secret-token",
        "--client-request-token=secret-intent",
        "--kms-key-id=secret-key",
    ];
    let ran = create(&gateway, &options).await;
    assert_eq!(ran.status, 0);
    for part in [
        "request path=\"/faceliveness.v1.FaceLivenessService/CreateSession\"",
        "token=true client_certificate=false",
        "grpc-timeout: ",
        "response status=200 took=",
        "trailers took=",
        "grpc-status: 0",
    ] {
        assert!(ran.stderr.contains(part), "{part} in {}", ran.stderr);
    }
    assert!(!ran.stderr.contains("secret-"), "{}", ran.stderr);
    assert!(!ran.stderr.contains(SESSION), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_sample_answer_checks_the_input_and_sends_nothing() {
    let gateway = gateway().await;
    let sample = create(&gateway, &["--generate-cli-skeleton", "output"])
        .await
        .good();
    assert_eq!(sample, "{\n    \"SessionId\": \"SessionId\"\n}\n");
    let verbose = ["--generate-cli-skeleton=output", "--verbose-output"];
    let verbose: Value = serde_json::from_str(&create(&gateway, &verbose).await.good()).unwrap();
    assert_eq!(verbose["Replayed"], true);
    let wrong = ["--generate-cli-skeleton=output", "--kms-key-id", ""];
    let ran = create(&gateway, &wrong).await;
    assert_eq!(ran.status, 255);
    assert_eq!(
        ran.last_error(),
        "Invalid length for parameter KmsKeyId, value: 0, valid min length: 1"
    );
    assert_eq!(gateway.requests().len(), 0);
}
