//! The wait for the account's quota, however it ends.

use std::sync::Arc;

use opentelemetry::KeyValue;
use tokio::time::Instant;

use super::{Call, current, seconds};
use crate::telemetry::semconv;

/// The wait of the next attempt for the account's quota. Dropped before it ended,
/// it was given up.
#[derive(Debug)]
pub(crate) struct Wait {
    /// None outside a call, and when it has ended.
    call: Option<Arc<Call>>,
    began: Instant,
}

impl Wait {
    pub(crate) fn begin() -> Self {
        Self {
            call: current(),
            began: Instant::now(),
        }
    }

    /// Ends with a permit, or without.
    pub(crate) fn end(mut self, permitted: bool) {
        self.tell(if permitted { "granted" } else { "denied" });
    }

    fn tell(&mut self, outcome: &'static str) {
        let Some(call) = self.call.take() else { return };
        let waited = self.began.elapsed();
        let mut facts = call.lock();
        facts.waited = Some(waited);
        facts.queue_time = Some(facts.queue_time.unwrap_or_default() + waited);
        drop(facts);
        call.event(semconv::QUEUE_EVENT, || {
            vec![
                seconds(semconv::QUEUE_TIME, waited),
                KeyValue::new(semconv::QUEUE_OUTCOME, outcome),
            ]
        });
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.tell("abandoned");
    }
}

#[cfg(test)]
mod tests {
    use super::super::Attempt;
    use super::*;
    use crate::region::Region;
    use opentelemetry::trace::TraceId;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn the_time_in_the_queue_adds_up_over_the_attempts() {
        let call = Arc::new(Call::new(String::new(), TraceId::from(1), None));
        let wait = call.enter(Wait::begin);
        tokio::time::advance(Duration::from_secs(1)).await;
        wait.end(true);
        call.enter(|| drop(Attempt::begin(&Region::parse("us-east-1").unwrap())));
        let wait = call.enter(Wait::begin);
        tokio::time::advance(Duration::from_secs(2)).await;
        // Given up, and outside the call by now.
        drop(wait);
        let facts = call.facts();
        assert_eq!(facts.queue_time, Some(Duration::from_secs(3)));
        assert_eq!(facts.attempts, 1);
    }
}
