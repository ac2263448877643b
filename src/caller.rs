//! Who calls, and how often and with which weight each may.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// The identity of a caller: the key of its allowance, of fair queueing and of
/// idempotency.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Caller {
    /// Nobody said who.
    Anonymous,
    /// The name that the caller proved, or was believed.
    Named(Arc<str>),
}

impl Caller {
    /// The longest name that is accepted, in bytes.
    pub const MAX_NAME: usize = 256;

    /// A caller with this name: 1 to 256 visible ASCII characters.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let fits = (1..=Self::MAX_NAME).contains(&name.len());
        (fits && name.bytes().all(|b| b.is_ascii_graphic())).then(|| Self::Named(name.into()))
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "anonymous",
            Self::Named(name) => name,
        })
    }
}

/// How often a caller may call: a rate, and how many calls may come at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
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
        (fits && burst > 0).then_some(Self { interval, burst })
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
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// Its own rate; none means no limit but the account's.
    pub rate: Option<Rate>,
    /// Its turns in each round of the queue for the account's quota.
    pub weight: NonZeroU32,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            rate: None,
            weight: NonZeroU32::MIN,
        }
    }
}

/// How each caller is treated.
#[derive(Clone, Debug, Default)]
pub struct Callers {
    default: Rule,
    own: HashMap<Caller, Rule>,
}

impl Callers {
    /// `own` are the callers with a rule of their own; `default` holds for the
    /// others, each by itself.
    #[must_use]
    pub fn new(default: Rule, own: impl IntoIterator<Item = (Caller, Rule)>) -> Self {
        Self {
            default,
            own: own.into_iter().collect(),
        }
    }

    /// The callers with a rule of their own, by name.
    pub(crate) fn listed(&self) -> Vec<Caller> {
        let mut listed: Vec<_> = self.own.keys().cloned().collect();
        listed.sort_unstable();
        listed
    }

    /// The rule for `caller`.
    #[must_use]
    pub fn rule(&self, caller: &Caller) -> Rule {
        self.own.get(caller).copied().unwrap_or(self.default)
    }
}
