//! The process, the build and the certificate.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use metrics_process::collector::{Metrics as Collected, collect};
use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use crate::VERSION;

/// How long figures count as current, so that one reading of all instruments
/// asks the system once.
const FRESH: Duration = Duration::from_millis(500);

/// The last figures, and when they were collected.
type Last = Arc<Mutex<Option<(Instant, Collected)>>>;

/// A figure of the process that goes up and down: its name, unit and meaning.
type Gauge = (
    &'static str,
    &'static str,
    &'static str,
    fn(&Collected) -> Option<u64>,
);

/// Named as all Prometheus clients name them.
const GAUGES: [Gauge; 6] = [
    (
        "process.resident_memory",
        "By",
        "Memory in use",
        |figures| figures.resident_memory_bytes,
    ),
    (
        "process.virtual_memory",
        "By",
        "Address space in use",
        |figures| figures.virtual_memory_bytes,
    ),
    ("process.open_fds", "", "Open file descriptors", |figures| {
        figures.open_fds
    }),
    (
        "process.max_fds",
        "",
        "File descriptors that may be open",
        |figures| figures.max_fds,
    ),
    ("process.threads", "", "Threads", |figures| figures.threads),
    (
        "process.start_time",
        "s",
        "When the process started, in Unix time",
        |figures| figures.start_time_seconds,
    ),
];

/// Shows the figures of the process and of the build.
pub(super) fn observe(meter: &Meter) {
    let last = Last::default();
    for (name, unit, description, figure) in GAUGES {
        let last = Arc::clone(&last);
        meter
            .u64_observable_gauge(name)
            .with_unit(unit)
            .with_description(description)
            .with_callback(move |observer| {
                if let Some(value) = read(&last, figure) {
                    observer.observe(value, &[]);
                }
            })
            .build();
    }
    meter
        .f64_observable_counter("process.cpu")
        .with_unit("s")
        .with_description("Processor time used, user and system")
        .with_callback(move |observer| {
            if let Some(seconds) = read(&last, |figures| figures.cpu_seconds_total) {
                observer.observe(seconds, &[]);
            }
        })
        .build();
    let version = [KeyValue::new("version", VERSION)];
    meter
        .u64_observable_gauge("face_liveness.build.info")
        .with_description("The version of the gateway")
        .with_callback(move |observer| observer.observe(1, &version))
        .build();
}

fn read<T>(last: &Last, figure: impl Fn(&Collected) -> Option<T>) -> Option<T> {
    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
    let fresh = last.as_ref().filter(|(at, _)| at.elapsed() < FRESH);
    if fresh.is_none() {
        *last = Some((Instant::now(), collect()));
    }
    figure(&last.as_ref()?.1)
}

/// When the server's certificate expires. Not shown until it is set.
#[derive(Clone, Debug, Default)]
pub struct Certificate {
    /// In Unix time; 0: there is none.
    not_after: Arc<AtomicU64>,
}

impl Certificate {
    pub(super) fn new(meter: &Meter) -> Self {
        let certificate = Self::default();
        let not_after = Arc::clone(&certificate.not_after);
        meter
            .u64_observable_gauge("face_liveness.tls.certificate.not_after")
            .with_unit("s")
            .with_description("When the server's certificate expires, in Unix time")
            .with_callback(move |observer| match not_after.load(Ordering::Relaxed) {
                0 => {}
                seconds => observer.observe(seconds, &[]),
            })
            .build();
        certificate
    }

    /// A certificate that expires then is in use from now on.
    pub fn expires(&self, not_after: SystemTime) {
        let since_epoch = not_after.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.not_after
            .store(since_epoch.as_secs(), Ordering::Relaxed);
    }
}
