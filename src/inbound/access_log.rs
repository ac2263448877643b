//! One line a call, at info: of each that failed or was slow, and of one in so
//! many of the others. A flood of one kind of refusal is told by its first lines
//! in each second and by how many more there were.
//!
//! The [`TraceLayer`](super::TraceLayer) has the lines written when calls end.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tonic::Code;

use crate::config::TelemetrySettings;
use crate::refusal;
use crate::telemetry::call::Call;
use crate::telemetry::logs::Limit;
use crate::telemetry::semconv;

/// How often suppressed lines are told of that no other line followed.
const SETTLE: Duration = Duration::from_secs(10);

/// The codes of gRPC.
const CODES: usize = 17;

/// Writes the lines; see the module.
#[derive(Debug)]
pub(crate) struct AccessLog {
    sample: u32,
    slow: Duration,
    /// Calls that are not worth a line of their own.
    ordinary: AtomicU32,
    /// Of refusals, by their reasons.
    refusals: HashMap<&'static str, Limit>,
    /// Of what else ends, by code; that of OK is for slow calls.
    others: [Limit; CODES],
}

/// A call that ended.
pub(crate) struct Ended<'a> {
    pub(crate) method: &'a str,
    pub(crate) code: Code,
    /// The refusal's, as the caller is told.
    pub(crate) reason: Option<&'a str>,
    pub(crate) took: Duration,
    pub(crate) call: &'a Call,
}

impl AccessLog {
    pub(crate) fn new(settings: &TelemetrySettings) -> Self {
        Self {
            sample: settings.access_log_sample,
            slow: settings.slow_call,
            ordinary: AtomicU32::new(0),
            refusals: refusal::reasons()
                .map(|reason| (reason, Limit::default()))
                .collect(),
            others: Default::default(),
        }
    }

    /// Writes the line of a call, if it shall have one.
    pub(crate) fn write(&self, ended: &Ended<'_>) {
        let Some(suppressed) = self.admit(ended) else {
            return;
        };
        let facts = ended.call.facts();
        tracing::info!(
            method = ended.method,
            code = semconv::code_name(ended.code),
            reason = ended.reason,
            seconds = ended.took.as_secs_f64(),
            caller = facts.caller,
            region = facts.region.as_ref().map(|region| region.as_str()),
            attempts = (facts.attempts > 0).then_some(facts.attempts),
            queue_seconds = facts.queue_time.map(|time| time.as_secs_f64()),
            aws_request_id = facts.aws_request_id,
            replayed = facts.replayed,
            suppressed = (suppressed > 0).then_some(suppressed),
            "call"
        );
    }

    /// Whether there shall be a line, and how many of its kind there were not.
    fn admit(&self, ended: &Ended<'_>) -> Option<u64> {
        if ended.code == Code::Ok && ended.took < self.slow {
            let before = self.ordinary.fetch_add(1, Ordering::Relaxed);
            return before.is_multiple_of(self.sample).then_some(0);
        }
        let of_reason = ended.reason.and_then(|reason| self.refusals.get(reason));
        of_reason
            .or_else(|| self.others.get(ended.code as usize))?
            .admit()
    }

    /// Tells now and then of lines that were not written. Never ends.
    pub(crate) async fn settle_regularly(&self) {
        loop {
            tokio::time::sleep(SETTLE).await;
            self.settle();
        }
    }

    /// Tells of lines that were not written, where no other line told of it.
    pub(crate) fn settle(&self) {
        for (reason, limit) in &self.refusals {
            if let Some(suppressed) = limit.settle() {
                tracing::info!(reason, suppressed, "more calls were refused like this");
            }
        }
        for (number, limit) in (0..).zip(&self.others) {
            if let Some(suppressed) = limit.settle() {
                let code = semconv::code_name(Code::from_i32(number));
                tracing::info!(code, suppressed, "more calls ended like this");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::otlp;
    use crate::telemetry::traces::{Method, Traces};
    use http::HeaderMap;

    const SLOW: Duration = Duration::from_secs(1);

    fn log() -> AccessLog {
        AccessLog::new(&TelemetrySettings {
            access_log_sample: 100,
            slow_call: SLOW,
            ..TelemetrySettings::default()
        })
    }

    /// How many of a thousand calls that end like this have a line.
    fn lines(log: &AccessLog, code: Code, reason: Option<&str>, took: Duration) -> usize {
        let (traces, _) = Traces::start(&otlp::Settings::default()).unwrap();
        let method = Method::Other(None);
        let call = traces.begin(&HeaderMap::new(), String::new(), &method);
        let ended = Ended {
            method: "m",
            code,
            reason,
            took,
            call: &call,
        };
        (0..1000).filter(|_| log.admit(&ended).is_some()).count()
    }

    #[tokio::test(start_paused = true)]
    async fn ordinary_calls_are_sampled_and_floods_bounded() {
        assert_eq!(lines(&log(), Code::Ok, None, SLOW / 2), 10);
        assert_eq!(lines(&log(), Code::Ok, None, SLOW), 10);
        let refused = Some("ACCOUNT_QUOTA");
        assert_eq!(
            lines(&log(), Code::ResourceExhausted, refused, SLOW / 2),
            10
        );
        assert_eq!(lines(&log(), Code::Cancelled, None, SLOW / 2), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_one_reason_hides_no_other_of_the_same_code() {
        let log = log();
        for reason in ["ACCOUNT_QUOTA", "CALLER_RATE", "made up"] {
            assert_eq!(
                lines(&log, Code::ResourceExhausted, Some(reason), SLOW / 2),
                10,
                "{reason}"
            );
        }
    }
}
