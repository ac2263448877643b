//! From the protobuf request to the domain, with every violation at once.

use face_liveness_client::v1;

use crate::refusal::{Refusal, Violation};
use crate::region::Region;
use crate::session::{
    AuditImagesLimit, Bucket, Challenge, ChallengePreference, Invalid, KeyPrefix, KmsKeyId,
    OutputConfig, SessionRequest, Token, Version,
};

/// Parses `request`. `served` are the regions to choose from, `default_region` is
/// taken if it names none.
///
/// # Errors
/// [`Refusal::InvalidRequest`] with all violations, or
/// [`Refusal::RegionNotServed`] if that is all that is wrong.
pub(super) fn parse(
    request: v1::CreateSessionRequest,
    served: &[Region],
    default_region: Option<&Region>,
) -> Result<SessionRequest, Refusal> {
    let mut parser = Parser::default();
    let settings = request.settings.unwrap_or_default();
    let region = parser.region(request.region.as_deref(), served, default_region);
    let kms_key_id = parser.optional("kms_key_id", request.kms_key_id, KmsKeyId::parse);
    let token = parser.optional(
        "client_request_token",
        request.client_request_token,
        Token::parse,
    );
    let output = settings
        .output_config
        .and_then(|output| parser.output(output));
    let challenges = parser.challenges(settings.challenge_preferences);
    let Some(region) = region.filter(|_| parser.violations.is_empty()) else {
        return Err(parser.refusal());
    };
    Ok(SessionRequest {
        region,
        kms_key_id,
        output,
        audit_images_limit: settings.audit_images_limit.map(AuditImagesLimit::nearest),
        challenges,
        token,
    })
}

/// The violations that are told of one request. They travel in headers, of which
/// common clients take 8 to 16 KiB; more mistakes than these are one mistake.
const MAX_VIOLATIONS: usize = 20;

/// Collects what is wrong.
#[derive(Debug, Default)]
struct Parser {
    violations: Vec<Violation>,
    /// The region asked for and those served, if it is not one of them.
    not_served: Option<(String, Vec<Region>)>,
}

impl Parser {
    fn refusal(mut self) -> Refusal {
        match self.not_served {
            Some((asked, served)) if self.violations.is_empty() => {
                Refusal::RegionNotServed { asked, served }
            }
            Some((_, served)) => {
                let names = served
                    .iter()
                    .map(Region::as_str)
                    .collect::<Vec<_>>()
                    .join(", ");
                self.violations.push(Violation {
                    field: "region".to_owned(),
                    description: format!("must be one of {names}"),
                });
                Refusal::InvalidRequest(self.violations)
            }
            None => Refusal::InvalidRequest(self.violations),
        }
    }

    /// Notes a violation, up to a number that an answer's headers can carry.
    fn violate(&mut self, field: &str, description: &str) {
        if self.violations.len() < MAX_VIOLATIONS {
            self.violations.push(Violation {
                field: field.to_owned(),
                description: description.to_owned(),
            });
        }
    }

    fn check<T>(&mut self, field: &str, value: Result<T, Invalid>) -> Option<T> {
        value
            .map_err(|error| self.violate(field, &error.to_string()))
            .ok()
    }

    fn optional<T>(
        &mut self,
        field: &str,
        text: Option<String>,
        parse: fn(String) -> Result<T, Invalid>,
    ) -> Option<T> {
        self.check(field, parse(text?))
    }

    fn region(
        &mut self,
        asked: Option<&str>,
        served: &[Region],
        default: Option<&Region>,
    ) -> Option<Region> {
        let Some(asked) = asked else {
            return default.cloned();
        };
        match Region::parse(asked) {
            Err(error) => self.violate("region", &error.to_string()),
            Ok(region) if served.contains(&region) => return Some(region),
            Ok(region) => self.not_served = Some((region.to_string(), served.to_vec())),
        }
        None
    }

    fn output(&mut self, output: v1::OutputConfig) -> Option<OutputConfig> {
        const AT: &str = "settings.output_config";
        let bucket = self.check(&format!("{AT}.s3_bucket"), Bucket::parse(output.s3_bucket));
        let key_prefix = self.optional(
            &format!("{AT}.s3_key_prefix"),
            output.s3_key_prefix,
            KeyPrefix::parse,
        );
        Some(OutputConfig {
            bucket: bucket?,
            key_prefix,
        })
    }

