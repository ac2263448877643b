//! Certificate, key and client authorities, from files.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::files;

/// The protocols that clients may have to speak, as ALPN calls them.
const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// The largest file that is read, in bytes: some hundred certificates.
const MAX_FILE: u64 = 1024 * 1024;

/// Where the material is. The files may be symbolic links that are swapped, as
/// Kubernetes does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Files {
    /// The certificate, and those between it and its authority (PEM).
    pub certificate: PathBuf,
    /// Its private key (PEM, unencrypted).
    pub key: PathBuf,
    /// Whether and how clients prove who they are.
    pub clients: Option<(PathBuf, ClientAuth)>,
}

/// What a client without a certificate gets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClientAuth {
    /// No connection.
    Required,
    /// A connection on which it must prove itself in another way.
    Optional,
}

/// What a port is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// gRPC, to the clients that [`Files`] says.
    Grpc,
    /// The admin port, over HTTP/1.1.
    Admin {
        /// Whether a client needs a certificate, if there are authorities for them.
        proof: bool,
    },
}

/// What a handshake needs. Shows nothing of the key.
#[derive(Clone)]
pub struct Material {
    grpc: Arc<ServerConfig>,
    admin: Arc<ServerConfig>,
    admin_without_proof: Arc<ServerConfig>,
    digest: [u8; 32],
    expires: Expiry,
    /// When reading it began.
    read: Instant,
}

/// When a certificate expires.
#[derive(Clone, Debug)]
struct Expiry {
    time: SystemTime,
    /// For people.
    text: Box<str>,
}

impl Material {
    /// Reads the files.
    ///
    /// # Errors
    /// Which file has what wrong with it, or that they do not fit together.
    pub fn read(files: &Files) -> Result<Self, Problem> {
        let began = Instant::now();
        let certificate = read(&files.certificate, What::Certificate)?;
        let key = read(&files.key, What::Key)?;
        let clients = match &files.clients {
            Some((path, auth)) => Some((read(path, What::ClientCa)?, path, *auth)),
            None => None,
        };
        let mut digest = Sha256::new();
        for bytes in [
            Some(&certificate),
            Some(&key),
            clients.as_ref().map(|c| &c.0),
        ] {
            let bytes = bytes.map_or(&[][..], Vec::as_slice);
            digest.update((bytes.len() as u64).to_be_bytes());
            digest.update(bytes);
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let (pair, expires) = pair(files, &certificate, &key, &provider)?;
        let clients = match clients {
            Some((pem, path, auth)) => Some((Arc::new(roots(&pem, path)?), auth)),
            None => None,
        };
        let maker = Maker {
            provider,
            pair: Arc::new(pair),
        };
        let required = clients
            .as_ref()
            .map(|(roots, _)| (roots, ClientAuth::Required));
        let grpc = clients.as_ref().map(|(roots, auth)| (roots, *auth));
        Ok(Self {
            grpc: maker.make(grpc, HTTP2)?,
            admin: maker.make(required, HTTP1)?,
            admin_without_proof: maker.make(None, HTTP1)?,
            digest: digest.finalize().into(),
            expires,
            read: began,
        })
    }

    /// What handshakes on a port for this purpose are made with.
    #[must_use]
    pub fn config(&self, purpose: Purpose) -> &Arc<ServerConfig> {
        match purpose {
            Purpose::Grpc => &self.grpc,
            Purpose::Admin { proof: true } => &self.admin,
            Purpose::Admin { proof: false } => &self.admin_without_proof,
        }
    }

    /// When the certificate expires, for people.
    #[must_use]
    pub fn expires(&self) -> &str {
        &self.expires.text
    }

    /// When the certificate expires; none is taken to have expired before 1970.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.expires.time
    }

    /// Whether it was read before the other.
    pub(super) fn is_older_than(&self, other: &Self) -> bool {
        self.read < other.read
    }

    /// Whether the files have the same content.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Material")
            .field("expires", &self.expires.text)
            .finish_non_exhaustive()
    }
}

