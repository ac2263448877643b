//! What every session crosses on its way to AWS. Knows nothing of gRPC.

mod aws;
mod connector;
mod credentials;
mod error;
mod quota;
mod rekognition;

use tokio::time::Instant;

use crate::caller::Caller;
use crate::session::{SessionRequest, Token};

pub use aws::Aws;
pub use error::{Cause, Error};
pub use quota::{Quota, QuotaLayer, Weights};
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
