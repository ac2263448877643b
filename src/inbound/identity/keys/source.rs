//! Where an issuer's keys are read from, and which of them can be used.

use std::collections::HashMap;
use std::path::PathBuf;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use tokio::time::timeout;
use url::Url;

use crate::causes::Causes;
use crate::config::CaBundle;
use crate::files;

/// The largest key set that is read, in bytes; real ones have a few thousand.
const MAX_BYTES: usize = 256 * 1024;

/// The most keys that are kept; issuers have two to five.
const MAX_KEYS: usize = 100;

/// Where keys are read from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// A URL, and the authorities that vouch for its server if not the system's.
    Url(Url, Option<CaBundle>),
}

/// Why keys were not read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read {0}: {1}")]
    File(PathBuf, #[source] std::io::Error),
    /// The server does not answer as it should.
    #[error("cannot get {0}: {1}")]
    Url(Url, String),
    /// What was read is no key set.
    #[error("{0} is not a JSON Web Key Set: {1}")]
    NotKeys(String, String),
}

/// A key that verifies signatures.
#[derive(Clone)]
pub(in super::super) struct Key {
    decoding: Arc<DecodingKey>,
    /// The one algorithm that it is for, if it says so.
    algorithm: Option<Algorithm>,
}

impl Key {
    pub(in super::super) fn decoding(&self) -> &DecodingKey {
        &self.decoding
    }

    /// Whether a signature by `algorithm` can be this key's.
    pub(in super::super) fn fits(&self, algorithm: Algorithm) -> bool {
        self.decoding.family() == algorithm.family()
            && self.algorithm.is_none_or(|own| own == algorithm)
    }
}

/// Keys by their ids.
pub(super) type KeySet = HashMap<Option<String>, Key>;

impl Source {
    /// Reads them, from a URL within that time. A file is waited for: who gave up on one
    /// that hangs and began anew would use up the threads.
    pub(super) async fn read(&self, limit: Duration) -> Result<KeySet, Error> {
        match self {
            Self::File(path) => {
                let path = path.clone();
                let read = tokio::task::spawn_blocking(move || read_file(path)).await;
                read.map_err(|error| Error::NotKeys("the file".to_owned(), error.to_string()))?
            }
            Self::Url(url, trusted) => {
                let failed = |error: String| Error::Url(url.clone(), error);
                let fetched = timeout(limit, fetch(url, trusted.as_ref())).await;
                let body = fetched
                    .map_err(|_elapsed| failed(format!("no answer in {limit:?}")))?
                    .map_err(failed)?;
                parse(&body).map_err(|error| Error::NotKeys(url.to_string(), error))
            }
        }
    }

    /// Whether a file is a key set; a URL is asked only when it is used.
    ///
    /// # Errors
    /// When it does not.
    pub fn check(&self) -> Result<(), Error> {
        match self {
            Self::File(path) => read_file(path.clone()).map(drop),
            Self::Url(..) => Ok(()),
        }
    }
}

fn read_file(path: PathBuf) -> Result<KeySet, Error> {
    let bytes =
        files::read(&path, MAX_BYTES as u64).map_err(|error| Error::File(path.clone(), error))?;
    parse(&bytes).map_err(|error| Error::NotKeys(path.display().to_string(), error))
}

async fn fetch(url: &Url, trusted: Option<&CaBundle>) -> Result<Bytes, String> {
    let uri = http::Uri::from_str(url.as_str()).map_err(|error| error.to_string())?;
    let client = Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(0)
        .build::<_, Empty<Bytes>>(connector(trusted)?);
    let answer = client
        .get(uri)
        .await
        .map_err(|error| Causes(&error).to_string())?;
    if !answer.status().is_success() {
        return Err(format!("the server answers {}", answer.status()));
    }
    let body = Limited::new(answer.into_body(), MAX_BYTES).collect().await;
    Ok(body.map_err(|error| error.to_string())?.to_bytes())
}

