//! How a call fails before an answer is there.

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::sync::Arc;

use http::StatusCode;
use tonic::{Code, Status};
use tower::BoxError;

/// A failure on this side. It is the source of the [`Status`] made of it.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A name has no address.
    #[error("cannot resolve {host}: {error}")]
    Resolve {
        host: String,
        #[source]
        error: Arc<dyn StdError + Send + Sync>,
    },
    /// No connection came about; the request was not sent.
    #[error("cannot connect to {authority} at {address}: {error}")]
    Connect {
        authority: String,
        address: SocketAddr,
        #[source]
        error: Arc<dyn StdError + Send + Sync>,
    },
    /// The connection broke; the request may have been carried out.
    #[error("lost the connection to {authority} at {address}: {}", chain(error.as_ref()))]
    Broken {
        authority: String,
        address: SocketAddr,
        #[source]
        error: Arc<dyn StdError + Send + Sync>,
    },
    /// Something else answers there, or stands in between.
    #[error(
        "{authority} at {address} answered HTTP {status} without gRPC; is it the gateway, or a proxy?"
    )]
    NotGrpc {
        authority: String,
        address: SocketAddr,
        status: StatusCode,
    },
    /// The bearer token could not be had.
    #[error("cannot get a bearer token; the error's source says why")]
    Token(#[source] Arc<dyn StdError + Send + Sync>),
    /// The answer is not what the schema says.
    #[error("the gateway's answer is malformed: {0}")]
    Malformed(String),
    /// The call's `grpc-timeout` passed.
    #[error("the deadline passed")]
    Deadline,
}

impl Failure {
    /// The callback's own words stay in the source: they may hold a secret.
    pub(super) fn token(error: BoxError) -> Self {
        Self::Token(Arc::from(error))
    }

    /// The failure that made this status, if one did.
    pub(crate) fn behind(status: &Status) -> Option<&Self> {
        status.source()?.downcast_ref()
    }
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        let message = failure.to_string();
        let mut status = match &failure {
            Failure::Resolve { .. } | Failure::Connect { .. } | Failure::Broken { .. } => {
                Self::unavailable(message)
            }
            Failure::NotGrpc { status, .. } => Self::new(code_of(*status), message),
            Failure::Token(_) => Self::unauthenticated(message),
            Failure::Malformed(_) => Self::internal(message),
            Failure::Deadline => Self::deadline_exceeded(message),
        };
        status.set_source(Arc::new(failure));
        status
    }
}

/// The code that the gRPC specification gives a plain HTTP answer.
fn code_of(status: StatusCode) -> Code {
    match status.as_u16() {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502..=504 => Code::Unavailable,
        _ => Code::Unknown,
    }
}

/// An error with its causes, in one line.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}
