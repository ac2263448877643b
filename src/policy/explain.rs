//! A rule in words: what a caller may do, and why.

use std::fmt;

use super::{Place, Policy, challenge_name};
use crate::caller::{Caller, Rule};
use crate::session::{Challenge, ChallengePreference, Version};

/// What `rule` means for `caller`. Its `Display` is for the operator: it shows
/// which places are allowed, and of keys only how many patterns there are.
#[derive(Clone, Copy, Debug)]
pub struct Explained<'a> {
    /// Who.
    pub caller: &'a Caller,
    /// The rule that holds for it.
    pub rule: &'a Rule,
}

impl fmt::Display for Explained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { caller, rule } = self;
        writeln!(f, "{caller}: the rule of {} holds", rule.name)?;
        if !rule.admitted {
            return writeln!(f, "  admitted            no: every call is refused");
        }
        writeln!(f, "  admitted            yes")?;
        match rule.rate {
            None => writeln!(f, "  rate                no limit but the account's")?,
            Some(rate) => writeln!(
                f,
                "  rate                {} a second, {} at once",
                rate.per_second(),
                rate.burst()
            )?,
        }
        writeln!(f, "  weight              {}", rule.weight)?;
        self.allowed(f, &rule.policy)?;
        self.defaults(f, &rule.policy)
    }
}

impl Explained<'_> {
    fn allowed(&self, f: &mut fmt::Formatter<'_>, policy: &Policy) -> fmt::Result {
        let places = |places: &Vec<Place>| joined(places.iter().map(|p| p.of(self.caller)));
        let own = if policy.own_output { "yes" } else { "no" };
        writeln!(f, "  own output          {own}")?;
        line(f, "outputs", policy.outputs.as_ref().map(places))?;
        let keys = policy.kms_keys.as_ref();
        line(
            f,
            "KMS keys",
            keys.map(|keys| match keys.0.len() {
                0 => "none".to_owned(),
                1 => "one pattern".to_owned(),
                many => format!("{many} patterns"),
            }),
        )?;
        let regions = policy.regions.as_ref();
        line(
            f,
            "regions",
            regions.map(|regions| joined(regions.iter().map(ToString::to_string))),
        )?;
        let most = policy.max_audit_images.get();
        writeln!(f, "  audit images        at most {most}")?;
        let names = |challenges: &Vec<Challenge>| {
            joined(
                challenges
                    .iter()
                    .map(|challenge| challenge_name(*challenge).to_owned()),
            )
        };
        line(f, "challenges", policy.challenges.as_ref().map(names))
    }

    fn defaults(&self, f: &mut fmt::Formatter<'_>, policy: &Policy) -> fmt::Result {
        let defaults = &policy.defaults;
        let mut filled = Vec::new();
        if let Some(bucket) = &defaults.bucket {
            filled.push(format!("bucket {}", bucket.as_str()));
        }
        if let Some(prefix) = &defaults.key_prefix {
            filled.push(format!("prefix {}", prefix.of(self.caller)));
        }
        if defaults.kms_key.is_some() {
            filled.push("a KMS key".to_owned());
        }
        if let Some(images) = defaults.audit_images {
            filled.push(format!("{} audit images", images.get()));
        }
        filled.extend(defaults.challenges.iter().map(preferred));
        let filled = if filled.is_empty() {
            "nothing".to_owned()
        } else {
            filled.join(", ")
        };
        writeln!(f, "  filled in           {filled}")
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, allowed: Option<String>) -> fmt::Result {
    let allowed = allowed.unwrap_or_else(|| "any".to_owned());
    writeln!(f, "  {name:<20}{allowed}")
}

fn joined(names: impl Iterator<Item = String>) -> String {
    let names: Vec<_> = names.collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

fn preferred(preference: &ChallengePreference) -> String {
    let name = challenge_name(preference.challenge);
    let version = |version: &Option<Version>| {
        let version = version.as_ref().map(Version::as_str);
        version.unwrap_or_default().to_owned()
    };
    match (version(&preference.minimum), version(&preference.maximum)) {
        (from, to) if from.is_empty() && to.is_empty() => name.to_owned(),
        (from, to) => format!("{name}:{from}-{to}"),
    }
}
