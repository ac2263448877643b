//! Requests outside the API model's constraints get the errors that AWS gives.

use rekognition_emulator::Emulator;
use serde_json::{Value, json};

use crate::support::{CREATE, GET, call, unsigned};

const INVALID: &str = "InvalidParameterException";
const SERIALIZATION: &str = "SerializationException";

async fn answers(emulator: &Emulator, operation: &str, body: &Value) -> (u16, String, String) {
    let answer = call(emulator, operation, &body.to_string()).await;
    let message = answer.json()["Message"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    (answer.status, answer.error_type(), message)
}

fn output(bucket: Value, prefix: Value) -> Value {
    json!({"Settings": {"OutputConfig": {"S3Bucket": bucket, "S3KeyPrefix": prefix}}})
}

fn challenge(kind: Value, minimum: Value) -> Value {
    let challenge = json!({"Type": kind, "Versions": {"Minimum": minimum}});
    json!({"Settings": {"ChallengePreferences": [challenge]}})
}

fn audit(limit: Value) -> Value {
    json!({"Settings": {"AuditImagesLimit": limit}})
}

#[tokio::test]
async fn creates_within_the_constraints_make_a_session() {
    let emulator = unsigned().await;
    let movement = "FaceMovementChallenge";
    for body in [
        json!({}),
        json!({"KmsKeyId": null, "Settings": null, "ClientRequestToken": null}),
        json!({"Unheard": ["of"]}),
        json!({"KmsKeyId": "a"}),
        json!({"KmsKeyId": format!("A:_/+=,@.-{}", "x".repeat(2038))}),
        json!({"ClientRequestToken": "a"}),
        json!({"ClientRequestToken": format!("aZ09-_{}", "x".repeat(58))}),
        json!({"Settings": {}}),
        audit(json!(0)),
        audit(json!(4)),
        output(json!("abc"), json!("")),
        output(json!("A.b-c_9".repeat(36)), json!("ä/".repeat(475))),
        json!({"Settings": {"ChallengePreferences": []}}),
        challenge(json!("FaceMovementAndLightChallenge"), json!("0.0.0")),
        challenge(json!(movement), json!("999.10.1")),
        challenge(json!(movement), json!("999.999.999")),
    ] {
        let answer = call(&emulator, CREATE, &body.to_string()).await;
        assert_eq!(answer.status, 200, "{body}: {}", answer.body);
    }
}

#[tokio::test]
async fn values_outside_the_constraints_are_invalid_parameters() {
    let emulator = unsigned().await;
    let light = "FaceMovementAndLightChallenge";
    for (body, said) in [
        (json!({"KmsKeyId": ""}), "'kmsKeyId' failed"),
        (
            json!({"KmsKeyId": "x".repeat(2049)}),
            "less than or equal to 2048",
        ),
        (json!({"KmsKeyId": ":a"}), "pattern"),
        (json!({"KmsKeyId": "a b"}), "pattern"),
        (
            json!({"ClientRequestToken": ""}),
            "greater than or equal to 1",
        ),
        (
            json!({"ClientRequestToken": "x".repeat(65)}),
            "less than or equal to 64",
        ),
        (
            json!({"ClientRequestToken": "a.b"}),
            "'clientRequestToken' failed",
        ),
        (audit(json!(-1)), "greater than or equal to 0"),
        (audit(json!(5)), "'settings.auditImagesLimit' failed"),
        (
            output(Value::Null, json!("p")),
            "Value null at 'settings.outputConfig.s3Bucket'",
        ),
        (
            output(json!("ab"), json!("p")),
            "greater than or equal to 3",
        ),
        (
            output(json!("a".repeat(256)), json!("p")),
            "less than or equal to 255",
        ),
        (
            output(json!("a/b"), json!("p")),
            "'settings.outputConfig.s3Bucket' failed",
        ),
        (
            output(json!("abc"), json!("p".repeat(951))),
            "less than or equal to 950",
        ),
        (
            output(json!("abc"), json!("a b")),
            "'settings.outputConfig.s3KeyPrefix' failed",
        ),
        (challenge(Value::Null, json!("1.0.0")), "must not be null"),
        (
            challenge(json!("Blink"), json!("1.0.0")),
            "settings.challengePreferences.1.member.type",
        ),
        (
            challenge(json!(light), json!("1.0")),
            "greater than or equal to 5",
        ),
        (challenge(json!(light), json!("1.0.00")), "versions.minimum"),
        (challenge(json!(light), json!("1000.0.0")), "pattern"),
        (challenge(json!(light), json!("1.0.0.0")), "pattern"),
        (
            challenge(json!(light), json!("1000.1000.10")),
            "less than or equal to 11",
        ),
    ] {
        let (status, code, message) = answers(&emulator, CREATE, &body).await;
        assert_eq!((status, code.as_str()), (400, INVALID), "{body}: {message}");
        assert!(message.contains(said), "{body}: {message}");
    }
    assert_eq!(emulator.journal().sessions_made, 0);
}

#[tokio::test]
async fn all_violations_are_told_at_once() {
    let emulator = unsigned().await;
    let body = json!({"KmsKeyId": ":", "Settings": {"AuditImagesLimit": 9}});
    let (_, _, message) = answers(&emulator, CREATE, &body).await;
    assert!(
        message.starts_with("2 validation errors detected: "),
        "{message}"
    );
    assert!(message.contains("kmsKeyId") && message.contains("auditImagesLimit"));
}

#[tokio::test]
async fn wrong_json_types_are_serialization_errors() {
    let emulator = unsigned().await;
    for body in [
        json!([]),
        json!("text"),
        json!(null),
        json!({"KmsKeyId": 1}),
        json!({"ClientRequestToken": true}),
        json!({"Settings": []}),
        audit(json!("4")),
        audit(json!(1.5)),
        audit(json!(4_294_967_296_i64)),
        output(json!(["abc"]), json!("p")),
        json!({"Settings": {"OutputConfig": "abc"}}),
        json!({"Settings": {"ChallengePreferences": {}}}),
        json!({"Settings": {"ChallengePreferences": [null]}}),
        challenge(json!({}), json!("1.0.0")),
    ] {
        let (status, code, message) = answers(&emulator, CREATE, &body).await;
        assert_eq!((status, code.as_str()), (400, SERIALIZATION), "{body}");
        assert!(
            message.contains("can not be converted to"),
            "{body}: {message}"
        );
    }
}

#[tokio::test]
async fn bodies_that_are_not_json_are_serialization_errors() {
    let emulator = unsigned().await;
    for body in ["", "{", "hello", "{}{}"] {
        let answer = call(&emulator, CREATE, body).await;
        assert_eq!(
            (answer.status, answer.error_type().as_str()),
            (400, SERIALIZATION),
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_session_id_must_look_like_one() {
    let emulator = unsigned().await;
    for body in [
        json!({}),
        json!({"SessionId": "short"}),
        json!({"SessionId": "00000000-0000-4000-8000-00000000000G"}),
        json!({"SessionId": "ABCDEFAB-0000-4000-8000-000000000000"}),
        json!({"SessionId": "000000000-000-4000-8000-000000000000"}),
    ] {
        let (status, code, message) = answers(&emulator, GET, &body).await;
        assert_eq!((status, code.as_str()), (400, INVALID), "{body}: {message}");
        assert!(message.contains("'sessionId'"), "{message}");
    }
    let number = json!({"SessionId": 1});
    assert_eq!(answers(&emulator, GET, &number).await.1, SERIALIZATION);
}
