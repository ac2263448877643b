//! What a caller may ask for, and what the gateway fills in where it asks for
//! nothing. A gateway whose role at AWS can write to many buckets thus writes to
//! one only for those who may have it written to.
//!
//! | module | what is there |
//! |---|---|
//! | [`pattern`] | `*` and `**` in names |
//! | [`place`] | buckets and prefixes, with the caller's name in them |
//! | [`explain`] | a rule in words, for `check-config --as` |

mod explain;
mod pattern;
mod place;

use crate::caller::Caller;
use crate::refusal::Violation;
use crate::region::Region;
use crate::session::{
    AuditImagesLimit, Bucket, Challenge, ChallengePreference, KeyPrefix, KmsKeyId, OutputConfig,
    SessionRequest,
};

pub use explain::Explained;
pub use pattern::Pattern;
pub use place::{Place, Template};

/// Places that a refusal lists; it travels in headers.
const MOST_LISTED: usize = 5;

/// What a caller may ask for. A list that is `None` allows everything.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Whether it may say itself where images are stored.
    pub own_output: bool,
    /// Where images may be stored.
    pub outputs: Option<Vec<Place>>,
    /// The keys that may encrypt them.
    pub kms_keys: Option<KeyPatterns>,
    /// Where sessions may be made.
    pub regions: Option<Vec<Pattern>>,
    /// The most audit images that a session may keep.
    pub max_audit_images: AuditImagesLimit,
    /// The challenges that the app may show.
    pub challenges: Option<Vec<Challenge>>,
    /// What is filled in.
    pub defaults: Defaults,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            own_output: true,
            outputs: None,
            kms_keys: None,
            regions: None,
            max_audit_images: AuditImagesLimit::MAX,
            challenges: None,
            defaults: Defaults::default(),
        }
    }
}

/// What is filled in where a request says nothing.
#[derive(Clone, Debug, Default)]
pub struct Defaults {
    /// The bucket, if the request has no output configuration.
    pub bucket: Option<Bucket>,
    /// The prefix, if there is a bucket but no prefix.
    pub key_prefix: Option<Template>,
    /// The key that encrypts the images.
    pub kms_key: Option<KmsKeyId>,
    /// How many audit images are kept.
    pub audit_images: Option<AuditImagesLimit>,
    /// The challenges, the preferred one first.
    pub challenges: Vec<ChallengePreference>,
}

/// Patterns of KMS keys. What they are stays out of `Debug`.
#[derive(Clone)]
pub struct KeyPatterns(Vec<Pattern>);

impl KeyPatterns {
    /// The keys that any of `patterns` stands for.
    #[must_use]
    pub fn new(patterns: Vec<Pattern>) -> Self {
        Self(patterns)
    }

    fn allow(&self, key: &KmsKeyId) -> bool {
        self.0.iter().any(|pattern| pattern.matches(key.as_str()))
    }
}

impl std::fmt::Debug for KeyPatterns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyPatterns([{} redacted])", self.0.len())
    }
}

/// What the policy file calls a challenge.
#[must_use]
pub fn challenge_name(challenge: Challenge) -> &'static str {
    match challenge {
        Challenge::FaceMovementAndLight => "face_movement_and_light",
        Challenge::FaceMovement => "face_movement",
    }
}

