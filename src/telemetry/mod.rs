//! What the gateway tells about itself.

pub(crate) mod call;
pub mod logs;
mod lost;
pub mod metrics;
pub mod otlp;
mod outage;
mod propagation;
pub mod semconv;
pub(crate) mod traces;
