//! What every session crosses on its way to AWS. Knows nothing of gRPC.

mod attempt;
mod aws;
mod connector;
mod error;
mod rekognition;
pub mod retry;
#[cfg(test)]
mod testing;

use std::time::Duration;

use tokio::time::Instant;
use tower::retry::RetryLayer;
use tower::{Service, ServiceBuilder};

use crate::caller::Caller;
use crate::session::{Session, SessionRequest, Token};

pub use attempt::{AttemptLayer, AttemptService};
pub use aws::Aws;
pub use error::{Cause, Error};
pub use rekognition::Rekognition;

/// A session to make.
#[derive(Clone, Debug)]
pub struct Request {
    /// What it shall be.
    pub session: SessionRequest,
    /// Who asks: the key of fair queueing.
    pub caller: Caller,
    /// What AWS knows the intent by: the same token, the same session.
    pub token: Token,
    /// When the answer stops being of use.
    pub deadline: Instant,
}

/// The stack over `aws`, outermost first. What all workers must share is in the
/// layers: clone them.
pub fn stack(
    retry: RetryLayer<retry::Policy>,
    attempt_timeout: Duration,
    aws: Rekognition,
) -> impl Service<Request, Response = Session, Error = Error, Future: Send> + Clone + Send + Sync + 'static
{
    ServiceBuilder::new()
        // Tries again what may do better a moment later.
        .layer(retry)
        // Bounds each attempt.
        .layer(AttemptLayer::new(attempt_timeout))
        .service(aws)
}
