//! Tells of something that happens again and again: when it begins, and once a
//! minute while it lasts.

use std::time::Duration;

use tokio::time::Instant;

/// Enough for who reads the log, and no peer can fill it.
const INTERVAL: Duration = Duration::from_secs(60);

/// Says when it is time for a line; see the module.
#[derive(Debug, Default)]
pub(super) struct Reminder {
    told: Option<Instant>,
    since: u64,
}

impl Reminder {
    /// It happened once more. Gives how often since the last line, if it is time
    /// for another.
    pub(super) fn again(&mut self) -> Option<u64> {
        self.since += 1;
        if self.told.is_some_and(|told| told.elapsed() < INTERVAL) {
            return None;
        }
        self.told = Some(Instant::now());
        Some(std::mem::take(&mut self.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_is_told_and_then_all_of_a_minute_at_once() {
        let mut reminder = Reminder::default();
        assert_eq!(reminder.again(), Some(1));
        assert_eq!((0..100).filter_map(|_| reminder.again()).count(), 0);
        tokio::time::advance(INTERVAL).await;
        assert_eq!(reminder.again(), Some(101));
    }
}
