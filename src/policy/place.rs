//! Places in Amazon S3: which bucket, and what object names begin with, with the
//! caller's name in it.

use std::fmt;

use super::Pattern;
use crate::caller::Caller;

/// Stands for the caller's name in a prefix.
const CALLER: &str = "{caller}";

/// The longest prefix that AWS takes, in characters.
const MAX_PREFIX: usize = 950;

/// A key prefix in which [`CALLER`] may stand, once.
///
/// The name is written so that it is one segment of the key, and another for
/// every caller: whatever is not a letter, digit, `-`, `_` or `.` becomes `!` and
/// two hexadecimal digits, and so does a `.` at the beginning.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Template {
    before: Box<str>,
    /// What follows the caller's name, if that is wanted at all.
    after: Option<Box<str>>,
}

impl Template {
    /// The template that `text` writes down.
    ///
    /// # Errors
    /// What must hold, when it does not: a prefix that this makes must be one, and
    /// must not climb out of where it seems to lie.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (before, after) = match text.split_once(CALLER) {
            Some((before, after)) => (before, Some(after)),
            None => (text, None),
        };
        let literal = before.len() + after.map_or(0, str::len);
        let longest_name = after.map_or(0, |_| 3 * Caller::MAX_NAME);
        if literal + longest_name > MAX_PREFIX {
            let most = MAX_PREFIX - longest_name;
            return Err(format!("must have at most {most} bytes"));
        }
        let literals = || [before, after.unwrap_or_default()].into_iter();
        if literals().any(|text| text.contains(['{', '}'])) {
            return Err(format!("may hold {CALLER} once, and no other braces"));
        }
        if literals().any(|text| text.chars().any(|c| c.is_whitespace() || c.is_control())) {
            return Err("must not hold white space or control characters".to_owned());
        }
        let template = Self {
            before: before.into(),
            after: after.map(Into::into),
        };
        let example = template.with_name("x");
        if example.starts_with('/') || climbs(&example) {
            return Err("must not begin with '/' nor have '.' or '..' as a segment".to_owned());
        }
        Ok(template)
    }

    /// The prefix for `caller`.
    #[must_use]
    pub fn of(&self, caller: &Caller) -> String {
        self.with_name(&segment(caller))
    }

    fn with_name(&self, name: &str) -> String {
        match &self.after {
            Some(after) => format!("{}{name}{after}", self.before),
            None => self.before.to_string(),
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with_name(CALLER))
    }
}

/// The caller's name as one segment of a key; see [`Template`].
fn segment(caller: &Caller) -> String {
    let Caller::Named(name) = caller else {
        // No name is written so: "an" are no hexadecimal digits.
        return "!anonymous".to_owned();
    };
    let mut segment = String::with_capacity(name.len());
    for (index, byte) in name.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => segment.push(byte.into()),
            b'.' if index > 0 => segment.push('.'),
            other => segment.push_str(&format!("!{other:02X}")),
        }
    }
    segment
}

/// Whether software that takes a key for a path would leave its directory.
fn climbs(prefix: &str) -> bool {
    let mut segments = prefix.split(['/', '\\']);
    segments.any(|segment| segment == "." || segment == "..")
}

/// Buckets, and what names of objects in them must begin with: `BUCKET` or
/// `BUCKET/PREFIX/`. The bucket may be a pattern.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    bucket: Pattern,
    /// Empty or ends with `/`.
    root: Template,
}

