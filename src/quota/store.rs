//! The seam for a quota that replicas share.

use std::fmt::Debug;
use std::pin::Pin;

use tokio::time::Instant;

use super::pace::Pace;
use super::window::Windows;

/// Who keeps the account of what has been taken.
#[derive(Debug)]
pub enum Source {
    /// This replica alone: exact, and a free slot costs no waiting at all.
    Memory,
    /// A store that other replicas use too.
    Shared(Box<dyn Store>),
}

/// A store of slots that replicas share.
///
/// One task per region asks, one reservation at a time, and only while somebody
/// waits for a slot. A reservation that has come is used within 10 ms of its slot,
/// or never: later it would fall into the span of others.
pub trait Store: Debug + Send + 'static {
    /// Reserves the next slot at `pace`: spans divided by its factor, nothing
    /// before its start.
    ///
    /// Must answer within a bounded time and cannot fail: a store that is out of
    /// reach goes on by itself with the replica's share. May be dropped
    /// unfinished only when the limiter ends.
    fn reserve(&mut self, pace: Pace) -> Reserving<'_>;
}

/// A reservation under way.
pub type Reserving<'a> = Pin<Box<dyn Future<Output = Reservation> + Send + 'a>>;

/// A slot that is this replica's.
#[derive(Clone, Debug)]
pub struct Reservation {
    /// When the slot is, by this machine's clock; not before the answer came.
    pub slot: Instant,
    /// What the store knows of the slots to come; `None`: what this replica
    /// took itself is the best estimate.
    pub outlook: Option<Outlook>,
}

/// What is to be expected of a shared store: decides who is told at once that
/// the deadline is too near, and never who is admitted.
#[derive(Clone, Debug)]
pub struct Outlook {
    /// What has been taken, by all replicas.
    pub windows: Windows,
    /// The part of the slots that fall to this replica, above 0 and at most 1.
    pub share: f64,
}
