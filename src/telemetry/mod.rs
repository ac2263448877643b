//! What the gateway tells about itself.

pub(crate) mod call;
pub mod logs;
pub mod metrics;
pub mod otlp;
mod outage;
pub mod semconv;
pub(crate) mod traces;

pub use outage::Watched;
