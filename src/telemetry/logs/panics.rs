//! Panics are told in the log, with the ids of the call that they end, and not
//! straight on standard error, which may be stalled.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{self, PanicHookInfo};

use super::Limit;
use crate::telemetry::call;

/// What is said instead of a message that was made while a call ran: it may hold
/// what the caller sent.
const WITHHELD: &str = "(withheld: made at run time, it may hold what the caller sent)";

/// Tells panics in the log from now on. Where nobody writes one, whoever told
/// them before still does.
pub(super) fn tell_in_log() {
    let otherwise = panic::take_hook();
    let limit = Limit::default();
    panic::set_hook(Box::new(move |panic| {
        if !tracing::enabled!(tracing::Level::ERROR) {
            otherwise(panic);
        } else if let Some(suppressed) = limit.admit() {
            tell(panic, suppressed);
        }
    }));
}

fn tell(panic: &PanicHookInfo<'_>, suppressed: u64) {
    let backtrace = Backtrace::capture();
    let captured = backtrace.status() == BacktraceStatus::Captured;
    tracing::error!(
        location = panic.location().map(display),
        thread = std::thread::current().name(),
        suppressed = (suppressed > 0).then_some(suppressed),
        backtrace = captured.then(|| display(&backtrace)),
        "a defect, panicked: {}",
        message(panic)
    );
}

/// A text that stands in the source holds nobody's secret.
fn message<'a>(panic: &'a PanicHookInfo<'_>) -> &'a str {
    let in_call = call::with_current(|_| ()).is_some();
    match panic.payload().downcast_ref::<&'static str>() {
        Some(message) => message,
        None if in_call => WITHHELD,
        None => panic
            .payload()
            .downcast_ref::<String>()
            .map_or("", String::as_str),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LogConfig, LogFormat};
    use crate::telemetry::logs::Log;
    use crate::telemetry::otlp;
    use crate::telemetry::traces::{Method, Traces};
    use http::HeaderMap;
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The line of a panic in a call.
    fn line(work: impl FnOnce()) -> serde_json::Value {
        let written = Written::default();
        let writer = written.clone();
        let config = LogConfig {
            format: LogFormat::Json,
            debug: false,
        };
        let settings = otlp::Settings::default();
        let (_log, subscriber) =
            Log::prepare(config, &settings, move || writer.clone(), false).unwrap();
        tell_in_log();
        let (traces, _exit) = Traces::start(&settings).unwrap();
        let method = Method::Other(None);
        let call = Arc::new(traces.begin(&HeaderMap::new(), "find-me".to_owned(), &method));
        tracing::subscriber::with_default(subscriber, || {
            let work = panic::AssertUnwindSafe(|| call.enter(work));
            panic::catch_unwind(work).unwrap_err();
        });
        let written = written.0.lock().unwrap().clone();
        serde_json::from_slice(&written).unwrap()
    }

    #[test]
    fn a_panic_is_told_with_its_place_and_the_ids_of_its_call() {
        let line = line(|| panic!("a promise was broken"));
        assert_eq!(line["level"], "ERROR");
        assert_eq!(line["request_id"], "find-me");
        assert_eq!(line["trace_id"].as_str().unwrap().len(), 32);
        assert!(line["location"].as_str().unwrap().starts_with(file!()));
        let message = line["message"].as_str().unwrap();
        assert!(message.ends_with("a promise was broken"), "{message}");
    }

    #[test]
    fn what_a_caller_may_have_sent_is_not_in_it() {
        let sent = "hush".to_owned();
        let line = line(|| panic!("cannot cope with {sent}"));
        assert!(!line.to_string().contains("hush"), "{line}");
        assert!(line["message"].as_str().unwrap().contains("withheld"));
    }
}
