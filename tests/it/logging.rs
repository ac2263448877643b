//! The log tells the operator what happened, and no secret.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use crate::program::{Started, gateway, start};
use crate::support::emulator;

#[test]
fn the_log_tells_why_aws_refused_and_keeps_secrets_to_itself() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let emulator = emulator().await;
        emulator.set_faults([rekognition_emulator::Fault::access_denied()]);
        let mut command = gateway(&[
            "serve",
            "--region",
            "us-east-1",
            "--listen",
            "127.0.0.1:0",
            "--debug",
            "--endpoint-url",
            &emulator.endpoint_url(),
            "--log-format",
            "json",
        ]);
        command
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test");
        let mut served = Started(command.stderr(Stdio::piped()).spawn().unwrap());
        let mut err = BufReader::new(served.0.stderr.take().unwrap());
        let mut log = String::new();
        while !log.contains("ready: serving") {
            assert_ne!(err.read_line(&mut log).unwrap(), 0, "{log}");
        }
        let address = log
            .split("\"address\":\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}"))
            .unwrap()
            .connect_lazy();
        let mut client =
            face_liveness_client::v1::face_liveness_service_client::FaceLivenessServiceClient::new(
                channel,
            );
        let mut request = tonic::Request::new(face_liveness_client::v1::CreateSessionRequest {
            client_request_token: Some("hush-token".to_owned()),
            kms_key_id: Some("alias/hush-key".to_owned()),
            ..Default::default()
        });
        request
            .metadata_mut()
            .insert("x-request-id", "find-me".parse().unwrap());
        client.create_session(request).await.unwrap_err();
        while !log.contains("no session") {
            assert_ne!(err.read_line(&mut log).unwrap(), 0, "{log}");
        }
        assert!(log.contains("AccessDeniedException"), "{log}");
        assert!(log.contains("\"request_id\":\"find-me\""), "{log}");
        assert!(!log.contains("hush") && !log.contains("AKID"), "{log}");
    });
}

#[test]
fn serve_prints_version_address_and_configuration_and_warns_of_unverified_tls() {
    let mut served = start(&[
        "serve",
        "--region",
        "us-east-1",
        "--listen",
        "127.0.0.1:0",
        "--no-sign-request",
        "--no-verify-ssl",
        "--log-format",
        "json",
    ]);
    let mut err = BufReader::new(served.0.stderr.take().unwrap());
    let mut log = String::new();
    while !log.contains("ready: serving") {
        assert_ne!(err.read_line(&mut log).unwrap(), 0, "{log}");
    }
    for expected in [
        env!("CARGO_PKG_VERSION"),
        "127.0.0.1:",
        "max_in_flight",
        "no_verify_ssl is on: ANYONE",
    ] {
        assert!(log.contains(expected), "{expected} is not in {log}");
    }
    for line in log.lines() {
        assert!(
            serde_json::from_str::<serde_json::Value>(line).is_ok(),
            "{line}"
        );
    }
}
