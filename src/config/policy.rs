//! From `policy` tables to what a caller may ask for.

use super::check::Check;
use super::settings::{DefaultsSettings, PolicySettings};
use super::texts::Texts;
use crate::caller::Caller;
use crate::policy::{Defaults, KeyPatterns, Pattern, Place, Policy, Template, challenge_name};
use crate::region::Region;
use crate::session::{
    AuditImagesLimit, Bucket, Challenge, ChallengePreference, KmsKeyId, SessionRequest, Version,
};

impl Check<'_> {
    /// The policy at `at`, over `general`, for `caller` or one like it; what makes no
    /// sense is noted and left out, which is of no effect because a configuration with
    /// mistakes is not used.
    pub(super) fn policy(
        &mut self,
        at: &str,
        settings: &PolicySettings,
        general: &Policy,
        caller: &Caller,
    ) -> Policy {
        let at = format!("{at}.policy");
        let general = general.clone();
        let key = |name: &str| format!("{at}.{name}");
        let pattern = |text: &str| Ok(Pattern::new(text));
        let region = |text: &str| {
            let is_one = text.contains('*') || Region::parse(text).is_ok();
            let problem = || format!("{text:?} must be a region, or several with '*'");
            is_one.then(|| Pattern::new(text)).ok_or_else(problem)
        };
        let policy = Policy {
            own_output: settings.own_output.unwrap_or(general.own_output),
            outputs: self
                .each(&key("outputs"), settings.outputs.as_ref(), Place::parse)
                .or(general.outputs),
            kms_keys: self
                .each(&key("kms_keys"), settings.kms_keys.as_ref(), pattern)
                .map(KeyPatterns::new)
                .or(general.kms_keys),
            regions: self
                .each(&key("regions"), settings.regions.as_ref(), region)
                .or(general.regions),
            max_audit_images: self
                .images(&key("max_audit_images"), settings.max_audit_images)
                .unwrap_or(general.max_audit_images),
            challenges: self
                .each(&key("challenges"), settings.challenges.as_ref(), challenge)
                .or(general.challenges),
            defaults: self.defaults(&key("defaults"), &settings.defaults, general.defaults),
        };
        self.defaults_keep_the_rules(&at, &policy, caller);
        policy
    }

    fn defaults(&mut self, at: &str, settings: &DefaultsSettings, general: Defaults) -> Defaults {
        let key = |name: &str| format!("{at}.{name}");
        let bucket = |text: &str| Bucket::parse(text.to_owned()).map_err(|e| e.to_string());
        let kms_key = |text: &str| KmsKeyId::parse(text.to_owned()).map_err(|e| e.to_string());
        let challenges = settings.challenges.as_ref();
        Defaults {
            bucket: self
                .one(&key("bucket"), settings.bucket.as_deref(), bucket)
                .or(general.bucket),
            key_prefix: self
                .one(
                    &key("key_prefix"),
                    settings.key_prefix.as_deref(),
                    Template::parse,
                )
                .or(general.key_prefix),
            kms_key: self
                .one(&key("kms_key"), settings.kms_key.as_deref(), kms_key)
                .or(general.kms_key),
            audit_images: self
                .images(&key("audit_images"), settings.audit_images)
                .or(general.audit_images),
            challenges: self
                .each(&key("challenges"), challenges, preference)
                .unwrap_or(general.challenges),
        }
    }

    fn one<T>(
        &mut self,
        key: &str,
        text: Option<&str>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        parse(text?)
            .map_err(|problem| self.mistake(key, problem))
            .ok()
    }

    fn each<T>(
        &mut self,
        key: &str,
        texts: Option<&Texts>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let texts = texts?.0.iter();
        Some(
            texts
                .filter_map(|text| self.one(key, Some(text), &parse))
                .collect(),
        )
    }

    fn images(&mut self, key: &str, number: Option<u8>) -> Option<AuditImagesLimit> {
        let limit = AuditImagesLimit::nearest(number?.into());
        if Some(limit.get()) != number {
            let most = AuditImagesLimit::MAX.get();
            self.mistake(key, format!("must be 0 to {most}"));
        }
        Some(limit)
    }

    /// A caller that asks for nothing must not be refused for what was filled in.
    fn defaults_keep_the_rules(&mut self, at: &str, policy: &Policy, caller: &Caller) {
        let Ok(region) = Region::parse("any") else {
            return;
        };
        let nothing = SessionRequest {
            region,
            kms_key_id: None,
            output: None,
            audit_images_limit: None,
            challenges: Vec::new(),
            token: None,
        };
        let challenges = !policy.defaults.challenges.is_empty();
        for broken in policy.apply(caller, nothing).err().unwrap_or_default() {
            let key = match broken.field.as_str() {
                "settings.output_config.s3_bucket" => "bucket",
                "settings.output_config.s3_key_prefix" => "key_prefix",
                "kms_key_id" => "kms_key",
                "settings.audit_images_limit" => "audit_images",
                "settings.challenge_preferences" if challenges => "challenges",
                _ => continue,
            };
            let problem = format!("breaks the policy itself: {}", broken.description);
            self.mistake(&format!("{at}.defaults.{key}"), problem);
        }
    }
}

fn challenge(name: &str) -> Result<Challenge, String> {
    let known = [Challenge::FaceMovementAndLight, Challenge::FaceMovement];
    let found = known
        .into_iter()
        .find(|known| challenge_name(*known) == name);
    found.ok_or_else(|| {
        let [light, movement] = known.map(challenge_name);
        format!("{name:?} must be {light} or {movement}")
    })
}

/// `face_movement`, `face_movement:1.0.0-2.0.0`, with either version left out.
fn preference(text: &str) -> Result<ChallengePreference, String> {
    let (name, versions) = text.split_once(':').unwrap_or((text, "-"));
    let (minimum, maximum) = versions
        .split_once('-')
        .ok_or_else(|| format!("{text:?} must be written like face_movement:1.0.0-2.0.0"))?;
    let version = |text: &str| match text {
        "" => Ok(None),
        text => Version::parse(text.to_owned())
            .map(Some)
            .map_err(|error| format!("the version {text:?} {error}")),
    };
    Ok(ChallengePreference {
        challenge: challenge(name)?,
        minimum: version(minimum)?,
        maximum: version(maximum)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferences_are_a_challenge_and_a_range_of_versions() {
        let range = |text| {
            let preference = preference(text).unwrap();
            [preference.minimum, preference.maximum]
                .map(|version| version.map(|version| version.as_str().to_owned()))
        };
        assert_eq!(range("face_movement"), [None, None]);
        let [one, two] = ["1.0.0", "2.0.0"].map(|version| Some(version.to_owned()));
        assert_eq!(range("face_movement:1.0.0-"), [one.clone(), None]);
        assert_eq!(range("face_movement_and_light:1.0.0-2.0.0"), [one, two]);
        for text in ["smile", "face_movement:1.0.0", "face_movement:1-2"] {
            assert!(preference(text).is_err(), "took {text:?}");
        }
    }
}
