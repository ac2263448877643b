//! Since when AWS may have made a session whose answer never came.
//!
//! An attempt that is lost on the way may have made the session all the same, and
//! AWS answers the next one under the same token with it. The session is then as
//! old as the attempt that was lost, and the first of them is the only bound of
//! its age that is safe.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// When the first attempt was sent that may have made the session. Clones share
/// it: all attempts of one call see the same.
#[derive(Clone, Debug, Default)]
pub struct FirstSent(Arc<Mutex<Sent>>);

#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    first: Option<SystemTime>,
    /// Whether an attempt of this call is among those that may have.
    by_this_call: bool,
}

impl FirstSent {
    /// Earlier calls may have had the session made since `first`.
    #[must_use]
    pub fn since(first: Option<SystemTime>) -> Self {
        let sent = Sent {
            first,
            by_this_call: false,
        };
        Self(Arc::new(Mutex::new(sent)))
    }

    /// An attempt goes out now. From here on it counts, whether it ends or is
    /// dropped, unless it is [`withdrawn`](Sending::withdraw).
    #[must_use]
    pub fn sending(&self, now: SystemTime) -> Sending {
        let mut sent = self.lock();
        let before = *sent;
        // Another replica's clock may be ahead.
        let first = before.first.map_or(now, |first| first.min(now));
        *sent = Sent {
            first: Some(first),
            by_this_call: true,
        };
        Sending {
            cell: self.clone(),
            before,
            first,
        }
    }

    /// Since when AWS may have made a session, if an attempt of this call may
    /// have had it made.
    #[must_use]
    pub fn uncertain(&self) -> Option<SystemTime> {
        let sent = self.lock();
        sent.first.filter(|_| sent.by_this_call)
    }

    /// Nothing that holds the lock can fail half way.
    fn lock(&self) -> MutexGuard<'_, Sent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An attempt that was sent.
#[derive(Debug)]
pub struct Sending {
    cell: FirstSent,
    before: Sent,
    first: SystemTime,
}

impl Sending {
    /// A session that this attempt gets was made at this time or later.
    #[must_use]
    pub fn first(&self) -> SystemTime {
        self.first
    }

    /// It is certain that this attempt made no session.
    pub fn withdraw(&self) {
        *self.cell.lock() = self.before;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn the_first_attempt_that_may_have_made_the_session_counts() {
        let cell = FirstSent::default();
        assert_eq!(cell.uncertain(), None);
        let _lost = cell.sending(at(5));
        assert_eq!(cell.clone().sending(at(7)).first(), at(5));
        assert_eq!(cell.uncertain(), Some(at(5)));
    }

    #[test]
    fn what_certainly_made_none_does_not_count() {
        let cell = FirstSent::default();
        cell.sending(at(5)).withdraw();
        assert_eq!(cell.uncertain(), None);
        let _lost = cell.sending(at(7));
        cell.sending(at(9)).withdraw();
        assert_eq!(cell.uncertain(), Some(at(7)));
    }

    #[test]
    fn what_earlier_calls_left_open_counts_once_this_one_has_sent() {
        let cell = FirstSent::since(Some(at(5)));
        cell.sending(at(6)).withdraw();
        assert_eq!(cell.uncertain(), None);
        assert_eq!(cell.sending(at(7)).first(), at(5));
        assert_eq!(cell.uncertain(), Some(at(5)));
    }

    #[test]
    fn no_session_was_made_in_the_future() {
        let cell = FirstSent::since(Some(at(9)));
        assert_eq!(cell.sending(at(7)).first(), at(7));
    }
}