impl Policy {
    /// The region for a request that names none: the first of those served that
    /// the caller may use. If it may use none, the first, to be refused for it.
    ///
    /// `served` are the gateway's, the default first.
    #[must_use]
    pub fn default_region<'a>(&self, served: &'a [Region]) -> Option<&'a Region> {
        let allowed = served.iter().find(|region| self.allows_region(region));
        allowed.or(served.first())
    }

    /// What becomes of a request of `caller`: it with the defaults filled in.
    ///
    /// # Errors
    /// Every rule that it breaks then, each with its field.
    pub fn apply(
        &self,
        caller: &Caller,
        request: SessionRequest,
    ) -> Result<SessionRequest, Vec<Violation>> {
        let mut violations = Vec::new();
        if request.output.is_some() && !self.own_output {
            let problem = "must be left out: policy.own_output is false";
            violations.push(violation("settings.output_config", problem));
        }
        let request = self.filled_in(caller, request);
        let checks = [
            self.output(caller, &request),
            self.kms_key(&request),
            self.audit_images(&request),
            self.challenges(&request),
            self.region(&request),
        ];
        violations.extend(checks.into_iter().flatten());
        if violations.is_empty() {
            Ok(request)
        } else {
            Err(violations)
        }
    }

    fn filled_in(&self, caller: &Caller, request: SessionRequest) -> SessionRequest {
        let defaults = &self.defaults;
        let default_output = || {
            let bucket = defaults.bucket.clone()?;
            Some(OutputConfig {
                bucket,
                key_prefix: None,
            })
        };
        let mut output = request.output.or_else(default_output);
        if let Some(output) = &mut output
            && output.key_prefix.is_none()
        {
            let prefix = defaults.key_prefix.as_ref();
            // A template makes nothing but prefixes.
            output.key_prefix =
                prefix.and_then(|template| KeyPrefix::parse(template.of(caller)).ok());
        }
        let challenges = match request.challenges {
            none if none.is_empty() => defaults.challenges.clone(),
            asked => asked,
        };
        SessionRequest {
            kms_key_id: request.kms_key_id.or_else(|| defaults.kms_key.clone()),
            output,
            audit_images_limit: request.audit_images_limit.or(defaults.audit_images),
            challenges,
            ..request
        }
    }

    fn output(&self, caller: &Caller, request: &SessionRequest) -> Option<Violation> {
        let (output, places) = (request.output.as_ref()?, self.outputs.as_ref()?);
        let bucket = output.bucket.as_str();
        let of_bucket: Vec<_> = places
            .iter()
            .filter(|place| place.has_bucket(bucket))
            .collect();
        let prefix = output.key_prefix.as_ref().map_or("", KeyPrefix::as_str);
        if of_bucket
            .iter()
            .any(|place| place.has_prefix(caller, prefix))
        {
            return None;
        }
        let (field, allowed) = if of_bucket.is_empty() {
            ("s3_bucket", places.iter().collect())
        } else {
            ("s3_key_prefix", of_bucket)
        };
        Some(violation(
            &format!("settings.output_config.{field}"),
            &format!(
                "must lie in {} (policy.outputs), without '.' or '..' as a segment",
                listed(allowed.iter().map(|place| place.of(caller)))
            ),
        ))
    }

    /// The keys that there are stay unsaid: they are secrets.
    fn kms_key(&self, request: &SessionRequest) -> Option<Violation> {
        let (key, keys) = (request.kms_key_id.as_ref()?, self.kms_keys.as_ref()?);
        let problem = "must be a key that policy.kms_keys allows";
        (!keys.allow(key)).then(|| violation("kms_key_id", problem))
    }

    fn audit_images(&self, request: &SessionRequest) -> Option<Violation> {
        let most = self.max_audit_images.get();
        (request.audit_images_limit?.get() > most).then(|| {
            let problem = format!("must be at most {most} (policy.max_audit_images)");
            violation("settings.audit_images_limit", &problem)
        })
    }

    /// No preference at all is AWS's: movement and light.
    fn challenges(&self, request: &SessionRequest) -> Option<Violation> {
        let allowed = self.challenges.as_ref()?;
        let asked = request.challenges.iter().map(|asked| asked.challenge);
        let unasked = request.challenges.is_empty();
        let mut effective = asked.chain(unasked.then_some(Challenge::FaceMovementAndLight));
        if effective.all(|challenge| allowed.contains(&challenge)) {
            return None;
        }
        let names = allowed.iter().copied().map(challenge_name);
        let problem = format!(
            "must name none but {} (policy.challenges)",
            listed(names.map(str::to_owned))
        );
        Some(violation("settings.challenge_preferences", &problem))
    }

    fn region(&self, request: &SessionRequest) -> Option<Violation> {
        let allowed = self.regions.as_ref()?;
        (!self.allows_region(&request.region)).then(|| {
            let names = listed(allowed.iter().map(ToString::to_string));
            violation("region", &format!("must be {names} (policy.regions)"))
        })
    }

    fn allows_region(&self, region: &Region) -> bool {
        let allowed = self.regions.as_ref();
        allowed.is_none_or(|allowed| {
            allowed
                .iter()
                .any(|pattern| pattern.matches(region.as_str()))
        })
    }
}

fn violation(field: &str, description: &str) -> Violation {
    Violation {
        field: field.to_owned(),
        description: description.to_owned(),
    }
}

/// "a, b or 3 more"; "nothing" if there is none.
fn listed(names: impl ExactSizeIterator<Item = String>) -> String {
    let more = names.len().saturating_sub(MOST_LISTED);
    let mut names: Vec<String> = names.take(MOST_LISTED).collect();
    if more > 0 {
        names.push(format!("{more} more"));
    }
    match names.split_last() {
        None => "nothing, for nothing is allowed".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
    }
}

#[cfg(test)]
mod tests;
