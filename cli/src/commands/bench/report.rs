//! What `bench` counts.

use std::collections::BTreeMap;
use std::time::Duration;

use face_liveness_client::Error;
use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::Ended;
use crate::refusal;

/// Microseconds to three digits.
const PRECISION: u8 = 3;

/// Sessions, refusals and latencies.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// How long everything took.
    pub(super) took: Duration,
    /// Attempts besides the first of each call.
    pub(super) retries: u64,
    sessions: u64,
    refusals: BTreeMap<String, u64>,
    latencies: Option<Histogram<u64>>,
}

impl Report {
    /// Counts a call; gives back a refusal that the next call would meet, too.
    pub(super) fn count(&mut self, (result, latency): Ended) -> Option<Error> {
        match result {
            Ok(()) => {
                self.sessions += 1;
                self.record(latency);
                None
            }
            Err(error) => {
                *self.refusals.entry(refusal::reason(&error)).or_default() += 1;
                let is_passing =
                    error.is_retryable() || error.code() == tonic::Code::DeadlineExceeded;
                (!is_passing).then_some(error)
            }
        }
    }

    fn record(&mut self, latency: Duration) {
        if self.latencies.is_none() {
            // The precision is one that histograms have.
            self.latencies = Histogram::new(PRECISION).ok();
        }
        if let Some(latencies) = &mut self.latencies {
            let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
            // It grows as it must; a latency of centuries is none.
            let _ = latencies.record(micros);
        }
    }

    /// A line to watch.
    pub(super) fn summary(&self) -> String {
        let refused: u64 = self.refusals.values().sum();
        format!("{} sessions, {refused} refused", self.sessions)
    }

    /// Everything, to print. Latencies are those of sessions, in milliseconds,
    /// waits and retries included.
    pub(super) fn answer(&self) -> Value {
        let refusals = self.refusals.iter();
        let refusals = refusals.map(|(reason, count)| json!({"Reason": reason, "Count": count}));
        let seconds = self.took.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = self.sessions as f64 / seconds.max(f64::EPSILON);
        json!({
            "Seconds": rounded(seconds),
            "Sessions": self.sessions,
            "SessionsPerSecond": rounded(rate),
            "Retries": self.retries,
            "LatencyMilliseconds": self.latencies.as_ref().map(quantiles),
            "Refusals": refusals.collect::<Vec<_>>(),
        })
    }
}

fn quantiles(latencies: &Histogram<u64>) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "rounded anyway")]
    let millis = |micros: u64| rounded(micros as f64 / 1000.0);
    let at = |quantile: f64| millis(latencies.value_at_quantile(quantile));
    json!({
        "Min": millis(latencies.min()),
        "P50": at(0.5),
        "P90": at(0.9),
        "P99": at(0.99),
        "Max": millis(latencies.max()),
    })
}

fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_sessions() {
        let mut report = Report::default();
        for millis in 1..=100 {
            assert!(
                report
                    .count((Ok(()), Duration::from_millis(millis)))
                    .is_none()
            );
        }
        report.took = Duration::from_secs(10);
        let answer = report.answer();
        assert_eq!(answer["Sessions"], 100);
        assert_eq!(answer["SessionsPerSecond"], 10.0);
        let median = answer["LatencyMilliseconds"]["P50"].as_f64().unwrap();
        assert!((49.0..=51.0).contains(&median), "{median}");
    }

    #[test]
    fn a_report_of_nothing_has_no_latencies() {
        assert_eq!(
            Report::default().answer()["LatencyMilliseconds"],
            Value::Null
        );
    }
}
