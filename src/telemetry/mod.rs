//! What the gateway tells about itself.

pub mod logs;
pub mod metrics;
pub mod otlp;
mod outage;
pub mod semconv;

pub use outage::Watched;
