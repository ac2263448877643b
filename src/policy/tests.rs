//! What a policy allows, refuses and fills in.

use super::*;
use crate::session::Version;

fn shop() -> Caller {
    Caller::named("shop").unwrap()
}

fn request() -> SessionRequest {
    SessionRequest {
        region: region("us-east-1"),
        kms_key_id: None,
        output: None,
        audit_images_limit: None,
        challenges: Vec::new(),
        token: None,
    }
}

fn region(name: &str) -> Region {
    Region::parse(name).unwrap()
}

fn bucket(name: &str) -> Bucket {
    Bucket::parse(name.to_owned()).unwrap()
}

fn key(name: &str) -> KmsKeyId {
    KmsKeyId::parse(name.to_owned()).unwrap()
}

fn output(name: &str, prefix: Option<&str>) -> Option<OutputConfig> {
    Some(OutputConfig {
        bucket: bucket(name),
        key_prefix: prefix.map(|prefix| KeyPrefix::parse(prefix.to_owned()).unwrap()),
    })
}

fn preference(challenge: Challenge) -> ChallengePreference {
    ChallengePreference {
        challenge,
        minimum: Some(Version::parse("1.0.0".to_owned()).unwrap()),
        maximum: None,
    }
}

fn places(texts: &[&str]) -> Option<Vec<Place>> {
    Some(
        texts
            .iter()
            .map(|text| Place::parse(text).unwrap())
            .collect(),
    )
}

/// Everything is bounded.
fn strict() -> Policy {
    Policy {
        own_output: true,
        outputs: places(&["audit/{caller}/", "shared-*/in/"]),
        kms_keys: Some(KeyPatterns::new(vec![Pattern::new("alias/shop-*")])),
        regions: Some(vec![Pattern::new("eu-*")]),
        max_audit_images: AuditImagesLimit::nearest(1),
        challenges: Some(vec![Challenge::FaceMovement]),
        defaults: Defaults {
            bucket: Some(bucket("audit")),
            key_prefix: Template::parse("{caller}/new/").ok(),
            kms_key: Some(key("alias/shop-1")),
            audit_images: Some(AuditImagesLimit::nearest(1)),
            challenges: vec![preference(Challenge::FaceMovement)],
        },
    }
}

fn fields(policy: &Policy, request: SessionRequest) -> Vec<String> {
    let violations = policy.apply(&shop(), request).err().unwrap_or_default();
    violations
        .into_iter()
        .map(|violation| violation.field)
        .collect()
}

#[test]
fn without_rules_a_request_stays_as_it_is() {
    let asked = SessionRequest {
        output: output("any", Some("../x")),
        kms_key_id: Some(key("any")),
        ..request()
    };
    assert_eq!(
        Policy::default().apply(&shop(), asked.clone()).unwrap(),
        asked
    );
}

#[test]
fn what_a_request_leaves_out_is_filled_in() {
    let asked = SessionRequest {
        region: region("eu-west-1"),
        ..request()
    };
    let made = strict().apply(&shop(), asked).unwrap();
    let expected = SessionRequest {
        region: region("eu-west-1"),
        kms_key_id: Some(key("alias/shop-1")),
        output: output("audit", Some("shop/new/")),
        audit_images_limit: Some(AuditImagesLimit::nearest(1)),
        challenges: vec![preference(Challenge::FaceMovement)],
        token: None,
    };
    assert_eq!(made, expected);
}

#[test]
fn what_a_request_says_is_not_overwritten() {
    let asked = SessionRequest {
        region: region("eu-west-1"),
        kms_key_id: Some(key("alias/shop-2")),
        output: output("shared-1", Some("in/x/")),
        audit_images_limit: Some(AuditImagesLimit::nearest(0)),
        challenges: vec![ChallengePreference {
            minimum: None,
            ..preference(Challenge::FaceMovement)
        }],
        token: None,
    };
    assert_eq!(strict().apply(&shop(), asked.clone()).unwrap(), asked);
}

#[test]
fn every_rule_that_is_broken_is_named_with_its_field() {
    let asked = SessionRequest {
        region: region("us-east-1"),
        kms_key_id: Some(key("alias/shopping")),
        output: output("other", Some("shop/")),
        audit_images_limit: Some(AuditImagesLimit::nearest(2)),
        challenges: vec![
            preference(Challenge::FaceMovement),
            preference(Challenge::FaceMovementAndLight),
        ],
        token: None,
    };
    let violations = strict().apply(&shop(), asked).unwrap_err();
    let told: Vec<_> = violations
        .iter()
        .map(|violation| (violation.field.as_str(), violation.description.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (
                "settings.output_config.s3_bucket",
                "must lie in audit/shop/ or shared-*/in/ (policy.outputs), without '.' or '..' as a segment"
            ),
            ("kms_key_id", "must be a key that policy.kms_keys allows"),
            (
                "settings.audit_images_limit",
                "must be at most 1 (policy.max_audit_images)"
            ),
            (
                "settings.challenge_preferences",
                "must name none but face_movement (policy.challenges)"
            ),
            ("region", "must be eu-* (policy.regions)"),
        ]
    );
}

#[test]
fn a_prefix_outside_the_callers_own_is_refused_also_an_empty_one() {
    let policy = Policy {
        outputs: places(&["audit/{caller}/"]),
        ..Policy::default()
    };
    for prefix in [
        None,
        Some(""),
        Some("shop"),
        Some("shop-2/"),
        Some("shop/../pay/"),
    ] {
        let asked = SessionRequest {
            output: output("audit", prefix),
            ..request()
        };
        let expected = ["settings.output_config.s3_key_prefix"];
        assert_eq!(fields(&policy, asked), expected, "{prefix:?}");
    }
}

#[test]
fn a_caller_without_an_output_of_its_own_gets_the_default_one() {
    let policy = Policy {
        own_output: false,
        regions: None,
        ..strict()
    };
    let made = policy.apply(&shop(), request()).unwrap();
    assert_eq!(made.output, output("audit", Some("shop/new/")));
    let asked = SessionRequest {
        output: output("audit", Some("shop/new/")),
        ..request()
    };
    assert_eq!(fields(&policy, asked), ["settings.output_config"]);
}

#[test]
fn no_preference_counts_as_awss_own() {
    let policy = Policy {
        challenges: Some(vec![Challenge::FaceMovement]),
        ..Policy::default()
    };
    assert_eq!(
        fields(&policy, request()),
        ["settings.challenge_preferences"]
    );
}

#[test]
fn an_empty_list_allows_nothing() {
    let policy = Policy {
        outputs: Some(Vec::new()),
        kms_keys: Some(KeyPatterns::new(Vec::new())),
        ..Policy::default()
    };
    let asked = SessionRequest {
        output: output("any", None),
        kms_key_id: Some(key("any")),
        ..request()
    };
    assert_eq!(
        fields(&policy, asked),
        ["settings.output_config.s3_bucket", "kms_key_id"]
    );
    assert!(fields(&policy, request()).is_empty());
}

#[test]
fn the_default_region_is_the_first_that_the_caller_may_use() {
    let served = ["us-east-1", "eu-west-1"].map(region);
    assert_eq!(strict().default_region(&served), Some(&served[1]));
    assert_eq!(Policy::default().default_region(&served), Some(&served[0]));
    assert_eq!(
        strict().default_region(&served[..1]),
        Some(&served[0]),
        "to be refused"
    );
}

#[test]
fn debug_output_shows_no_key() {
    let shown = format!("{:?}", strict());
    assert!(!shown.contains("shop"), "{shown}");
}
