//! Why Redis did not do what it was told.

use std::error::Error as _;
use std::io;
use std::sync::Arc;

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// Why Redis did not do what it was told.
///
/// Never in the server's own words: they may repeat what it was sent.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// No answer within the time a command has.
    #[error("Redis did not answer in time")]
    Slow,
    /// The certificate is not one of those that are believed.
    #[error(
        "Redis shows a certificate that is not trusted: {0} (quota.store_ca_bundle names its authority)"
    )]
    Untrusted(String),
    /// Redis does not know the user, or not by this password.
    #[error("Redis refuses the user or the password in its URL")]
    Unauthenticated,
    /// The user may not do all that is needed.
    #[error("Redis does not permit its user a command or a key that is needed (NOPERM)")]
    Forbidden,
    /// Gone, or it answered with another error.
    #[error("Redis failed: {0}")]
    Failed(String),
}

impl Error {
    /// How much it tells of why Redis is lost: that an answer is late tells least,
    /// what only the operator can mend tells most.
    pub(super) fn telling(&self) -> u8 {
        match self {
            Self::Slow => 0,
            Self::Failed(_) => 1,
            Self::Untrusted(_) | Self::Unauthenticated | Self::Forbidden => 2,
        }
    }
}

impl From<RedisError> for Error {
    fn from(error: RedisError) -> Self {
        match error.kind() {
            _ if error.is_timeout() => Self::Slow,
            ErrorKind::AuthenticationFailed => Self::Unauthenticated,
            ErrorKind::Server(ServerErrorKind::NoPerm) => Self::Forbidden,
            ErrorKind::Io => io_failure(&error),
            _ => Self::Failed(match error.code() {
                // Asked for none, and given none.
                Some("NOAUTH") => return Self::Unauthenticated,
                Some(code) => format!("{} ({code})", error.category()),
                None => error.category().to_owned(),
            }),
        }
    }
}

/// What this side of the connection met, which no server has worded.
fn io_failure(error: &RedisError) -> Error {
    type Held = Arc<dyn std::error::Error + Send + Sync>;
    let category = error.category();
    let held = error.source().and_then(|met| met.downcast_ref::<Held>());
    let Some(met) = held else {
        return Error::Failed(category.to_owned());
    };
    let inner = met.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    match inner.and_then(|inner| inner.downcast_ref()) {
        Some(rustls::Error::InvalidCertificate(reason)) => Error::Untrusted(reason.to_string()),
        _ => Error::Failed(format!("{category}: {met}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_keep_the_kind_and_leave_out_what_a_server_says() {
        let said = || "AUTH secret".to_owned();
        for kind in [
            ErrorKind::AuthenticationFailed,
            ErrorKind::Io,
            ErrorKind::Extension,
            ErrorKind::Server(ServerErrorKind::ResponseError),
        ] {
            let error: Error = RedisError::from((kind, "no", said())).into();
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("secret"), "{shown}");
        }
        let said = redis::make_extension_error("NOAUTH".to_owned(), Some(said()));
        assert_eq!(Error::from(said), Error::Unauthenticated);
    }

    #[test]
    fn what_this_side_met_is_told() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let error: Error = RedisError::from(refused).into();
        assert_eq!(
            error.to_string(),
            "Redis failed: I/O error: connection refused"
        );
        let reason = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        let error: Error =
            RedisError::from(io::Error::new(io::ErrorKind::InvalidData, reason)).into();
        assert!(matches!(error, Error::Untrusted(_)), "{error}");
    }
}
