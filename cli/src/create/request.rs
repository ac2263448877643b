//! From validated parameters to the protobuf request.

use face_liveness_client::v1;
use serde_json::{Map, Value};

use super::model::CHALLENGES;

/// The request for the parameters. A limit of audit images beyond 32 bits
/// becomes the nearest number of 32 bits, which means the same to the gateway.
pub(crate) fn request(
    parameters: &Map<String, Value>,
    region: Option<String>,
) -> v1::CreateSessionRequest {
    v1::CreateSessionRequest {
        kms_key_id: text(parameters.get("KmsKeyId")),
        settings: parameters.get("Settings").map(settings),
        client_request_token: text(parameters.get("ClientRequestToken")),
        region,
    }
}

fn settings(value: &Value) -> v1::Settings {
    v1::Settings {
        output_config: value.get("OutputConfig").map(|output| v1::OutputConfig {
            s3_bucket: text(output.get("S3Bucket")).unwrap_or_default(),
            s3_key_prefix: text(output.get("S3KeyPrefix")),
        }),
        audit_images_limit: value.get("AuditImagesLimit").map(limit),
        challenge_preferences: value
            .get("ChallengePreferences")
            .and_then(Value::as_array)
            .map(|preferences| preferences.iter().map(preference).collect())
            .unwrap_or_default(),
    }
}

fn limit(value: &Value) -> i32 {
    match value.as_i64() {
        Some(limit) if limit < 0 => i32::try_from(limit).unwrap_or(i32::MIN),
        Some(limit) => i32::try_from(limit).unwrap_or(i32::MAX),
        None => i32::MAX,
    }
}

fn preference(value: &Value) -> v1::ChallengePreference {
    let [movement_and_light, movement] = CHALLENGES;
    let kind = match value.get("Type").and_then(Value::as_str) {
        Some(name) if name == movement_and_light => v1::ChallengeType::FaceMovementAndLight,
        Some(name) if name == movement => v1::ChallengeType::FaceMovement,
        _ => v1::ChallengeType::Unspecified,
    };
    v1::ChallengePreference {
        r#type: kind.into(),
        versions: value.get("Versions").map(|versions| v1::ChallengeVersions {
            minimum: text(versions.get("Minimum")),
            maximum: text(versions.get("Maximum")),
        }),
    }
}

fn text(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_parameter_has_its_field() {
        let parameters = json!({
            "KmsKeyId": "alias/k",
            "Settings": {
                "OutputConfig": {"S3Bucket": "b-b", "S3KeyPrefix": "p/"},
                "AuditImagesLimit": 2,
                "ChallengePreferences": [
                    {"Type": "FaceMovementChallenge", "Versions": {"Minimum": "1.0.0"}},
                    {"Type": "FaceMovementAndLightChallenge"},
                ],
            },
            "ClientRequestToken": "t",
        });
        let made = request(
            parameters.as_object().unwrap(),
            Some("eu-west-1".to_owned()),
        );
        let expected = v1::CreateSessionRequest {
            kms_key_id: Some("alias/k".to_owned()),
            settings: Some(v1::Settings {
                output_config: Some(v1::OutputConfig {
                    s3_bucket: "b-b".to_owned(),
                    s3_key_prefix: Some("p/".to_owned()),
                }),
                audit_images_limit: Some(2),
                challenge_preferences: vec![
                    v1::ChallengePreference {
                        r#type: v1::ChallengeType::FaceMovement.into(),
                        versions: Some(v1::ChallengeVersions {
                            minimum: Some("1.0.0".to_owned()),
                            maximum: None,
                        }),
                    },
                    v1::ChallengePreference {
                        r#type: v1::ChallengeType::FaceMovementAndLight.into(),
                        versions: None,
                    },
                ],
            }),
            client_request_token: Some("t".to_owned()),
            region: Some("eu-west-1".to_owned()),
        };
        assert_eq!(made, expected);
    }

    #[test]
    fn absent_parameters_stay_absent() {
        assert_eq!(
            request(&Map::new(), None),
            v1::CreateSessionRequest::default()
        );
    }

    #[test]
    fn limits_beyond_32_bits_keep_their_meaning() {
        for (given, sent) in [
            (json!(-1), -1),
            (json!(i64::MIN), i32::MIN),
            (json!(i64::MAX), i32::MAX),
            (json!(u64::MAX), i32::MAX),
        ] {
            assert_eq!(limit(&given), sent);
        }
    }
}
