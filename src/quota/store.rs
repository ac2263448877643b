//! The seam for a quota that replicas share.

use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::pace::Pace;
use super::windows::Windows;

/// Who keeps the account of what has been taken.
#[derive(Clone, Debug)]
pub enum Source {
    /// This replica alone: exact, and a free slot costs no waiting at all.
    Memory(Windows),
    /// A store that other replicas use too.
    Shared(Arc<dyn Store>),
}

/// A store of slots that replicas share.
///
/// One task per region asks, one reservation at a time, and only while somebody
/// waits for a slot: a replica makes no more calls to a region than the store
/// answers one after the other. A reservation that has come is used within 10 ms
/// of its slot, or never: later it would fall into the span of others.
pub trait Store: Debug + Send + Sync + 'static {
    /// Reserves the next slot. Answers when it is by this machine's clock, never
    /// before the answer itself.
    ///
    /// Cannot fail: a store that is out of reach goes on by itself with the
    /// replica's share. May be dropped unfinished only when the limiter ends.
    fn reserve(&self) -> Reserving<'_>;

    /// What is known now of the slots to come. Must not wait for anybody.
    fn outlook(&self) -> Outlook;
}

/// A reservation under way.
pub type Reserving<'a> = Pin<Box<dyn Future<Output = Instant> + Send + 'a>>;

/// What is to be expected of a shared store: decides who is told at once that
/// the deadline is too near, and never who is admitted.
#[derive(Clone, Debug)]
pub struct Outlook {
    /// What has been taken: by all replicas, or of this one's part of the quota.
    pub windows: Arc<Windows>,
    /// Before this no slot is to be had, if it is known.
    pub not_before: Option<Instant>,
    /// The part of the slots that fall to this replica, above 0 and at most 1.
    pub share: f64,
}

impl Outlook {
    /// The slot after `ahead` others of this replica: the other replicas take
    /// theirs meanwhile.
    pub(super) fn slot_after(&self, pace: Pace, ahead: usize) -> Instant {
        let ahead = ahead as f64 / self.share();
        let pace = self.not_before.map_or(pace, |at| pace.not_before(at));
        self.windows.turn_after(pace, ahead.ceil() as usize)
    }

    /// How far apart this replica's slots are while there is more to do than there
    /// are slots.
    pub(super) fn interval(&self) -> Duration {
        self.windows.interval().div_f64(self.share())
    }

    fn share(&self) -> f64 {
        self.share.clamp(0.001, 1.0)
    }
}
