//! Why the gateway said no, as `google.rpc.ErrorInfo.reason` names it.

use std::fmt;

use tonic::Code;

/// `ErrorInfo.domain` of what the gateway decides.
pub const GATEWAY_DOMAIN: &str = "faceliveness.v1";

/// `ErrorInfo.domain` of what AWS said.
pub const AWS_DOMAIN: &str = "rekognition.amazonaws.com";

/// Declares [`Reason`] and its table in one place.
macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $code:ident, $domain:ident;)*) => {
        /// Why a call failed: `google.rpc.ErrorInfo.reason` of the answer.
        ///
        /// ```
        /// use face_liveness_client::Reason;
        ///
        /// assert_eq!(Reason::from("ACCOUNT_QUOTA"), Reason::AccountQuota);
        /// // A newer gateway's reason is kept as it came.
        /// assert_eq!(Reason::from("NEW"), Reason::Unknown("NEW".to_owned()));
        /// assert_eq!(Reason::Unknown("NEW".to_owned()).as_str(), "NEW");
        /// ```
        #[derive(Clone, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[$doc])* $variant,)*
            /// One that this version of the library does not know.
            Unknown(String),
        }

        impl Reason {
            /// Every reason that this version knows.
            pub const KNOWN: &'static [Self] = &[$(Self::$variant),*];

            /// The name on the wire.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Unknown(name) => name,
                }
            }

            /// The code that comes with it; none for [`Reason::Unknown`].
            #[must_use]
            pub fn code(&self) -> Option<Code> {
                match self {
                    $(Self::$variant => Some(Code::$code),)*
                    Self::Unknown(_) => None,
                }
            }

            /// Who decided, [`GATEWAY_DOMAIN`] or [`AWS_DOMAIN`]; none for
            /// [`Reason::Unknown`].
            #[must_use]
            pub fn domain(&self) -> Option<&'static str> {
                match self {
                    $(Self::$variant => Some($domain),)*
                    Self::Unknown(_) => None,
                }
            }
        }

        impl From<&str> for Reason {
            fn from(name: &str) -> Self {
                match name {
                    $($name => Self::$variant,)*
                    other => Self::Unknown(other.to_owned()),
                }
            }
        }
    };
}

reasons! {
    /// The request breaks a constraint: [`Error::field_violations`](crate::Error::field_violations)
    /// has all of them.
    InvalidRequest = "INVALID_REQUEST", InvalidArgument, GATEWAY_DOMAIN;
    /// The region has no Face Liveness, or this gateway does not serve it.
    RegionNotServed = "REGION_NOT_SERVED", InvalidArgument, GATEWAY_DOMAIN;
    /// The gateway has no such method, or does not speak the encoding.
    Unimplemented = "UNIMPLEMENTED", Unimplemented, GATEWAY_DOMAIN;
    /// The caller has shown no credentials, or none that the gateway accepts.
    Unauthenticated = "UNAUTHENTICATED", Unauthenticated, GATEWAY_DOMAIN;
    /// The gateway could not read the keys of the token issuer yet.
    KeysUnavailable = "KEYS_UNAVAILABLE", Unavailable, GATEWAY_DOMAIN;
    /// The caller may not call at all, or not use this bucket, key or option.
    Policy = "POLICY", PermissionDenied, GATEWAY_DOMAIN;
    /// The `client_request_token` was used for a session with other parameters.
    TokenReused = "TOKEN_REUSED", AlreadyExists, GATEWAY_DOMAIN;
    /// The session of this `client_request_token` has too little time left.
    SessionExpiring = "SESSION_EXPIRING", FailedPrecondition, GATEWAY_DOMAIN;
    /// The caller calls more often than it may.
    CallerRate = "CALLER_RATE", ResourceExhausted, GATEWAY_DOMAIN;
    /// The account's quota leaves no room before the call's deadline.
    AccountQuota = "ACCOUNT_QUOTA", ResourceExhausted, GATEWAY_DOMAIN;
    /// The gateway has as many calls in flight as it takes.
    Overloaded = "OVERLOADED", Unavailable, GATEWAY_DOMAIN;
    /// This replica of the gateway is shutting down.
    Draining = "DRAINING", Unavailable, GATEWAY_DOMAIN;
    /// The deadline passed, whether the gateway or this library noticed.
    Deadline = "DEADLINE", DeadlineExceeded, GATEWAY_DOMAIN;
    /// The gateway has a defect.
    Internal = "INTERNAL", Internal, GATEWAY_DOMAIN;
    /// Amazon Rekognition refused the parameters.
    UpstreamInvalidParameter = "UPSTREAM_INVALID_PARAMETER", InvalidArgument, AWS_DOMAIN;
    /// The account's quota at Amazon Rekognition is used up.
    UpstreamQuota = "UPSTREAM_QUOTA", ResourceExhausted, AWS_DOMAIN;
    /// Amazon Rekognition is short of capacity.
    UpstreamThrottled = "UPSTREAM_THROTTLED", Unavailable, AWS_DOMAIN;
    /// Amazon Rekognition failed, or could not be reached.
    UpstreamUnavailable = "UPSTREAM_UNAVAILABLE", Unavailable, AWS_DOMAIN;
    /// Amazon Rekognition denied the gateway access.
    UpstreamAccessDenied = "UPSTREAM_ACCESS_DENIED", Internal, AWS_DOMAIN;
    /// AWS does not accept the gateway's credentials.
    UpstreamCredentials = "UPSTREAM_CREDENTIALS", Unavailable, AWS_DOMAIN;
    /// Amazon Rekognition's answer holds no valid session id.
    UpstreamMalformed = "UPSTREAM_MALFORMED", Internal, AWS_DOMAIN;
    /// Amazon Rekognition refused for a reason that the gateway does not know.
    UpstreamRejected = "UPSTREAM_REJECTED", Internal, AWS_DOMAIN;
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_reason_survives_the_wire() {
        assert_eq!(Reason::KNOWN.len(), 22);
        for reason in Reason::KNOWN {
            assert_eq!(&Reason::from(reason.as_str()), reason);
            assert!(reason.code().is_some() && reason.domain().is_some());
        }
    }
}
