//! How callers prove who they are: whom a call's credentials name, if anybody.

use std::fmt;
use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{Extensions, HeaderMap};
use tokio_util::task::AbortOnDropHandle;

use super::jwt::{self, Rejected, Verifier};
use super::keys::{Busy, Keys};
use super::{Peer, Tokens};
use crate::caller::Caller;
use crate::refusal::{Credentials, Refusal};

/// Which proofs are accepted.
#[derive(Clone, Debug, Default)]
pub struct Proofs {
    /// Client certificates, which TLS has verified.
    pub certificates: bool,
    /// Static tokens.
    pub tokens: Tokens,
    /// Tokens of an issuer.
    pub jwt: Option<jwt::Settings>,
}

/// Judges credentials.
pub(super) struct Judge {
    certificates: bool,
    tokens: Tokens,
    jwt: Option<Verifier>,
    /// Keeps the issuer's keys fresh.
    fresh: Option<Fresh>,
}

/// Dropped with the last clone, it ends the reading of keys.
type Fresh = Arc<AbortOnDropHandle<()>>;

/// What the credentials come to at once.
pub(super) enum Verdict {
    Known(Caller),
    Refused(Refusal),
    /// The issuer's keys must be read first.
    NeedsKeys,
}

impl Judge {
    /// Begins to follow the issuer's keys on this runtime, or reads them once more if
    /// `before` followed them already. Goes on with those that it had from there.
    pub(super) fn new(proofs: Proofs, before: Option<&Self>) -> Self {
        let Proofs {
            certificates,
            tokens,
            jwt,
        } = proofs;
        let (jwt, fresh) = match jwt {
            None => (None, None),
            Some(settings) => {
                let (keys, fresh) = followed(&settings, before);
                (Some(Verifier::new(settings, keys)), Some(fresh))
            }
        };
        Self {
            certificates,
            tokens,
            jwt,
            fresh,
        }
    }

    pub(super) fn takes_certificates(&self) -> bool {
        self.certificates
    }

    /// Completes when callers can be told apart.
    pub(super) async fn ready(&self) {
        if let Some(jwt) = &self.jwt {
            jwt.keys().known().await;
        }
    }

    /// Whether the issuer's keys are known; `None` without an issuer.
    pub(super) fn has_keys(&self) -> Option<bool> {
        Some(self.jwt.as_ref()?.keys().are_known())
    }

    /// Judges what the call brings. A bearer token counts before the certificate
    /// of the connection, which may be a proxy's; a bad one is refused whatever
    /// the certificate says.
    pub(super) fn judge(&self, headers: &HeaderMap, extensions: &Extensions) -> Verdict {
        let accepts_bearers = !self.tokens.is_empty() || self.jwt.is_some();
        if accepts_bearers && headers.contains_key(AUTHORIZATION) {
            return match bearer(headers) {
                Some(token) => self.judge_bearer(token),
                None => refused(Credentials::NotAccepted),
            };
        }
        let peer = extensions.get::<Peer>().filter(|_| self.certificates);
        match peer {
            Some(Peer(caller)) => Verdict::Known(caller.clone()),
            None => refused(Credentials::Missing {
                certificate: self.certificates,
                bearer: accepts_bearers,
            }),
        }
    }

    fn judge_bearer(&self, token: &str) -> Verdict {
        if let Some(caller) = self.tokens.caller(token) {
            return Verdict::Known(caller);
        }
        let Some(jwt) = &self.jwt else {
            return refused(Credentials::NotAccepted);
        };
        match jwt.verify(token) {
            Ok(caller) => Verdict::Known(caller),
            Err(Rejected::UnknownKey) => Verdict::NeedsKeys,
            Err(Rejected::NoKeys) => Verdict::Refused(Refusal::KeysUnavailable),
            Err(Rejected::Expired) => refused(Credentials::Expired),
            Err(Rejected::NotAccepted) => refused(Credentials::NotAccepted),
        }
    }

    /// Judges once more after the issuer's keys were read.
    pub(super) async fn judge_with_new_keys(
        &self,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Result<Caller, Refusal> {
        if let Some(jwt) = &self.jwt {
            let read = jwt.keys().refetched().await;
            read.map_err(|Busy| Refusal::KeysUnavailable)?;
        }
        match self.judge(headers, extensions) {
            Verdict::Known(caller) => Ok(caller),
            Verdict::Refused(refusal) => Err(refusal),
            Verdict::NeedsKeys => Err(Refusal::Unauthenticated(Credentials::NotAccepted)),
        }
    }
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Judge")
            .field("certificates", &self.certificates)
            .field("tokens", &self.tokens)
            .field("jwt", &self.jwt)
            .finish_non_exhaustive()
    }
}

fn followed(settings: &jwt::Settings, before: Option<&Judge>) -> (Arc<Keys>, Fresh) {
    let before = before.and_then(|before| Some((before.jwt.as_ref()?.keys(), &before.fresh)));
    if let Some((keys, Some(fresh))) = before
        && *keys.settings() == settings.keys
    {
        keys.read_again();
        return (Arc::clone(keys), Arc::clone(fresh));
    }
    let before = before.map(|(keys, _)| &**keys);
    let keys = Arc::new(Keys::new(settings.keys.clone(), before));
    let follow = tokio::spawn(Arc::clone(&keys).follow());
    (keys, Arc::new(AbortOnDropHandle::new(follow)))
}

fn refused(credentials: Credentials) -> Verdict {
    Verdict::Refused(Refusal::Unauthenticated(credentials))
}

/// The one bearer token of the call.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (only, None) = (values.next()?, values.next()) else {
        return None;
    };
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}
