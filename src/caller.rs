//! Who calls, and the rule that holds for each: how often, with which weight,
//! and what it may ask for.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::policy::{Pattern, Policy};

/// The identity of a caller: the key of its allowance, of fair queueing, of
/// idempotency and of policy.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Caller {
    /// Nobody said who.
    Anonymous,
    /// The name that the caller proved, or was believed.
    Named(Arc<str>),
}

impl Caller {
    /// The longest name that is accepted, in bytes.
    pub(crate) const MAX_NAME: usize = 256;

    /// What those who prove nothing are called. Nobody else is, or the log and the rules
    /// would mean either.
    pub const ANONYMOUS: &'static str = "anonymous";

    /// Which names are accepted, for people.
    pub const NAMES: &'static str = "1 to 256 visible ASCII characters, and not \"anonymous\"";

    /// A caller with this name, if it is one of [`NAMES`](Self::NAMES).
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let fits = (1..=Self::MAX_NAME).contains(&name.len()) && name != Self::ANONYMOUS;
        (fits && name.bytes().all(|b| b.is_ascii_graphic())).then(|| Self::Named(name.into()))
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => Self::ANONYMOUS,
            Self::Named(name) => name,
        })
    }
}

/// How often a caller may call: a rate, and how many calls may come at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    per_second: f64,
    interval: Duration,
    burst: u32,
}

impl Rate {
    /// `per_second` calls a second on average, `burst` at once after a pause.
    /// `None` unless both are above zero and an interval of at most a day
    /// results.
    #[must_use]
    pub fn new(per_second: f64, burst: u32) -> Option<Self> {
        const DAY: f64 = 86_400.0;
        let interval = Duration::try_from_secs_f64(1.0 / per_second).ok()?;
        let fits = !interval.is_zero() && interval.as_secs_f64() * f64::from(burst) <= DAY;
        (fits && burst > 0).then_some(Self {
            per_second,
            interval,
            burst,
        })
    }

    /// How many calls there may be a second on average.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.per_second
    }

    /// What one call costs of the rate.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// How many calls may come at once.
    #[must_use]
    pub fn burst(&self) -> u32 {
        self.burst
    }
}

/// How a caller is treated.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Whose rule it is, as the configuration names it.
    pub name: Box<str>,
    /// Whether it may call at all.
    pub admitted: bool,
    /// Its own rate; none means no limit but the account's.
    pub rate: Option<Rate>,
    /// Its turns in each round of the queue for the account's quota.
    pub weight: NonZeroU32,
    /// What it may ask for.
    pub policy: Policy,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            name: "default_caller".into(),
            admitted: true,
            rate: None,
            weight: NonZeroU32::MIN,
            policy: Policy::default(),
        }
    }
}

/// The rule for every caller: its own, else that of the most specific pattern (of two
/// alike the first), else the default, which is also that of those without a name.
#[derive(Clone, Debug, Default)]
pub struct Callers {
    default: Arc<Rule>,
    exact: HashMap<Box<str>, Arc<Rule>>,
    /// The most specific first.
    patterns: Vec<(Pattern, Arc<Rule>)>,
}

impl Callers {
    /// `own` are the callers with a rule of their own; `default` holds for the
    /// others, each by itself.
    #[must_use]
    pub fn new(default: Rule, own: impl IntoIterator<Item = (Pattern, Rule)>) -> Self {
        let mut callers = Self {
            default: Arc::new(default),
            ..Self::default()
        };
        for (pattern, rule) in own {
            let rule = Arc::new(rule);
            if pattern.is_exact() {
                callers.exact.insert(pattern.to_string().into(), rule);
            } else {
                callers.patterns.push((pattern, rule));
            }
        }
        // Stable: the first of two alike stays the first.
        let specificity = |(pattern, _): &(Pattern, _)| Reverse(pattern.specificity());
        callers.patterns.sort_by_key(specificity);
        callers
    }

    /// Whether somebody who is admitted may have images stored in any bucket.
    pub(crate) fn may_write_anywhere(&self) -> bool {
        let own = self
            .exact
            .values()
            .chain(self.patterns.iter().map(|(_, rule)| rule));
        own.chain([&self.default])
            .any(|rule| rule.admitted && rule.policy.own_output && rule.policy.outputs.is_none())
    }

    /// The callers with a rule of their own; those of a pattern are not known.
    pub(crate) fn listed(&self) -> Vec<Caller> {
        let named = self
            .exact
            .keys()
            .map(|name| Caller::Named((&**name).into()));
        let mut listed: Vec<_> = named.collect();
        listed.sort_unstable();
        listed
    }

    /// The rule for `caller`.
    #[must_use]
    pub fn rule(&self, caller: &Caller) -> &Arc<Rule> {
        let Caller::Named(name) = caller else {
            return &self.default;
        };
        let of_pattern = || self.patterns.iter().find(|(own, _)| own.matches(name));
        self.exact
            .get(&**name)
            .or_else(|| of_pattern().map(|(_, rule)| rule))
            .unwrap_or(&self.default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_names_are_accepted_is_told_as_it_is() {
        let longest = "x".repeat(Caller::MAX_NAME);
        assert!(Caller::NAMES.contains(&format!("1 to {} ", Caller::MAX_NAME)));
        assert!(Caller::NAMES.ends_with(&format!("{:?}", Caller::ANONYMOUS)));
        assert!(Caller::named(&longest).is_some());
        for bad in [&format!("{longest}x"), "", "two words", Caller::ANONYMOUS] {
            assert_eq!(Caller::named(bad), None, "{bad:?}");
        }
    }

    fn callers(ids: &[&str]) -> Callers {
        let rule = |id: &&str| Rule {
            name: (*id).into(),
            ..Rule::default()
        };
        Callers::new(
            Rule::default(),
            ids.iter().map(|id| (Pattern::new(id), rule(id))),
        )
    }

    #[test]
    fn the_most_specific_rule_wins_whatever_the_order() {
        let mut ids = ["team-*", "team-a*", "team-a-1", "**", "team-a**", "*"];
        for _ in 0..2 {
            let callers = callers(&ids);
            let rule = |name| callers.rule(&Caller::named(name).unwrap()).name.to_string();
            assert_eq!(rule("team-a-1"), "team-a-1");
            assert_eq!(rule("team-b"), "team-*");
            assert_eq!(rule("team-a-2"), "team-a*");
            assert_eq!(rule("team-a/x"), "team-a**");
            assert_eq!(rule("other"), "*");
            assert_eq!(rule("other/x"), "**");
            ids.reverse();
        }
    }

    #[test]
    fn of_two_alike_the_first_wins_and_the_rest_has_the_default() {
        let callers = callers(&["a*c", "ab*"]);
        let rule = |name| callers.rule(&Caller::named(name).unwrap()).name.to_string();
        assert_eq!(rule("abc"), "a*c");
        assert_eq!(rule("x"), "default_caller");
        assert_eq!(
            callers.rule(&Caller::Anonymous).name,
            Box::from("default_caller")
        );
    }
}
