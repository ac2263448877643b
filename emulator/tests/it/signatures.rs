//! Signatures are verified, and refused with the errors that AWS gives.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials as Pair;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use rekognition_emulator::{Credentials, Emulator, SignatureState};

use crate::support::{
    Answer, CREATE, call, emulator, exchange, parse, refusal, request, sdk_config,
};

const TARGET: &str = "RekognitionService.CreateFaceLivenessSession";

/// A signed create, as one may want it spoilt.
struct Signed<'a> {
    host: &'a str,
    key: &'a str,
    secret: &'a str,
    region: &'a str,
    service: &'a str,
    time: SystemTime,
    signed_body: &'a str,
    sent_body: &'a str,
}

impl Default for Signed<'_> {
    fn default() -> Self {
        Self {
            host: "localhost",
            key: "test",
            secret: "test",
            region: "us-east-1",
            service: "rekognition",
            time: SystemTime::now(),
            signed_body: "{}",
            sent_body: "{}",
        }
    }
}

impl Signed<'_> {
    fn headers(&self) -> Vec<(String, String)> {
        let identity = Pair::new(self.key, self.secret, None, None, "tests").into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(self.service)
            .time(self.time)
            .settings(SigningSettings::default())
            .build()
            .unwrap();
        let uri = format!("http://{}/", self.host);
        let headers = [
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", TARGET),
        ];
        let body = SignableBody::Bytes(self.signed_body.as_bytes());
        let signable = SignableRequest::new("POST", &uri, headers.into_iter(), body).unwrap();
        let (instructions, _) = sign(signable, &params.into()).unwrap().into_parts();
        let added = instructions
            .headers()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into_iter()
            .chain(added)
            .collect()
    }

    async fn send(&self, emulator: &Emulator) -> Answer {
        self.send_with(emulator, |_, value| Some(value)).await
    }

    async fn send_with(
        &self,
        emulator: &Emulator,
        spoil: impl Fn(&str, String) -> Option<String>,
    ) -> Answer {
        let headers: Vec<(String, String)> = self
            .headers()
            .into_iter()
            .filter_map(|(name, value)| spoil(&name, value).map(|value| (name, value)))
            .collect();
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let text = request("POST", "/", &headers, self.sent_body);
        let text = text.replace("host: localhost", &format!("host: {}", self.host));
        parse(&exchange(emulator.addr(), &text).await.unwrap())
    }
}

