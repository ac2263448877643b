//! The domain: what a session shall be, and what it is. A value of one of these
//! types keeps Amazon Rekognition's constraints; the types that carry secrets
//! do not show them in their `Debug` output.
//!
//! The constraints are those of AWS's API model (`Rekognition` 2016-06-27).

use std::fmt;
use std::time::{Duration, SystemTime};

use uuid::Uuid;

use crate::region::Region;

/// How long a session is usable once it has been made.
/// Source: AWS's documentation of `CreateFaceLivenessSession`.
pub const SESSION_LIFETIME: Duration = Duration::from_secs(180);

/// The most audit images that a session keeps.
const MAX_AUDIT_IMAGES: u8 = 4;

/// Why a text is not a value of the type asked for, in the words of a
/// description: "must be …".
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(&'static str);

/// What a session shall be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SessionRequest {
    /// Where to make it.
    pub region: Region,
    /// The key that encrypts the images in the bucket.
    pub kms_key_id: Option<KmsKeyId>,
    /// Where the images are stored.
    pub output: Option<OutputConfig>,
    /// How many audit images to keep.
    pub audit_images_limit: Option<AuditImagesLimit>,
    /// The challenges that the app may show, the preferred one first.
    pub challenges: Vec<ChallengePreference>,
    /// The caller's name for this intent.
    pub token: Option<Token>,
}

/// A place in Amazon S3.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OutputConfig {
    /// The bucket.
    pub bucket: Bucket,
    /// What the objects' names begin with.
    pub key_prefix: Option<KeyPrefix>,
}

/// One challenge, and which of its versions will do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ChallengePreference {
    /// The challenge.
    pub challenge: Challenge,
    /// The lowest version that will do.
    pub minimum: Option<Version>,
    /// The highest version that will do.
    pub maximum: Option<Version>,
}

/// What the person in front of the camera is asked to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Challenge {
    /// Move the face into an oval, then watch flashing colours.
    FaceMovementAndLight,
    /// Move the face into an oval.
    FaceMovement,
}

/// A session that Amazon Rekognition has made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Where it lives.
    pub region: Region,
    /// When AWS was first asked for it, by this machine's clock: it was made then
    /// or later, and so does not expire before [`expire_time`](Self::expire_time).
    pub create_time: SystemTime,
    /// The id of the request at AWS, if AWS told one.
    pub request_id: Option<String>,
}

impl Session {
    /// When the session stops being usable.
    #[must_use]
    pub fn expire_time(&self) -> SystemTime {
        self.create_time + SESSION_LIFETIME
    }
}

/// A number of audit images: 0 to 4. As AWS's documentation says, less than 0
/// counts as 0 and more than 4 as 4.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AuditImagesLimit(u8);

impl AuditImagesLimit {
    /// The highest.
    pub const MAX: Self = Self(MAX_AUDIT_IMAGES);

    /// The number nearest to `limit`.
    #[must_use]
    pub fn nearest(limit: i32) -> Self {
        Self(
            u8::try_from(limit.max(0))
                .map_or(MAX_AUDIT_IMAGES, |limit| limit.min(MAX_AUDIT_IMAGES)),
        )
    }

    /// The number, in images.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }
}

/// Defines a text that keeps a constraint: `parse` checks it, `as_str` gives it
/// back.
macro_rules! constrained_text {
    ($(#[$doc:meta])* $name:ident, $valid:expr, $rule:literal) => {
        $(#[$doc])*
        #[derive(Clone, Eq, PartialEq)]
        pub struct $name(String);

        impl $name {
            /// Takes `text` if it keeps the constraint.
            ///
            /// # Errors
            /// When it does not.
            pub fn parse(text: String) -> Result<Self, Invalid> {
                let valid: fn(&str) -> bool = $valid;
                if valid(&text) { Ok(Self(text)) } else { Err(Invalid($rule)) }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}

/// Shows the type's name only.
macro_rules! secret {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "([redacted])"))
            }
        }
    )*};
}

/// Shows the text.
macro_rules! shown {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    )*};
}

constrained_text!(
    /// An AWS KMS key: its id, ARN or alias. A secret.
    KmsKeyId,
    |text| {
        let first = |b: &u8| b.is_ascii_alphanumeric();
        let other = |b: u8| b.is_ascii_alphanumeric() || b":_/+=,@.-".contains(&b);
        (1..=2048).contains(&text.len()) && text.as_bytes().first().is_some_and(first) && text.bytes().all(other)
    },
    "must be 1 to 2048 letters, digits or any of :_/+=,@.- and begin with a letter or digit"
);

constrained_text!(
    /// The name of an intent: one token, one session. A secret.
    Token,
    |text| (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'),
    "must be 1 to 64 letters, digits, '-' or '_'"
);

constrained_text!(
    /// The name of a bucket.
    Bucket,
    |text| (3..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b)),
    "must be 3 to 255 letters, digits, '.', '-' or '_'"
);

