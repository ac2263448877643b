//! What is remembered of a request's parameters: enough to tell which of them
//! differ, too little to tell what they are.

use sha2::{Digest as _, Sha256};

use crate::session::{Challenge, KeyPrefix, KmsKeyId, SessionRequest, Token, Version};

/// The fields that are compared, by their paths in the protobuf request.
const FIELDS: [&str; 5] = [
    "kms_key_id",
    "settings.output_config",
    "settings.audit_images_limit",
    "settings.challenge_preferences",
    "region",
];

/// Bytes a field: with 64 bits, one pair of different values in 10^19 looks
/// alike.
const WIDTH: usize = 8;

/// A digest of each parameter of a request, keyed with its upstream token: it
/// can be compared with another of the same token and serves for nothing else.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fingerprint([u8; Self::LENGTH]);

impl Fingerprint {
    /// The length, in bytes.
    pub const LENGTH: usize = FIELDS.len() * WIDTH;

    /// The fingerprint of `session` under an upstream token.
    #[must_use]
    pub fn of(session: &SessionRequest, token: &Token) -> Self {
        let fields = [kms_key_id, output, audit_images_limit, challenges, region];
        let keyed = Field(Sha256::new()).text(token.as_str());
        let mut bytes = [0; Self::LENGTH];
        for ((place, name), field) in bytes.chunks_exact_mut(WIDTH).zip(FIELDS).zip(fields) {
            let digest = field(session, keyed.clone().text(name)).0.finalize();
            place.copy_from_slice(&digest[..WIDTH]);
        }
        Self(bytes)
    }

    /// The paths of the fields in which the two requests differ.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        let pairs = self.0.chunks(WIDTH).zip(other.0.chunks(WIDTH));
        let fields = FIELDS.into_iter().zip(pairs);
        fields
            .filter_map(|(name, (mine, theirs))| (mine != theirs).then_some(name))
            .collect()
    }

    /// The fingerprint as bytes, for a store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    /// The fingerprint that a store kept.
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }
}

fn kms_key_id(session: &SessionRequest, field: Field) -> Field {
    field.maybe(session.kms_key_id.as_ref().map(KmsKeyId::as_str))
}

fn output(session: &SessionRequest, field: Field) -> Field {
    let Some(output) = &session.output else {
        return field.maybe(None);
    };
    let prefix = output.key_prefix.as_ref().map(KeyPrefix::as_str);
    field.maybe(Some(output.bucket.as_str())).maybe(prefix)
}

fn audit_images_limit(session: &SessionRequest, field: Field) -> Field {
    match session.audit_images_limit {
        Some(limit) => field.byte(1).byte(limit.get()),
        None => field.byte(0),
    }
}

fn challenges(session: &SessionRequest, field: Field) -> Field {
    session.challenges.iter().fold(field, |field, preference| {
        let kind = match preference.challenge {
            Challenge::FaceMovementAndLight => 1,
            Challenge::FaceMovement => 2,
        };
        field
            .byte(kind)
            .maybe(preference.minimum.as_ref().map(Version::as_str))
            .maybe(preference.maximum.as_ref().map(Version::as_str))
    })
}

fn region(session: &SessionRequest, field: Field) -> Field {
    field.text(session.region.as_str())
}

/// Hashes values so that no two of them are the same bytes: every text goes in
/// with its length before it, every optional one with whether it is there.
#[derive(Clone)]
struct Field(Sha256);

impl Field {
    fn byte(self, byte: u8) -> Self {
        Self(self.0.chain_update([byte]))
    }

    fn text(self, text: &str) -> Self {
        let length = (text.len() as u64).to_be_bytes();
        Self(self.0.chain_update(length).chain_update(text))
    }

    fn maybe(self, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.byte(1).text(text),
            None => self.byte(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::Region;
    use crate::session::{AuditImagesLimit, Bucket, ChallengePreference, OutputConfig};
    use crate::upstream::testing::session_request;

    fn token() -> Token {
        Token::parse("t".to_owned()).unwrap()
    }

    fn output(bucket: &str, prefix: Option<&str>) -> OutputConfig {
        OutputConfig {
            bucket: Bucket::parse(bucket.to_owned()).unwrap(),
            key_prefix: prefix.map(|prefix| KeyPrefix::parse(prefix.to_owned()).unwrap()),
        }
    }

    fn challenge(challenge: Challenge, minimum: Option<&str>) -> ChallengePreference {
        ChallengePreference {
            challenge,
            minimum: minimum.map(|version| Version::parse(version.to_owned()).unwrap()),
            maximum: None,
        }
    }

    /// What differs between two requests that `before` and `after` change.
    fn differences(
        before: impl FnOnce(&mut SessionRequest),
        after: impl FnOnce(&mut SessionRequest),
    ) -> Vec<&'static str> {
        let (mut first, mut second) = (session_request(), session_request());
        before(&mut first);
        after(&mut second);
        let first = Fingerprint::of(&first, &token());
        first.differences(&Fingerprint::of(&second, &token()))
    }

    #[test]
    fn equal_parameters_do_not_differ() {
        let all = |request: &mut SessionRequest| request.output = Some(output("bucket", Some("p")));
        assert!(differences(all, all).is_empty());
    }

    #[test]
    fn each_field_that_differs_is_named_and_no_other() {
        let key = |request: &mut SessionRequest| {
            request.kms_key_id = Some(KmsKeyId::parse("k".to_owned()).unwrap());
        };
        assert_eq!(differences(|_| {}, key), ["kms_key_id"]);
        let limit = |request: &mut SessionRequest| {
            request.audit_images_limit = Some(AuditImagesLimit::nearest(0));
        };
        assert_eq!(differences(|_| {}, limit), ["settings.audit_images_limit"]);
        let elsewhere =
            |request: &mut SessionRequest| request.region = Region::parse("eu-west-1").unwrap();
        assert_eq!(differences(key, elsewhere), ["kms_key_id", "region"]);
    }

    #[test]
    fn an_absent_prefix_is_not_an_empty_one() {
        let changed = differences(
            |request| request.output = Some(output("bucket", None)),
            |request| request.output = Some(output("bucket", Some(""))),
        );
        assert_eq!(changed, ["settings.output_config"]);
    }

    #[test]
    fn the_order_of_challenges_and_their_versions_count() {
        use Challenge::{FaceMovement, FaceMovementAndLight};
        let both = [FaceMovement, FaceMovementAndLight].map(|kind| challenge(kind, None));
        let reversed = both.iter().rev().cloned().collect();
        let newer = vec![challenge(FaceMovement, Some("1.0.0")), both[1].clone()];
        for other in [reversed, newer, vec![both[0].clone()]] {
            let changed = differences(
                |request| request.challenges = both.to_vec(),
                |request| request.challenges = other,
            );
            assert_eq!(changed, ["settings.challenge_preferences"]);
        }
    }

    #[test]
    fn under_another_token_nothing_can_be_compared() {
        let other = Token::parse("u".to_owned()).unwrap();
        let request = session_request();
        let differing =
            Fingerprint::of(&request, &token()).differences(&Fingerprint::of(&request, &other));
        assert_eq!(differing, FIELDS);
    }
}
