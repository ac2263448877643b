//! Telemetry that was lost on its way out.

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

/// A kind of telemetry, and how much of it was lost since the start.
pub(crate) struct Loss {
    pub(crate) kind: &'static str,
    pub(crate) total: Box<dyn Fn() -> u64 + Send + Sync>,
}

/// Shows these.
pub(super) fn observe(meter: &Meter, losses: Vec<Loss>) {
    meter
        .u64_observable_counter("face_liveness.telemetry.lost")
        .with_unit("{item}")
        .with_description("Telemetry that nobody took, by kind")
        .with_callback(move |observer| {
            for loss in &losses {
                observer.observe((loss.total)(), &[KeyValue::new("kind", loss.kind)]);
            }
        })
        .build();
}
