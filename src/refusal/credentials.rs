//! What a caller is told of its credentials.

use std::fmt;

/// What is wrong with a caller's credentials: as much as an honest caller can use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Credentials {
    /// There are none.
    Missing {
        /// Whether a client certificate would do.
        certificate: bool,
        /// Whether a bearer token would do.
        bearer: bool,
    },
    /// They were good once.
    Expired,
    /// They are not good here.
    NotAccepted,
}

impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const CERTIFICATE: &str = "a client certificate with one URI or a DNS name";
        const BEARER: &str = "a bearer token in the metadata authorization";
        match self {
            Self::Missing {
                certificate: true,
                bearer: true,
            } => write!(f, "the call needs {CERTIFICATE}, or {BEARER}"),
            Self::Missing {
                certificate: true, ..
            } => write!(f, "the call needs {CERTIFICATE}"),
            Self::Missing { .. } => write!(f, "the call needs {BEARER}"),
            Self::Expired => f.write_str("the token has expired; get a new one"),
            Self::NotAccepted => f.write_str(
                "the credentials are not accepted; they may be withdrawn, or meant for another service",
            ),
        }
    }
}