#[track_caller]
fn assert_refused(answer: &Answer, code: &str, said: &str) {
    assert_eq!(
        (answer.status, answer.error_type().as_str()),
        (400, code),
        "{answer:?}"
    );
    let message = answer.json()["message"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert!(message.contains(said), "{message}");
}

#[tokio::test]
async fn a_good_signature_is_verified() {
    let emulator = emulator().start().await.unwrap();
    assert_eq!(Signed::default().send(&emulator).await.status, 200);
    assert_eq!(
        emulator.journal().requests[0].signature,
        SignatureState::Verified
    );
}

#[tokio::test]
async fn a_session_token_takes_part_in_the_signature() {
    let emulator = emulator().start().await.unwrap();
    let pair = Pair::new("test", "test", Some("session".into()), None, "tests");
    let config = sdk_config(&emulator, "us-east-1")
        .credentials_provider(pair)
        .build();
    let client = aws_sdk_rekognition::Client::from_conf(config);
    client.create_face_liveness_session().send().await.unwrap();
}

#[tokio::test]
async fn the_sdk_with_a_wrong_secret_is_refused() {
    let emulator = emulator().credentials([Credentials::new("test", "other")]);
    let emulator = emulator.start().await.unwrap();
    let client = aws_sdk_rekognition::Client::from_conf(sdk_config(&emulator, "us-east-1").build());
    let refused = refusal(client.create_face_liveness_session().send().await);
    assert_eq!(
        refused,
        (Some("InvalidSignatureException".into()), Some(400))
    );
    let journal = emulator.journal();
    assert_eq!(journal.sessions_made, 0);
    assert_eq!(journal.requests[0].signature, SignatureState::Refused);
}

#[tokio::test]
async fn a_body_or_header_changed_on_the_way_is_refused() {
    let emulator = emulator().start().await.unwrap();
    let body = Signed {
        sent_body: r#"{"KmsKeyId":"k"}"#,
        ..Signed::default()
    };
    let code = "InvalidSignatureException";
    assert_refused(&body.send(&emulator).await, code, "does not match");
    let header = Signed::default()
        .send_with(&emulator, |name, value| match name {
            "content-type" => Some(format!("{value}; charset=utf-8")),
            _ => Some(value),
        })
        .await;
    assert_refused(&header, code, "does not match");
}

#[tokio::test]
async fn an_unknown_key_is_an_unrecognized_client() {
    let emulator = emulator().start().await.unwrap();
    let stranger = Signed {
        key: "STRANGER",
        ..Signed::default()
    };
    let said = "The security token included in the request is invalid.";
    assert_refused(
        &stranger.send(&emulator).await,
        "UnrecognizedClientException",
        said,
    );
}

#[tokio::test]
async fn a_date_more_than_five_minutes_off_is_refused_either_way() {
    let emulator = emulator().start().await.unwrap();
    let (near, far) = (Duration::from_secs(240), Duration::from_secs(360));
    let now = SystemTime::now();
    for (time, said) in [
        (now - far, Some("Signature expired: ")),
        (now + far, Some("Signature not yet current: ")),
        (now - near, None),
        (now + near, None),
    ] {
        let signed = Signed {
            time,
            ..Signed::default()
        };
        let answer = signed.send(&emulator).await;
        match said {
            Some(said) => assert_refused(&answer, "InvalidSignatureException", said),
            None => assert_eq!(answer.status, 200, "{answer:?}"),
        }
    }
}

#[tokio::test]
async fn a_scope_of_another_service_or_region_is_refused() {
    let emulator = emulator().start().await.unwrap();
    let service = Signed {
        service: "s3",
        ..Signed::default()
    };
    let nowhere = Signed {
        region: "nowhere",
        ..Signed::default()
    };
    let elsewhere = Signed {
        host: "rekognition.eu-west-1.amazonaws.com",
        ..Signed::default()
    };
    for (signed, said) in [
        (service, "correct service: 'rekognition'"),
        (nowhere, "valid region, not 'nowhere'"),
        (elsewhere, "valid region, not 'us-east-1'"),
    ] {
        assert_refused(
            &signed.send(&emulator).await,
            "InvalidSignatureException",
            said,
        );
    }
}

#[tokio::test]
async fn a_request_without_authentication_is_told_so() {
    let emulator = emulator().start().await.unwrap();
    let answer = call(&emulator, CREATE, "{}").await;
    let code = "MissingAuthenticationTokenException";
    assert_refused(&answer, code, "Missing Authentication Token");
    assert_eq!(
        emulator.journal().requests[0].signature,
        SignatureState::Absent
    );
}

#[tokio::test]
async fn an_incomplete_header_is_told_what_it_lacks() {
    let emulator = emulator().start().await.unwrap();
    for (without, said) in [
        ("Credential=", "requires 'Credential' parameter"),
        ("SignedHeaders=", "requires 'SignedHeaders' parameter"),
        ("Signature=", "requires 'Signature' parameter"),
        ("/us-east-1", "exactly 5 slash-delimited elements"),
    ] {
        let answer = Signed::default()
            .send_with(&emulator, |name, value| match name {
                "authorization" => Some(value.replace(without, "")),
                _ => Some(value),
            })
            .await;
        assert_refused(&answer, "IncompleteSignatureException", said);
    }
    let undated = Signed::default()
        .send_with(&emulator, |name, value| {
            (name != "x-amz-date").then_some(value)
        })
        .await;
    assert_refused(&undated, "IncompleteSignatureException", "'X-Amz-Date'");
}

#[tokio::test]
async fn a_signature_must_cover_the_host() {
    let emulator = emulator().start().await.unwrap();
    let answer = Signed::default()
        .send_with(&emulator, |name, value| match name {
            "authorization" => Some(value.replace("host;", "")),
            _ => Some(value),
        })
        .await;
    assert_refused(
        &answer,
        "InvalidSignatureException",
        "must be a 'SignedHeader'",
    );
}

#[tokio::test]
async fn verification_can_be_switched_off() {
    let emulator = emulator().verify_signatures(false).start().await.unwrap();
    let stranger = Signed {
        key: "STRANGER",
        secret: "wrong",
        region: "eu-west-1",
        ..Signed::default()
    };
    assert_eq!(stranger.send(&emulator).await.status, 200);
    let record = &emulator.journal().requests[0];
    assert_eq!(record.signature, SignatureState::Unverified);
    assert_eq!(record.region, "eu-west-1");
    assert_eq!(record.access_key.as_deref(), Some("STRANGER"));
}
