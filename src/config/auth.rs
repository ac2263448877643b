//! From `[auth]`, `[[tokens]]` and client certificates to how callers prove who
//! they are.

use std::str::FromStr as _;

use url::{Host, Url};

use super::check::{CaBundle, Check};
use super::settings::{JwtSettings, Settings};
use super::{Identity, Proofs, Tokens, jwt, keys};
use crate::caller::Caller;

/// What issuers sign with unless they were told otherwise.
const DEFAULT_ALGORITHMS: [&str; 2] = ["RS256", "ES256"];

/// With a public key only: a secret that verifies could also sign.
const ALGORITHMS: [&str; 9] = [
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA",
];

/// Each call is compared with all of them.
const MOST_TOKENS: usize = 1_000;

impl Check<'_> {
    /// How callers are told apart in production.
    pub(super) fn callers_identity(&mut self, settings: &Settings) -> Identity {
        let proofs = Proofs {
            certificates: settings.tls.client_ca.is_some(),
            tokens: self.tokens(settings),
            jwt: self.jwt(&settings.auth.jwt),
        };
        if proofs.certificates || !proofs.tokens.is_empty() || proofs.jwt.is_some() {
            Identity::Proven(Box::new(proofs))
        } else {
            Identity::Anonymous
        }
    }

    /// Notes it when the network could make sessions without a name.
    pub(super) fn open_to_anybody(&mut self, settings: &Settings, identity: &Identity) {
        let proven = matches!(identity, Identity::Proven(_));
        let remote = !settings.listen.ip().is_loopback();
        // What was meant to be proof, or the address, may be among the mistakes.
        let jwt_meant = settings.auth.jwt.issuer.is_some() || settings.auth.jwt.jwks.is_some();
        let meant = jwt_meant || !settings.tokens.is_empty();
        let unclear = meant || self.is_incomplete() || self.is_mistaken("listen");
        if remote && !proven && !settings.insecure_no_auth && !unclear {
            self.mistake("listen", format!(
                "{} is reached from the network, but nobody has to prove who they are: set tls.client_ca, \
                 auth.jwt or [[tokens]], listen on 127.0.0.1, or let everybody in with --insecure-no-auth",
                settings.listen
            ));
        }
    }

    fn tokens(&mut self, settings: &Settings) -> Tokens {
        let mut tokens: Vec<([u8; 32], Caller)> = Vec::new();
        for (index, entry) in settings.tokens.iter().enumerate() {
            let at = format!("tokens[{index}]");
            let caller = Caller::named(&entry.caller);
            if caller.is_none() {
                let problem = format!("must be {}", Caller::NAMES);
                self.mistake(&format!("{at}.caller"), problem);
            }
            let hash = sha256(&entry.sha256);
            let is_known = |(known, _): &&(_, _)| hash.as_ref() == Some(known);
            if let Some((_, earlier)) = tokens.iter().find(is_known) {
                self.mistake(
                    &format!("{at}.sha256"),
                    format!("is that of {earlier} as well: a token names one caller"),
                );
            }
            if hash.is_none() {
                let problem = "must be the SHA-256 of the token, 64 hexadecimal digits: printf %s \"$TOKEN\" | sha256sum";
                self.mistake(&format!("{at}.sha256"), problem);
            }
            tokens.extend(hash.zip(caller));
        }
        if tokens.len() > MOST_TOKENS {
            self.mistake("tokens", format!("must be at most {MOST_TOKENS}"));
        }
        Tokens::new(tokens)
    }

    fn jwt(&mut self, settings: &JwtSettings) -> Option<jwt::Settings> {
        let audience = settings.audience.as_ref().map_or(&[][..], |list| &list.0);
        if settings.issuer.is_none() && settings.jwks.is_none() && audience.is_empty() {
            return None;
        }
        let needed = [
            ("auth.jwt.issuer", settings.issuer.is_some()),
            ("auth.jwt.audience", !audience.is_empty()),
            ("auth.jwt.jwks", settings.jwks.is_some()),
        ];
        for (key, _) in needed.iter().filter(|(_, set)| !set) {
            let problem = "is missing: tokens need an issuer, an audience and the issuer's keys";
            self.mistake(key, problem);
        }
        if settings.claim.is_empty() {
            self.mistake(
                "auth.jwt.claim",
                "must name the claim that names the caller",
            );
        }
        let algorithms = self.algorithms(settings);
        let bundle = self.jwt_bundle(settings);
        let source = self.key_source(settings.jwks.as_deref()?, bundle)?;
        Some(jwt::Settings {
            issuer: settings.issuer.clone()?,
            audience: audience.to_vec(),
            algorithms,
            claim: settings.claim.clone(),
            prefix: settings.prefix.clone(),
            keys: keys::Settings {
                source,
                refresh_interval: settings.refresh_interval,
                max_stale: settings.max_stale,
            },
        })
    }

    fn algorithms(&mut self, settings: &JwtSettings) -> Vec<jsonwebtoken::Algorithm> {
        let default = || DEFAULT_ALGORITHMS.map(str::to_owned).to_vec();
        let names = settings.algorithms.as_ref();
        let names = names.map_or_else(default, |list| list.0.clone());
        let mut algorithms = Vec::new();
        for name in &names {
            let known = ALGORITHMS.contains(&name.as_str());
            match jsonwebtoken::Algorithm::from_str(name) {
                Ok(algorithm) if known => algorithms.push(algorithm),
                _ => self.mistake(
                    "auth.jwt.algorithms",
                    format!("{name:?} must be one of {}", ALGORITHMS.join(", ")),
                ),
            }
        }
        if names.is_empty() {
            self.mistake("auth.jwt.algorithms", "must name at least one");
        }
        algorithms
    }

    fn jwt_bundle(&mut self, settings: &JwtSettings) -> Option<CaBundle> {
        CaBundle::read(settings.ca_bundle.as_ref()?)
            .map_err(|problem| self.mistake("auth.jwt.ca_bundle", problem))
            .ok()
    }

    /// A URL, or else a file.
    fn key_source(&mut self, text: &str, bundle: Option<CaBundle>) -> Option<keys::Source> {
        const KEY: &str = "auth.jwt.jwks";
        if !text.contains("://") {
            let source = keys::Source::File(text.into());
            return match source.check() {
                Ok(()) => Some(source),
                Err(error) => {
                    self.mistake(KEY, error.to_string());
                    None
                }
            };
        }
        let problem = match Url::parse(text) {
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                "must not carry a user name or password".to_owned()
            }
            Ok(url) if url.scheme() == "https" || url.scheme() == "http" && is_here(&url) => {
                return Some(keys::Source::Url(url, bundle));
            }
            Ok(_) => "must begin with https://, or be a file; whoever is on the way could put in keys of their own".to_owned(),
            Err(error) => error.to_string(),
        };
        self.mistake(KEY, problem);
        None
    }
}

/// Whether the URL leads to this machine itself.
fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        _ => false,
    }
}

/// 64 hexadecimal digits.
fn sha256(text: &str) -> Option<[u8; 32]> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let bytes: Vec<u8> = digits?
        .chunks_exact(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect();
    (text.len() == 64).then(|| bytes.try_into().ok())?
}