constrained_text!(
    /// What the names of objects begin with.
    KeyPrefix,
    |text| text.chars().count() <= 950 && !text.contains([' ', '\t', '\n', '\x0B', '\x0C', '\r']),
    "must be at most 950 characters, none of them white space"
);

constrained_text!(
    /// The version of a challenge, such as `1.0.0`.
    Version,
    |text| {
        let number = |part: &str| {
            (1..=3).contains(&part.len())
                && part.bytes().all(|b| b.is_ascii_digit())
                && (part.len() == 1 || !part.starts_with('0'))
        };
        text.split('.').count() == 3 && text.split('.').all(number)
    },
    "must be three numbers of 0 to 999 without leading zeros, joined by '.', such as 1.0.0"
);

constrained_text!(
    /// The id of a session: a lower-case UUID. A secret.
    SessionId,
    |text| text.len() == 36 && Uuid::try_parse(text).is_ok() && !text.bytes().any(|b| b.is_ascii_uppercase()),
    "must be a lower-case UUID of 36 characters"
);

secret!(KmsKeyId, Token, SessionId);
shown!(Bucket, KeyPrefix, Version);

impl Token {
    /// A token that nobody has used: a random UUID.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4().to_string())
    }

    /// The token that a digest of 256 bits is in lower-case hexadecimal.
    #[must_use]
    pub fn of_digest(digest: [u8; 32]) -> Self {
        let digits = digest.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
        Self(
            digits
                .map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks a parser against texts that it must take and must not take.
    fn check<T>(parse: fn(String) -> Result<T, Invalid>, good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(parse((*text).to_owned()).is_ok(), "refused {text:?}");
        }
        for text in bad {
            assert!(parse((*text).to_owned()).is_err(), "took {text:?}");
        }
    }

    #[test]
    fn kms_key_ids_keep_the_models_constraint() {
        let longest = "k".repeat(2048);
        let arn = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        check(
            KmsKeyId::parse,
            &["a", "alias/my_key", arn, &longest],
            &["", "-a", "/a", "a b", "é", &format!("{longest}k")],
        );
    }

    #[test]
    fn tokens_keep_the_models_constraint() {
        let longest = "t".repeat(64);
        check(
            Token::parse,
            &["a", "A-z_0", &longest],
            &["", "a b", "a.b", "ü", &format!("{longest}t")],
        );
    }

    #[test]
    fn buckets_keep_the_models_constraint() {
        let longest = "b".repeat(255);
        check(
            Bucket::parse,
            &["abc", "My.bucket_1-x", &longest],
            &["", "ab", "a/b", "äbc", &format!("{longest}b")],
        );
    }

    #[test]
    fn key_prefixes_keep_the_models_constraint() {
        let longest = "é".repeat(950);
        check(
            KeyPrefix::parse,
            &["", "a/b/", "ü!", &longest],
            &["a b", "a\n", &format!("{longest}é")],
        );
    }

    #[test]
    fn versions_keep_the_models_constraint() {
        check(
            Version::parse,
            &["0.0.0", "1.0.0", "999.999.999"],
            &[
                "", "1", "1.0", "1.0.0.0", "01.0.0", "1.00.0", "1000.0.0", "1..0", "1.0.a",
                "1.0.0 ",
            ],
        );
    }

    #[test]
    fn session_ids_are_lower_case_uuids() {
        check(
            SessionId::parse,
            &["6f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f9"],
            &[
                "",
                "6F1E2D3C-4b5a-4978-8695-a4b3c2d1e0f9",
                "6f1e2d3c4b5a49788695a4b3c2d1e0f9",
                "{6f1e2d3c-4b5a-4978-8695-a4b3c2d1e}",
                "6f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f9x",
            ],
        );
    }

    #[test]
    fn audit_images_limits_count_as_the_nearest_of_0_to_4() {
        let nearest = |limit| AuditImagesLimit::nearest(limit).get();
        assert_eq!(
            [i32::MIN, -1, 0, 3, 4, 5, 300, i32::MAX].map(nearest),
            [0, 0, 0, 3, 4, 4, 4, 4]
        );
    }

    #[test]
    fn random_tokens_are_tokens_and_differ() {
        assert!(Token::parse(Token::random().as_str().to_owned()).is_ok());
        assert_ne!(Token::random(), Token::random());
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let shown = format!(
            "{:?} {:?} {:?}",
            KmsKeyId::parse("alias/x".into()),
            Token::parse("xyz".into()),
            SessionId::parse("6f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f9".into())
        );
        assert_eq!(
            shown,
            "Ok(KmsKeyId([redacted])) Ok(Token([redacted])) Ok(SessionId([redacted]))"
        );
    }
}
