//! The clock by which sessions expire and quotas refill.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Time as the emulator's sessions and quotas see it; clones share one clock.
///
/// A test hands a [`frozen`](Clock::frozen) clock to the builder and moves it with
/// [`advance`](Clock::advance): a session expires without anybody waiting three minutes.
/// The dates in signatures are compared with the machine's own time instead, because that is
/// the clock clients sign with; added latency passes in real time too.
#[derive(Clone, Debug)]
pub struct Clock {
    started: Option<Instant>,
    advanced_ns: Arc<AtomicU64>,
}

impl Clock {
    /// A clock that runs with Tokio's time (so it obeys `tokio::time::pause`) and can be advanced.
    pub fn running() -> Self {
        Self {
            started: Some(Instant::now()),
            advanced_ns: Arc::default(),
        }
    }

    /// A clock that moves only when [`advance`](Clock::advance)d.
    pub fn frozen() -> Self {
        Self {
            started: None,
            advanced_ns: Arc::default(),
        }
    }

    /// Moves the clock forward, for every clone of it.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        let mut now = self.advanced_ns.load(Ordering::Acquire);
        while let Err(changed) = self.advanced_ns.compare_exchange_weak(
            now,
            now.saturating_add(by),
            Ordering::AcqRel,
            Ordering::Acquire,
        ) {
            now = changed;
        }
    }

    /// The time since the clock was made, plus what it was advanced by.
    pub fn now(&self) -> Duration {
        let ran = self.started.map_or(Duration::ZERO, |at| at.elapsed());
        ran.saturating_add(Duration::from_nanos(
            self.advanced_ns.load(Ordering::Acquire),
        ))
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::running()
    }
}
