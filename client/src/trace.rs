//! The trace context of a call.

use http::HeaderMap;

/// Adds the current OpenTelemetry context, in the format of the global
/// propagator.
#[cfg(feature = "opentelemetry")]
pub(crate) fn inject(headers: &mut HeaderMap) {
    struct Headers<'a>(&'a mut HeaderMap);

    impl opentelemetry::propagation::Injector for Headers<'_> {
        fn set(&mut self, key: &str, value: String) {
            let name = http::HeaderName::try_from(key);
            if let (Ok(name), Ok(value)) = (name, value.try_into()) {
                self.0.insert(name, value);
            }
        }
    }

    opentelemetry::global::get_text_map_propagator(|propagator| {
        propagator.inject(&mut Headers(headers));
    });
}

/// Without the feature `opentelemetry` a layer of the user's own does it, if any.
#[cfg(not(feature = "opentelemetry"))]
pub(crate) fn inject(_: &mut HeaderMap) {}