impl Place {
    /// The place that `text` writes down.
    ///
    /// # Errors
    /// What must hold, when it does not.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (bucket, root) = text.split_once('/').unwrap_or((text, ""));
        let fits = |b: u8| b.is_ascii_alphanumeric() || b".-_*".contains(&b);
        if bucket.is_empty() || !bucket.bytes().all(fits) {
            return Err(format!(
                "{text:?} must be BUCKET or BUCKET/PREFIX/, the bucket of letters, digits, '.', '-', '_' or '*'"
            ));
        }
        if !root.is_empty() && !root.ends_with('/') {
            return Err(format!(
                "{text:?} must end with '/': without it, {root:?} would also allow {root}-and-more"
            ));
        }
        let root = Template::parse(root).map_err(|problem| format!("{text:?} {problem}"))?;
        Ok(Self {
            bucket: Pattern::new(bucket),
            root,
        })
    }

    /// Whether it has this bucket.
    #[must_use]
    pub fn has_bucket(&self, bucket: &str) -> bool {
        self.bucket.matches(bucket)
    }

    /// Whether objects of `caller` that begin with `prefix` lie in it.
    #[must_use]
    pub fn has_prefix(&self, caller: &Caller, prefix: &str) -> bool {
        let root = self.root.of(caller);
        root.is_empty() || prefix.starts_with(&root) && !climbs(prefix)
    }

    /// The place as it is for `caller`.
    #[must_use]
    pub fn of(&self, caller: &Caller) -> String {
        match self.root.of(caller) {
            root if root.is_empty() => self.bucket.to_string(),
            root => format!("{}/{root}", self.bucket),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::KeyPrefix;

    fn named(name: &str) -> Caller {
        Caller::named(name).unwrap()
    }

    fn lies_in(place: &str, caller: &str, prefix: &str) -> bool {
        let place = Place::parse(place).unwrap();
        place.has_prefix(&named(caller), prefix)
    }

    #[test]
    fn a_prefix_lies_in_a_place_only_as_a_whole_segment() {
        let cases = [
            ("b/a/", "a/", true),
            ("b/a/", "a/x", true),
            ("b/a/", "a//x", true),
            ("b/a/", "a", false),
            ("b/a/", "a-b/", false),
            ("b/a/", "", false),
            ("b/a/", "/a/", false),
            ("b/a/", "A/", false),
            ("b/a/", "a/../c/", false),
            ("b/a/", "a/..", false),
            ("b/a/", "a/./", false),
            ("b/a/", "a/..\\c", false),
            ("b/a/", "a/..x/", true),
            ("b/a/", "./a/", false),
            ("b", "", true),
            ("b", "anything", true),
            ("b/", "anything", true),
        ];
        for (place, prefix, expected) in cases {
            assert_eq!(
                lies_in(place, "x", prefix),
                expected,
                "{prefix:?} in {place}"
            );
        }
    }

    #[test]
    fn a_callers_place_is_no_other_callers() {
        assert!(lies_in("b/{caller}/", "shop", "shop/2026/"));
        assert!(!lies_in("b/{caller}/", "shop", "shop2/"));
        assert!(!lies_in("b/{caller}/", "shop", "payments/"));
        assert!(lies_in("b/{caller}/", "../payments", "!2E.!2Fpayments/"));
        assert!(!lies_in("b/{caller}/", "../payments", "../payments/"));
    }

    #[test]
    fn every_caller_is_a_segment_of_its_own() {
        let template = Template::parse("in/{caller}/").unwrap();
        let cases = [
            ("checkout", "in/checkout/"),
            ("a.b-c_d", "in/a.b-c_d/"),
            ("spiffe://x/y", "in/spiffe!3A!2F!2Fx!2Fy/"),
            ("..", "in/!2E./"),
            (".", "in/!2E/"),
            ("a!2Fb", "in/a!212Fb/"),
            ("{caller}", "in/!7Bcaller!7D/"),
        ];
        for (name, expected) in cases {
            assert_eq!(template.of(&named(name)), expected);
        }
        assert_eq!(template.of(&Caller::Anonymous), "in/!anonymous/");
    }

    #[test]
    fn the_longest_name_still_makes_a_prefix() {
        let text = format!("{}{CALLER}/", "p".repeat(MAX_PREFIX - 3 * 256 - 1));
        let prefix = Template::parse(&text)
            .unwrap()
            .of(&named(&"/".repeat(Caller::MAX_NAME)));
        assert!(KeyPrefix::parse(prefix).is_ok());
        assert!(Template::parse(&format!("p{text}")).is_err());
    }

    #[test]
    fn places_that_would_not_hold_what_they_promise_are_refused() {
        for text in [
            "",
            "/a/",
            "b/a",
            "b//a/",
            "b/../",
            "b/a/../c/",
            "b/{name}/",
            "b/{caller}",
            "b c/",
            "b/{caller}/{caller}/",
            "b/a b/",
            "b/./",
        ] {
            assert!(Place::parse(text).is_err(), "took {text:?}");
        }
    }
}
