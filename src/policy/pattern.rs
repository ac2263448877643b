//! Patterns for names: of callers, buckets, keys and regions.

use std::cmp::Reverse;
use std::fmt;

/// A name, or many: `*` stands for any characters but `/`, `**` for any at all.
/// Everything else stands for itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pattern {
    text: Box<str>,
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Part {
    Literal(u8),
    /// Any number of bytes but `/`.
    Segment,
    /// Any number of bytes.
    Anything,
}

impl Pattern {
    /// The pattern that `text` writes down.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut parts = Vec::with_capacity(text.len());
        let mut rest = text.as_bytes();
        while let Some((&first, after)) = rest.split_first() {
            let (part, after) = match (first, after.split_first()) {
                (b'*', Some((b'*', after))) => (Part::Anything, after),
                (b'*', _) => (Part::Segment, after),
                _ => (Part::Literal(first), after),
            };
            parts.push(part);
            rest = after;
        }
        Self {
            text: text.into(),
            parts,
        }
    }

    /// Whether it stands for one name only.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.parts
            .iter()
            .all(|part| matches!(part, Part::Literal(_)))
    }

    /// How much it says: of two patterns that match, the one with more characters
    /// given says more, and of two alike the one with fewer `**`, then fewer `*`.
    #[must_use]
    pub fn specificity(&self) -> impl Ord + use<> {
        let (mut literals, mut segments, mut anything) = (0_usize, 0_usize, 0_usize);
        for part in &self.parts {
            match part {
                Part::Literal(_) => literals += 1,
                Part::Segment => segments += 1,
                Part::Anything => anything += 1,
            }
        }
        (literals, Reverse(anything), Reverse(segments))
    }

    /// Whether it stands for `name`.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        // Each byte moves all places that the match may have reached at once: no
        // pattern takes longer than its length times the name's.
        let mut reached = vec![false; self.parts.len() + 1];
        reached[0] = true;
        self.pass_wildcards(&mut reached);
        for byte in name.bytes() {
            let mut next = vec![false; reached.len()];
            for (place, part) in self.parts.iter().enumerate() {
                if !reached[place] {
                    continue;
                }
                match part {
                    Part::Literal(literal) => next[place + 1] |= *literal == byte,
                    Part::Segment => next[place] |= byte != b'/',
                    Part::Anything => next[place] = true,
                }
            }
            self.pass_wildcards(&mut next);
            reached = next;
        }
        reached.last().is_some_and(|reached| *reached)
    }

    /// Wildcards may stand for nothing.
    fn pass_wildcards(&self, reached: &mut [bool]) {
        for (place, part) in self.parts.iter().enumerate() {
            if reached[place] && !matches!(part, Part::Literal(_)) {
                reached[place + 1] = true;
            }
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything_within_a_segment_and_two_for_anything() {
        let cases = [
            ("checkout", "checkout", true),
            ("checkout", "checkout-2", false),
            ("checkout", "check", false),
            ("team-*", "team-a", true),
            ("team-*", "team-", true),
            ("team-*", "team-a/b", false),
            ("*", "a/b", false),
            ("**", "a/b", true),
            ("**", "", true),
            ("spiffe://x/ns/*/sa/web", "spiffe://x/ns/pay/sa/web", true),
            ("spiffe://x/ns/*/sa/web", "spiffe://x/ns/a/b/sa/web", false),
            ("spiffe://x/**", "spiffe://x/ns/pay/sa/web", true),
            ("spiffe://x/**", "spiffe://xy/ns", false),
            ("*-*-b", "a--b-b", true),
            ("a.c", "abc", false),
            ("[ab]", "a", false),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(
                Pattern::new(pattern).matches(name),
                expected,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn a_pattern_that_backtracking_would_never_finish_is_no_slower_than_others() {
        let pattern = Pattern::new(&"**a".repeat(60));
        assert!(!pattern.matches(&format!("{}b", "a".repeat(255))));
    }

    #[test]
    fn what_is_given_counts_then_what_is_left_open() {
        let order = [
            "**", "*", "**/**", "a**", "*a*", "a*", "ab**", "ab*", "ab", "abc*",
        ];
        assert!(order.is_sorted_by_key(|text| Pattern::new(text).specificity()));
        assert!(Pattern::new("ab").is_exact() && !Pattern::new("a*").is_exact());
    }
}
