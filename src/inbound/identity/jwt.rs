//! JSON Web Tokens: signed by the issuer, meant for this service, not expired.

use std::collections::HashMap;
use std::sync::Arc;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header};

use super::keys::{self, Key, Keys, Lookup};
use crate::caller::Caller;

/// How far the clocks of issuer and gateway may be apart, in seconds.
const LEEWAY: u64 = 30;

/// Which tokens are accepted, and whom they name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// The claim `iss` must be this.
    pub issuer: String,
    /// The claim `aud` must have one of these.
    pub audience: Vec<String>,
    /// Nothing else may have signed them: the token itself does not decide.
    pub algorithms: Vec<Algorithm>,
    /// The claim that names the caller.
    pub claim: String,
    /// What is put before the name.
    pub prefix: String,
    /// Where the issuer's keys are.
    pub keys: keys::Settings,
}

/// Why a token names nobody.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Rejected {
    /// It is genuine, but its time is over.
    Expired,
    /// Anything else.
    NotAccepted,
    /// A key of this id is not known, or not yet.
    UnknownKey,
    /// No keys are known at all.
    NoKeys,
}

/// Verifies tokens.
#[derive(Debug)]
pub(super) struct Verifier {
    settings: Settings,
    keys: Arc<Keys>,
    /// One for each algorithm, for the library wants them of one family.
    validations: HashMap<Algorithm, Validation>,
}

impl Verifier {
    /// Verifies with `keys`.
    pub(super) fn new(settings: Settings, keys: Arc<Keys>) -> Self {
        let validation = |algorithm: &Algorithm| {
            let mut validation = Validation::new(*algorithm);
            validation.set_issuer(&[&settings.issuer]);
            validation.set_audience(&settings.audience);
            validation.set_required_spec_claims(&["exp", "iss", "aud"]);
            validation.validate_nbf = true;
            validation.leeway = LEEWAY;
            (*algorithm, validation)
        };
        let validations = settings.algorithms.iter().map(validation).collect();
        Self {
            settings,
            keys,
            validations,
        }
    }

    pub(super) fn keys(&self) -> &Arc<Keys> {
        &self.keys
    }

    /// Whom the token names.
    pub(super) fn verify(&self, token: &str) -> Result<Caller, Rejected> {
        let header = decode_header(token).map_err(|_| Rejected::NotAccepted)?;
        let validation = self.validations.get(&header.alg);
        let validation = validation.ok_or(Rejected::NotAccepted)?;
        let key = self.key(&header)?;
        let claims =
            decode::<HashMap<String, serde_json::Value>>(token, key.decoding(), validation)
                .map_err(|error| {
                    // What is wrong with a claim would be told with the claim.
                    let of_claim = matches!(error.kind(), ErrorKind::Json(_));
                    let problem = (!of_claim).then(|| tracing::field::display(&error));
                    tracing::debug!(error = problem, "a token was not accepted");
                    match error.kind() {
                        // Told only when the signature is good.
                        ErrorKind::ExpiredSignature => Rejected::Expired,
                        _ => Rejected::NotAccepted,
                    }
                })?
                .claims;
        let name = claims
            .get(&self.settings.claim)
            .and_then(|name| name.as_str());
        let name = name.filter(|name| !name.is_empty());
        name.and_then(|name| Caller::named(&format!("{}{name}", self.settings.prefix)))
            .ok_or(Rejected::NotAccepted)
    }

    fn key(&self, header: &Header) -> Result<Key, Rejected> {
        match self.keys.find(header.kid.as_deref()) {
            Lookup::Found(key) if key.fits(header.alg) => Ok(key),
            Lookup::Found(_) => Err(Rejected::NotAccepted),
            Lookup::Unknown => Err(Rejected::UnknownKey),
            Lookup::NoKeys => Err(Rejected::NoKeys),
        }
    }
}
