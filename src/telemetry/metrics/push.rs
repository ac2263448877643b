//! Sending the metrics to a collector.

use std::sync::{Arc, Weak, mpsc};
use std::thread;
use std::time::Duration;

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{InstrumentKind, PeriodicReader, Pipeline, Temporality};

/// What has `exporter` send the metrics now and then, on a thread of its own:
/// whatever the collector does, calls go on.
pub(super) fn reader(exporter: impl PushMetricExporter) -> impl MetricReader {
    Punctual(Arc::new(PeriodicReader::builder(exporter).build()))
}

/// A reader that ends within the time that it is given. The SDK's waits for five
/// seconds, whatever it is given.
#[derive(Debug)]
struct Punctual<R>(Arc<R>);

impl<R: MetricReader> MetricReader for Punctual<R> {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        let reader = Arc::clone(&self.0);
        let (report, ended) = mpsc::channel();
        thread::Builder::new()
            .name("metrics-end".to_owned())
            .spawn(move || {
                // Nobody may be waiting any more.
                let _ = report.send(reader.shutdown_with_timeout(timeout));
            })
            .map_err(|error| OTelSdkError::InternalFailure(error.to_string()))?;
        ended
            .recv_timeout(timeout)
            .unwrap_or(Err(OTelSdkError::Timeout(timeout)))
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::metrics::MeterProvider as _;
    use opentelemetry_sdk::metrics::SdkMeterProvider;
    use std::sync::Mutex;

    /// Takes no metrics until the test has ended.
    struct Stuck(Mutex<mpsc::Receiver<()>>);

    impl PushMetricExporter for Stuck {
        async fn export(&self, _: &ResourceMetrics) -> OTelSdkResult {
            // Ends when the test does.
            let _ = self.0.lock().unwrap().recv();
            Ok(())
        }

        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }

        fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
            Ok(())
        }

        fn temporality(&self) -> Temporality {
            Temporality::Cumulative
        }
    }

    #[test]
    fn the_end_keeps_to_the_time_that_it_is_given() {
        const LIMIT: Duration = Duration::from_millis(20);
        let (release, stuck) = mpsc::channel();
        let reader = Punctual(Arc::new(
            PeriodicReader::builder(Stuck(Mutex::new(stuck))).build(),
        ));
        let kept = Punctual(Arc::clone(&reader.0));
        let provider = SdkMeterProvider::builder().with_reader(reader).build();
        provider.meter("test").u64_counter("a").build().add(1, &[]);
        let ended = kept.shutdown_with_timeout(LIMIT);
        assert!(
            matches!(ended, Err(OTelSdkError::Timeout(limit)) if limit == LIMIT),
            "{ended:?}"
        );
        drop(release);
        drop(provider);
    }
}
