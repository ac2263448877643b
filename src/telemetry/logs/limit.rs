//! Keeps lines of one kind from drowning the others: so many a second are
//! written, and the next that is says how many were not.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Lines of one kind in one second: enough to see what is going on, and with
/// every kind at once still readable.
const LINES: u32 = 10;

const SECOND: Duration = Duration::from_secs(1);

/// Bounds the lines of one kind; see the module.
#[derive(Debug, Default)]
pub(crate) struct Limit(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    began: Option<Instant>,
    written: u32,
    suppressed: u64,
}

impl Limit {
    /// Whether a line may be written now, and how many were not since the last.
    pub(crate) fn admit(&self) -> Option<u64> {
        let now = Instant::now();
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |began| now.duration_since(began) >= SECOND;
        if window.began.is_none_or(is_over) {
            window.began = Some(now);
            window.written = 0;
        }
        if window.written >= LINES {
            window.suppressed += 1;
            return None;
        }
        window.written += 1;
        Some(std::mem::take(&mut window.suppressed))
    }

    /// How many lines were not written since that was last told, if any.
    pub(crate) fn settle(&self) -> Option<u64> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let suppressed = std::mem::take(&mut window.suppressed);
        (suppressed > 0).then_some(suppressed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lines_beyond_the_limit_are_counted_and_told_with_the_next() {
        let limit = Limit::default();
        let written = (0..100).filter(|_| limit.admit().is_some()).count();
        assert_eq!(written, 10);
        tokio::time::advance(SECOND).await;
        assert_eq!(limit.admit(), Some(90));
        assert_eq!(limit.admit(), Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_suppressed_is_told_even_if_no_line_follows() {
        let limit = Limit::default();
        assert_eq!((0..12).filter_map(|_| limit.admit()).count(), 10);
        assert_eq!(limit.settle(), Some(2));
        assert_eq!(limit.settle(), None);
    }
}
