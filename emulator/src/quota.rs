//! Calls per second and concurrent sessions, per account and region.
//!
//! **Calls per second** is a sliding window: a call is admitted when fewer than *n* calls of its
//! operation were admitted in the second that ends with it. So no half-open second `[t, t + 1 s)`
//! ever holds more than *n* admitted calls, wherever it begins. Refused calls do not count. AWS
//! does not publish its own algorithm.
//!
//! **Concurrent sessions** counts a session as in use for an expected length after it was made
//! (10 s by default, the figure AWS uses to size this quota). AWS itself notices too many sessions
//! only when one is started, which nobody does here, so the emulator refuses the create instead.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::protocol::Operation;

/// How long a session counts as concurrent unless configured: AWS's own example.
pub const DEFAULT_SESSION_LENGTH: Duration = Duration::from_secs(10);

const WINDOW: Duration = Duration::from_secs(1);

/// What an account may do in one region; `None` switches a limit off.
///
/// ```
/// use rekognition_emulator::Quota;
///
/// assert_eq!(Quota::of_region("us-east-1").creates_per_second, Some(25));
/// assert_eq!(Quota::of_region("eu-west-1").concurrent_sessions, Some(15));
/// let without_concurrency = Quota {
///     concurrent_sessions: None,
///     ..Quota::of_region("us-west-2")
/// };
/// assert_eq!(without_concurrency.gets_per_second, Some(25));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// `CreateFaceLivenessSession` calls admitted in any one second.
    pub creates_per_second: Option<u32>,
    /// `GetFaceLivenessSessionResults` calls admitted in any one second.
    pub gets_per_second: Option<u32>,
    /// Sessions in use at once.
    pub concurrent_sessions: Option<u32>,
}

impl Quota {
    /// No limits at all.
    pub const UNLIMITED: Self = Self {
        creates_per_second: None,
        gets_per_second: None,
        concurrent_sessions: None,
    };

    /// AWS's default for a region; regions outside its table get the smaller of its two rows.
    pub fn of_region(region: &str) -> Self {
        let (calls, sessions) = match region {
            "us-east-1" | "us-west-2" => (25, 75),
            _ => (5, 15),
        };
        Self {
            creates_per_second: Some(calls),
            gets_per_second: Some(calls),
            concurrent_sessions: Some(sessions),
        }
    }

    fn calls_per_second(&self, operation: Operation) -> Option<u32> {
        match operation {
            Operation::CreateFaceLivenessSession => self.creates_per_second,
            Operation::GetFaceLivenessSessionResults => self.gets_per_second,
        }
    }
}

/// Whose quota: an account in a region.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Scope {
    pub(crate) account: String,
    pub(crate) region: String,
}

/// What has been used of every quota. Bounded by the limits themselves, accounts × regions times.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    calls: HashMap<(Scope, Operation), Recent>,
    sessions: HashMap<Scope, Recent>,
}

impl Usage {
    /// Admits a call, or says that the second is full.
    pub(crate) fn admit_call(
        &mut self,
        scope: &Scope,
        operation: Operation,
        quota: &Quota,
        now: Duration,
    ) -> bool {
        let Some(limit) = quota.calls_per_second(operation) else {
            return true;
        };
        self.calls
            .entry((scope.clone(), operation))
            .or_default()
            .admit(limit, WINDOW, now)
    }

    /// Takes a place for a new session, or says that all are in use.
    pub(crate) fn admit_session(
        &mut self,
        scope: &Scope,
        quota: &Quota,
        length: Duration,
        now: Duration,
    ) -> bool {
        let Some(limit) = quota.concurrent_sessions else {
            return true;
        };
        self.sessions
            .entry(scope.clone())
            .or_default()
            .admit(limit, length, now)
    }
}

/// The times of the latest admissions, oldest first.
#[derive(Debug, Default)]
struct Recent(VecDeque<Duration>);

impl Recent {
    fn admit(&mut self, limit: u32, age: Duration, now: Duration) -> bool {
        while self
            .0
            .front()
            .is_some_and(|at| now.saturating_sub(*at) >= age)
        {
            self.0.pop_front();
        }
        let admitted = self.0.len() < limit as usize;
        if admitted {
            self.0.push_back(now);
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCOPED: Operation = Operation::CreateFaceLivenessSession;

    fn scope(region: &str) -> Scope {
        Scope {
            account: "1".into(),
            region: region.into(),
        }
    }

    #[test]
    fn no_second_ever_holds_more_than_the_limit() {
        let mut usage = Usage::default();
        let quota = Quota {
            creates_per_second: Some(3),
            ..Quota::UNLIMITED
        };
        let mut admitted: Vec<Duration> = Vec::new();
        for millis in (0..5_000).step_by(37) {
            let now = Duration::from_millis(millis);
            if usage.admit_call(&scope("r"), SCOPED, &quota, now) {
                admitted.push(now);
            }
        }
        for start in &admitted {
            let within = admitted
                .iter()
                .filter(|at| *at >= start && **at < *start + WINDOW);
            assert!(within.count() <= 3, "from {start:?}");
        }
        assert!(admitted.len() >= 14, "the limit is used: {admitted:?}");
    }

    #[test]
    fn a_place_is_free_again_exactly_one_second_later() {
        let mut usage = Usage::default();
        let quota = Quota {
            creates_per_second: Some(1),
            ..Quota::UNLIMITED
        };
        let mut admit =
            |millis| usage.admit_call(&scope("r"), SCOPED, &quota, Duration::from_millis(millis));
        assert!(admit(0));
        assert!(!admit(999));
        assert!(admit(1000));
    }

    #[test]
    fn operations_and_regions_have_their_own_buckets() {
        let mut usage = Usage::default();
        let quota = Quota {
            creates_per_second: Some(1),
            gets_per_second: Some(1),
            ..Quota::UNLIMITED
        };
        let get = Operation::GetFaceLivenessSessionResults;
        let now = Duration::ZERO;
        assert!(usage.admit_call(&scope("a"), SCOPED, &quota, now));
        assert!(usage.admit_call(&scope("a"), get, &quota, now));
        assert!(usage.admit_call(&scope("b"), SCOPED, &quota, now));
        assert!(!usage.admit_call(&scope("a"), SCOPED, &quota, now));
    }
}
