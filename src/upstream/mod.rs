//! What every session crosses on its way to AWS. Knows nothing of gRPC.

mod attempt;
mod aws;
mod connector;
mod credentials;
mod error;
mod first_sent;
pub mod ledger;
mod metered;
mod quota;
mod rekognition;
pub mod retry;
#[cfg(test)]
mod testing;

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;
use tower::retry::RetryLayer;
use tower::{Service, ServiceBuilder};

use crate::caller::Caller;
use crate::session::{Session, SessionRequest, Token};
use crate::telemetry::metrics;
use metered::MeteredLayer;

pub use attempt::{AttemptLayer, AttemptService};
pub use aws::Aws;
pub use error::{Cause, Error};
pub use first_sent::{FirstSent, Sending};
pub use ledger::LedgerLayer;
pub use quota::{Quota, QuotaLayer};
pub use rekognition::Rekognition;

/// What a caller wants: the outermost part of the stack takes it.
#[derive(Clone, Debug)]
pub struct Intent {
    /// What session, under which of the caller's tokens.
    pub session: SessionRequest,
    /// Who asks.
    pub caller: Caller,
    /// Its turns in each round of the queue for the account's quota.
    pub weight: NonZeroU32,
    /// When the answer stops being of use.
    pub deadline: Instant,
}

impl Intent {
    /// The request for AWS, which knows the intent by `token`. The caller's own
    /// token goes no further.
    fn with_token(self, token: Token) -> Request {
        Request {
            session: SessionRequest {
                token: None,
                ..self.session
            },
            caller: self.caller,
            weight: self.weight,
            token,
            deadline: self.deadline,
            first_sent: FirstSent::default(),
        }
    }
}

/// A session to make: what crosses the rest of the stack.
#[derive(Clone, Debug)]
pub struct Request {
    /// What it shall be.
    pub session: SessionRequest,
    /// Who asks: the key of fair queueing.
    pub caller: Caller,
    /// Its turns in each round of the queue.
    pub weight: NonZeroU32,
    /// What AWS knows the intent by: the same token, the same session.
    pub token: Token,
    /// When the answer stops being of use.
    pub deadline: Instant,
    /// Since when AWS may have made the session, though no answer came.
    pub first_sent: FirstSent,
}

/// A session, and where it comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// The session.
    pub session: Session,
    /// Whether another call with the same token had it made.
    pub replayed: bool,
}

/// The stack over `aws`, outermost first. What all workers must share is in the
/// layers: clone them.
pub(crate) fn stack(
    ledger: LedgerLayer,
    retry: RetryLayer<retry::Policy>,
    quota: QuotaLayer,
    metrics: metrics::Upstream,
    attempt_timeout: Duration,
    aws: Rekognition,
) -> impl Service<Intent, Response = Answer, Error = Error, Future: Send> + Clone + Send + Sync + 'static
{
    ServiceBuilder::new()
        // Answers a repeat with the session that is there.
        .layer(ledger)
        // Tries again what may do better a moment later.
        .layer(retry)
        // Lets each attempt wait its turn, so that all stay within the quota.
        .layer(quota)
        // Counts and times each attempt.
        .layer(MeteredLayer::new(metrics))
        // Bounds each attempt.
        .layer(AttemptLayer::new(attempt_timeout))
        .service(aws)
}