/// Gives the one certificate, whatever name the client asks for.
#[derive(Debug)]
struct Only(Arc<CertifiedKey>);

/// Makes what handshakes are made with.
struct Maker {
    provider: Arc<CryptoProvider>,
    pair: Arc<CertifiedKey>,
}

impl Maker {
    /// For clients that one of the authorities signed, if there are such, and that
    /// speak `protocol`.
    fn make(
        &self,
        clients: Option<(&Arc<RootCertStore>, ClientAuth)>,
        protocol: &[u8],
    ) -> Result<Arc<ServerConfig>, Problem> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|error| What::Certificate.problem(error))?;
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some((roots, auth)) => {
                let provider = Arc::clone(&self.provider);
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider);
                let verifier = match auth {
                    ClientAuth::Required => verifier,
                    ClientAuth::Optional => verifier.allow_unauthenticated(),
                };
                let verifier = verifier.build().map_err(|e| What::ClientCa.problem(e))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(Only(Arc::clone(&self.pair))));
        config.alpn_protocols = vec![protocol.to_vec()];
        // Calls share connections that live long, so that resumption saves little;
        // and it would let a client in whose authority is trusted no more.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for Only {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// What is wrong, and with which of the files.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text}")]
pub struct Problem {
    /// The key of `[tls]` that names the file.
    pub key: &'static str,
    text: String,
}

#[derive(Clone, Copy)]
enum What {
    Certificate,
    Key,
    ClientCa,
}

impl What {
    fn problem(self, text: impl fmt::Display) -> Problem {
        let key = match self {
            Self::Certificate => "certificate",
            Self::Key => "key",
            Self::ClientCa => "client_ca",
        };
        let text = text.to_string();
        Problem { key, text }
    }
}

fn read(path: &Path, what: What) -> Result<Vec<u8>, Problem> {
    files::read(path, MAX_FILE)
        .map_err(|error| what.problem(format!("cannot read {}: {error}", path.display())))
}

/// The certificate with its key, and when it expires.
fn pair(
    files: &Files,
    certificate: &[u8],
    key: &[u8],
    provider: &CryptoProvider,
) -> Result<(CertifiedKey, Expiry), Problem> {
    let chain = certificates(certificate, &files.certificate, What::Certificate)?;
    let expires = expiry(&chain[0]).map_err(|error| {
        What::Certificate.problem(format!(
            "{} does not begin with a certificate: {error}",
            files.certificate.display()
        ))
    })?;
    let path = files.key.display();
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| {
        What::Key.problem(format!(
            "{path} holds no private key in PEM form that is not encrypted"
        ))
    })?;
    let pair = CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => What::Key.problem(format!(
            "{path} is not the key of the certificate in {}",
            files.certificate.display()
        )),
        other => What::Key.problem(format!("{path} cannot be used: {other}")),
    })?;
    Ok((pair, expires))
}

fn expiry(certificate: &CertificateDer<'_>) -> Result<Expiry, String> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|error| error.to_string())?;
    let not_after = parsed.validity().not_after;
    let since_epoch = u64::try_from(not_after.timestamp()).unwrap_or_default();
    Ok(Expiry {
        time: SystemTime::UNIX_EPOCH + Duration::from_secs(since_epoch),
        text: not_after.to_string().into(),
    })
}

/// At least one.
fn certificates(
    pem: &[u8],
    path: &Path,
    what: What,
) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let parsed = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    match parsed {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(what.problem(format!(
            "{} holds no certificate in PEM form",
            path.display()
        ))),
        Err(error) => Err(what.problem(format!("{} is not PEM: {error}", path.display()))),
    }
}

fn roots(pem: &[u8], path: &Path) -> Result<RootCertStore, Problem> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem, path, What::ClientCa)? {
        roots.add(certificate).map_err(|error| {
            What::ClientCa.problem(format!("{} holds no authority: {error}", path.display()))
        })?;
    }
    Ok(roots)
}
