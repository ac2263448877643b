//! AWS regions, and which of them have Face Liveness.

use std::fmt;
use std::sync::Arc;

/// The regions that have Face Liveness, as AWS's documentation listed them in
/// November 2026.
pub const WITH_FACE_LIVENESS: [&str; 8] = [
    "us-east-1",
    "us-west-2",
    "eu-west-1",
    "ap-south-1",
    "ap-northeast-1",
    "sa-east-1",
    "ap-southeast-5",
    "ap-southeast-7",
];

/// The longest name of a region that is accepted, in characters.
const MAX_LENGTH: usize = 64;

/// The name of an AWS region: 1 to 64 lower-case letters, digits or `-`.
///
/// ```
/// use face_liveness_gateway::region::Region;
///
/// assert!(Region::parse("eu-west-1").is_ok_and(|region| region.has_face_liveness()));
/// assert!(Region::parse("EU West").is_err());
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Region(Arc<str>);

/// A text that cannot be the name of a region.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("must be 1 to 64 lower-case letters, digits or '-', such as eu-west-1")]
pub struct InvalidRegion;

impl Region {
    /// Parses the name of a region.
    ///
    /// # Errors
    /// When `name` cannot be one.
    pub fn parse(name: &str) -> Result<Self, InvalidRegion> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let fits = (1..=MAX_LENGTH).contains(&name.len()) && name.bytes().all(allowed);
        fits.then(|| Self(name.into())).ok_or(InvalidRegion)
    }

    /// The region's name, such as `eu-west-1`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether AWS lists the region as one with Face Liveness.
    #[must_use]
    pub fn has_face_liveness(&self) -> bool {
        WITH_FACE_LIVENESS.contains(&self.as_str())
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
