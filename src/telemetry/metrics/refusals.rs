//! The last refusals, for whoever wonders why calls fail.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tonic::Code;

/// How many are remembered, some 200 bytes each.
const REMEMBERED: usize = 50;

/// A call that was refused. Holds nothing that its caller wrote, but for the id
/// with which it named the call.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    pub(crate) at: SystemTime,
    pub(crate) method: &'static str,
    pub(crate) code: Code,
    /// One of the reasons of the table in [`refusal`](crate::refusal).
    pub(crate) reason: &'static str,
    /// After how long a retry helps, if it does.
    pub(crate) retry_after: Option<Duration>,
    pub(crate) request_id: Option<String>,
}

/// The last refusals; a clone is another handle.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refusals(Arc<Mutex<VecDeque<Refused>>>);

impl Refusals {
    pub(super) fn push(&self, refused: Refused) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == REMEMBERED {
            last.pop_front();
        }
        last.push_back(refused);
    }

    /// The last refusals, the latest first.
    pub(crate) fn latest(&self) -> Vec<Refused> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.iter().rev().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(millis: u64) -> Refused {
        Refused {
            at: SystemTime::UNIX_EPOCH,
            method: "a/b",
            code: Code::Unavailable,
            reason: "OVERLOADED",
            retry_after: Some(Duration::from_millis(millis)),
            request_id: None,
        }
    }

    #[test]
    fn only_the_latest_are_remembered_the_latest_first() {
        let refusals = Refusals::default();
        for millis in 0..1000 {
            refusals.push(refused(millis));
        }
        let latest = refusals.latest();
        assert_eq!(latest.len(), REMEMBERED);
        assert_eq!(latest[0].retry_after, Some(Duration::from_millis(999)));
    }
}