    fn challenges(
        &mut self,
        preferences: Vec<v1::ChallengePreference>,
    ) -> Vec<ChallengePreference> {
        let numbered = preferences.into_iter().enumerate();
        numbered
            .filter_map(|(index, preference)| self.challenge(index, preference))
            .collect()
    }

    fn challenge(
        &mut self,
        index: usize,
        preference: v1::ChallengePreference,
    ) -> Option<ChallengePreference> {
        let at = format!("settings.challenge_preferences[{index}]");
        let versions = preference.versions.clone().unwrap_or_default();
        let minimum = self.optional(
            &format!("{at}.versions.minimum"),
            versions.minimum,
            Version::parse,
        );
        let maximum = self.optional(
            &format!("{at}.versions.maximum"),
            versions.maximum,
            Version::parse,
        );
        let challenge = match preference.r#type() {
            v1::ChallengeType::FaceMovementAndLight => Challenge::FaceMovementAndLight,
            v1::ChallengeType::FaceMovement => Challenge::FaceMovement,
            v1::ChallengeType::Unspecified => {
                let known = "must be CHALLENGE_TYPE_FACE_MOVEMENT_AND_LIGHT or CHALLENGE_TYPE_FACE_MOVEMENT";
                self.violate(&format!("{at}.type"), known);
                return None;
            }
        };
        Some(ChallengePreference {
            challenge,
            minimum,
            maximum,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served() -> Vec<Region> {
        ["eu-west-1", "us-east-1"]
            .iter()
            .map(|name| Region::parse(name).unwrap())
            .collect()
    }

    #[test]
    fn an_empty_request_asks_for_the_default_region_and_nothing_else() {
        let parsed = parse(
            v1::CreateSessionRequest::default(),
            &served(),
            served().first(),
        )
        .unwrap();
        let expected = SessionRequest {
            region: Region::parse("eu-west-1").unwrap(),
            kms_key_id: None,
            output: None,
            audit_images_limit: None,
            challenges: Vec::new(),
            token: None,
        };
        assert_eq!(parsed, expected);
    }

    #[test]
    fn every_violation_is_told_at_once_with_its_path() {
        let request = v1::CreateSessionRequest {
            kms_key_id: Some(String::new()),
            client_request_token: Some("a b".to_owned()),
            region: Some("eu-central-1".to_owned()),
            settings: Some(v1::Settings {
                output_config: Some(v1::OutputConfig {
                    s3_bucket: "ab".to_owned(),
                    s3_key_prefix: Some("a b".to_owned()),
                }),
                audit_images_limit: Some(-3),
                challenge_preferences: vec![
                    v1::ChallengePreference {
                        r#type: v1::ChallengeType::FaceMovement.into(),
                        versions: Some(v1::ChallengeVersions {
                            minimum: Some("1".to_owned()),
                            maximum: Some("1.0.00".to_owned()),
                        }),
                    },
                    v1::ChallengePreference {
                        r#type: 99,
                        versions: None,
                    },
                ],
            }),
        };
        let Err(Refusal::InvalidRequest(violations)) = parse(request, &served(), served().first())
        else {
            panic!("not refused as invalid");
        };
        let fields: Vec<_> = violations
            .iter()
            .map(|violation| violation.field.as_str())
            .collect();
        assert_eq!(
            fields,
            [
                "kms_key_id",
                "client_request_token",
                "settings.output_config.s3_bucket",
                "settings.output_config.s3_key_prefix",
                "settings.challenge_preferences[0].versions.minimum",
                "settings.challenge_preferences[0].versions.maximum",
                "settings.challenge_preferences[1].type",
                "region",
            ]
        );
    }

    #[test]
    fn what_is_told_of_a_request_is_bounded() {
        let request = v1::CreateSessionRequest {
            settings: Some(v1::Settings {
                challenge_preferences: vec![v1::ChallengePreference::default(); 30_000],
                ..Default::default()
            }),
            ..Default::default()
        };
        let refusal = parse(request, &served(), served().first()).unwrap_err();
        assert!(refusal.to_string().len() < 1024, "{refusal}");
        let Refusal::InvalidRequest(violations) = refusal else {
            panic!("not refused as invalid");
        };
        assert_eq!(violations.len(), MAX_VIOLATIONS);
    }

    #[test]
    fn a_region_that_is_not_served_is_told_apart_when_it_is_all_that_is_wrong() {
        let request = v1::CreateSessionRequest {
            region: Some("ap-south-1".to_owned()),
            ..Default::default()
        };
        let refusal = parse(request, &served(), served().first()).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "region ap-south-1 is not served here; served are eu-west-1, us-east-1"
        );
    }
}
