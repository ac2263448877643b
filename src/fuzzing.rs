//! What must hold whatever comes in. Each function takes any bytes, and panics when it
//! does not hold: the targets in `fuzz/` look for such bytes, and ordinary tests replay
//! those of `fuzz/corpus`. Public for these two alone.

use face_liveness_client::v1;
use prost::Message as _;
use tonic::Status;

use crate::caller::{Caller, Rule};
use crate::config;
use crate::policy::{Pattern, Place};
use crate::region::Region;
use crate::service;
use crate::session::{Challenge, ChallengePreference, SessionRequest};
use crate::trial::Trial;

/// What clients take of a refusal's metadata at least.
const MAX_DETAILS: usize = 8 * 1024;

/// Between the parts of an input that has several.
const SEPARATOR: &str = "\n---\n";

/// The bytes of a request: it becomes a session request that says the same, or a
/// refusal that fits into the metadata of an answer.
pub fn request(bytes: &[u8]) {
    let Ok(request) = v1::CreateSessionRequest::decode(bytes) else {
        return;
    };
    let served = regions(["us-east-1", "eu-west-1"]);
    let (caller, rule) = (Caller::Anonymous, Rule::default());
    match service::resolve(request, &caller, &rule, &served) {
        Ok(session) => {
            let again = service::resolve(message(&session), &caller, &rule, &served);
            assert_eq!(again.ok(), Some(session), "it says something else");
        }
        Err(refusal) => {
            let status = Status::from(refusal);
            let told = status.details().len() + status.message().len();
            assert!(told <= MAX_DETAILS, "the refusal has {told} bytes");
        }
    }
}

/// A pattern, a name, a place, a prefix, a configuration file and a request in JSON,
/// with `---` between them: what is allowed lies where it may, whoever asks.
pub fn policy(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut parts = text.splitn(6, SEPARATOR);
    let mut part = || parts.next().unwrap_or_default();
    let (pattern, name, place, prefix, toml, json) =
        (part(), part(), part(), part(), part(), part());
    patterns(pattern, name);
    places(place, prefix, name);
    let Ok((config, _)) = config::of_text(toml) else {
        return;
    };
    let Some(caller) = Caller::named(name) else {
        return;
    };
    let rule = config.callers.rule(&caller);
    if let Ok(trial) = Trial::run(&config, name, Some(json)) {
        let _ = trial.to_string();
        if let Some(session) = trial.session().filter(|_| rule.policy.own_output) {
            let again = rule.policy.apply(&caller, session.clone());
            assert_eq!(again.as_ref(), Ok(session), "what was filled in is refused");
        }
    }
}

/// The text of a configuration file: it is a configuration, whose printed form is one
/// too, or has mistakes that say where.
pub fn config(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match config::of_text(&text) {
        Ok((_, effective)) => {
            let printed = effective.to_string();
            // What is hidden is no value.
            if printed.contains("[redacted]") {
                return;
            }
            let again = config::of_text(&printed).map(|(_, effective)| effective);
            let mut differ = again.as_ref().map(|again| effective.differences(again));
            // It is shown without who the gateway is to the store.
            if let Ok(keys) = &mut differ {
                keys.retain(|key| key != "quota_store");
            }
            assert_eq!(differ, Ok(Vec::new()), "the printed form differs");
        }
        Err(mistakes) => {
            let all = mistakes.as_slice();
            let told = |mistake: &config::Mistake| {
                !mistake.place.is_empty() && !mistake.problem.is_empty()
            };
            assert!(!all.is_empty() && all.iter().all(told), "{mistakes}");
        }
    }
}

fn patterns(pattern: &str, name: &str) {
    // What follows is slower than the real one.
    if pattern.len() > 64 || name.len() > 64 {
        return;
    }
    let expected = stands_for(pattern.as_bytes(), name.as_bytes());
    assert_eq!(Pattern::new(pattern).matches(name), expected);
}

/// What a pattern means, one byte after the other.
fn stands_for(pattern: &[u8], name: &[u8]) -> bool {
    // Row by row, from the end: whether the rest of the pattern is the rest of the name.
    let mut rest = vec![false; name.len() + 1];
    if let Some(last) = rest.last_mut() {
        *last = true;
    }
    let mut end = pattern.len();
    while end > 0 {
        let stars = pattern[..end]
            .iter()
            .rev()
            .take_while(|b| **b == b'*')
            .count();
        // Stars pair up from the left.
        let width = if stars > 0 && stars.is_multiple_of(2) {
            2
        } else {
            1
        };
        let part = &pattern[end - width..end];
        let mut next = vec![false; name.len() + 1];
        for at in (0..=name.len()).rev() {
            let here = name.get(at).copied();
            next[at] = match part {
                b"**" => rest[at] || here.is_some() && next[at + 1],
                b"*" => rest[at] || here.is_some_and(|byte| byte != b'/') && next[at + 1],
                literal => here == literal.first().copied() && here.is_some() && rest[at + 1],
            };
        }
        rest = next;
        end -= width;
    }
    rest[0]
}

fn places(place: &str, prefix: &str, name: &str) {
    let (Ok(parsed), Some(caller)) = (Place::parse(place), Caller::named(name)) else {
        return;
    };
    if !parsed.has_prefix(&caller, prefix) {
        return;
    }
    let own = parsed.of(&caller);
    let root = own.split_once('/').map_or("", |(_, root)| root);
    assert!(prefix.starts_with(root), "{prefix:?} is not in {own:?}");
    let climbs = |segment: &str| segment == "." || segment == "..";
    let climbing = prefix.split(['/', '\\']).any(climbs);
    assert!(root.is_empty() || !climbing, "{prefix:?} leaves {own:?}");
    let other = Caller::named(&format!("{name}x"));
    if let Some(other) = other.filter(|_| place.contains("{caller}")) {
        assert!(
            !parsed.has_prefix(&other, prefix),
            "{prefix:?} is {other}'s"
        );
    }
}

fn regions(names: [&str; 2]) -> Vec<Region> {
    names
        .iter()
        .filter_map(|name| Region::parse(name).ok())
        .collect()
}

/// The request that says what `session` says.
fn message(session: &SessionRequest) -> v1::CreateSessionRequest {
    let output = session.output.as_ref().map(|output| v1::OutputConfig {
        s3_bucket: output.bucket.as_str().to_owned(),
        s3_key_prefix: output
            .key_prefix
            .as_ref()
            .map(|prefix| prefix.as_str().to_owned()),
    });
    v1::CreateSessionRequest {
        kms_key_id: session
            .kms_key_id
            .as_ref()
            .map(|key| key.as_str().to_owned()),
        settings: Some(v1::Settings {
            output_config: output,
            audit_images_limit: session.audit_images_limit.map(|limit| limit.get().into()),
            challenge_preferences: session.challenges.iter().map(preference).collect(),
        }),
        client_request_token: session
            .token
            .as_ref()
            .map(|token| token.as_str().to_owned()),
        region: Some(session.region.to_string()),
    }
}

fn preference(asked: &ChallengePreference) -> v1::ChallengePreference {
    let kind = match asked.challenge {
        Challenge::FaceMovementAndLight => v1::ChallengeType::FaceMovementAndLight,
        Challenge::FaceMovement => v1::ChallengeType::FaceMovement,
    };
    let [minimum, maximum] = [&asked.minimum, &asked.maximum]
        .map(|version| version.as_ref().map(|version| version.as_str().to_owned()));
    v1::ChallengePreference {
        r#type: kind.into(),
        versions: Some(v1::ChallengeVersions { minimum, maximum }),
    }
}