fn connector(trusted: Option<&CaBundle>) -> Result<HttpsConnector<HttpConnector>, String> {
    let provider = aws_lc_rs::default_provider();
    let builder = HttpsConnectorBuilder::new();
    let builder = match trusted {
        None => builder
            .with_provider_and_native_roots(provider)
            .map_err(|error| error.to_string())?,
        Some(bundle) => builder.with_tls_config(believing(bundle)?),
    };
    // Plaintext only goes to this machine itself; the configuration sees to it.
    Ok(builder.https_or_http().enable_all_versions().build())
}

fn believing(bundle: &CaBundle) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(bundle.certificates());
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// The keys that can be used; issuers may publish others beside them. There may be
/// none, if all are withdrawn.
fn parse(bytes: &[u8]) -> Result<KeySet, String> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<serde_json::Value>,
    }
    let set: Set = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let keys = set.keys.into_iter().take(MAX_KEYS);
    Ok(keys.filter_map(usable).collect())
}

fn usable(key: serde_json::Value) -> Option<(Option<String>, Key)> {
    let key: Jwk = serde_json::from_value(key).ok()?;
    let signs = |purpose: &PublicKeyUse| matches!(purpose, PublicKeyUse::Signature);
    let for_signatures = key.common.public_key_use.as_ref().is_none_or(signs);
    // A shared secret in a public place is none.
    let secret = matches!(key.algorithm, AlgorithmParameters::OctetKey(_));
    if !for_signatures || secret {
        return None;
    }
    let decoding = Arc::new(DecodingKey::from_jwk(&key).ok()?);
    let algorithm = match key.common.key_algorithm {
        None => None,
        // One that no token can have makes the key useless.
        Some(named) => Some(Algorithm::from_str(&named.to_string()).ok()?),
    };
    Some((
        key.common.key_id,
        Key {
            decoding,
            algorithm,
        },
    ))
}

/// A key set with keys of these ids, for tests.
#[cfg(test)]
pub(super) fn set(ids: &[&str]) -> String {
    let keys = ids.iter().map(|id| {
        format!(
            r#"{{"kty":"OKP","crv":"Ed25519","kid":"{id}","use":"sig","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}}"#
        )
    });
    let keys: Vec<_> = keys.collect();
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_cannot_verify_signatures_are_passed_over() {
        let others = [
            r#"{"kty":"oct","k":"c2VjcmV0","kid":"shared"}"#,
            r#"{"kty":"RSA","n":"AQAB","e":"AQAB","use":"enc","kid":"enc"}"#,
            r#"{"kty":"RSA","n":"AQAB","e":"AQAB","alg":"RSA-OAEP","kid":"oaep"}"#,
            r#"{"kty":"EC","crv":"P-9","x":"","y":"","kid":"curve"}"#,
            r#"{"kty":"new","kid":"new"}"#,
            "7",
        ];
        let good = set(&["a"]);
        let mixed = good.replace("]}", &format!(",{}]}}", others.join(",")));
        let keys = parse(mixed.as_bytes()).unwrap();
        let ids: Vec<_> = keys.keys().flatten().collect();
        assert_eq!(ids, ["a"]);
        for none in [r#"{"keys":[]}"#, r#"{"keys":[7]}"#] {
            assert!(parse(none.as_bytes()).unwrap().is_empty());
        }
        for bad in ["", "[]", "{}"] {
            assert!(parse(bad.as_bytes()).is_err(), "took {bad:?}");
        }
    }

    #[test]
    fn of_a_set_that_is_too_large_not_all_is_kept() {
        let ids: Vec<_> = (0..MAX_KEYS + 1).map(|id| id.to_string()).collect();
        let ids: Vec<_> = ids.iter().map(String::as_str).collect();
        assert_eq!(parse(set(&ids).as_bytes()).unwrap().len(), MAX_KEYS);
    }

    #[test]
    fn a_key_fits_only_its_own_algorithm() {
        let with = |alg: &str| {
            let text = set(&["a"]).replace(r#""use":"sig""#, &format!(r#""alg":"{alg}""#));
            parse(text.as_bytes())
                .unwrap()
                .into_values()
                .next()
                .unwrap()
        };
        assert!(with("EdDSA").fits(Algorithm::EdDSA));
        assert!(!with("EdDSA").fits(Algorithm::ES256));
        assert!(!with("ES256").fits(Algorithm::EdDSA));
    }
}
