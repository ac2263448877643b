//! TLS: rustls with aws-lc, and certificates that are read again when they change.

mod config;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

#[cfg(feature = "testing")]
pub(crate) use config::server as server_config;

/// The protocol that gRPC speaks, as TLS names it.
const ALPN_H2: &[u8] = b"h2";

/// How `https://` endpoints are reached.
///
/// Files are read when the client is built, so that mistakes show early, and again
/// for every new connection, so that a renewed certificate is used without a
/// restart. While a file is missing or broken the last good content stays in use,
/// and a warning is logged.
///
/// ```no_run
/// use face_liveness_client::{Client, Tls};
///
/// # fn main() -> Result<(), face_liveness_client::BuildError> {
/// let client = Client::builder()
///     .endpoint("https://gateway:50051")
///     .tls(
///         Tls::new()
///             .ca_file("/etc/face-liveness/ca.pem")
///             .identity_files("/etc/face-liveness/tls.crt", "/etc/face-liveness/tls.key"),
///     )
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Tls {
    cas: Vec<Pem>,
    identity: Option<(Pem, Pem)>,
    server_name: Option<String>,
    accept_any: bool,
}

/// PEM, or where it is.
#[derive(Clone)]
enum Pem {
    Text(Vec<u8>),
    File(PathBuf),
}

/// Why a TLS setting is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The PEM of the certificate authorities holds none.
    #[error("no certificate of an authority in the PEM; it must have BEGIN CERTIFICATE lines")]
    NoAuthority,
    /// The operating system has no certificate authorities.
    #[error("the operating system has no certificate authorities; install them, or give a CA file")]
    NoSystemAuthorities,
    /// The client certificate and its key are not a pair of PEM files.
    #[error("the client certificate or its key is not valid PEM: {0}")]
    Identity(String),
    /// rustls refuses the certificates.
    #[error("the certificates cannot be used: {0}")]
    Rejected(String),
    /// The name to expect is no host name.
    #[error("{0:?} is no name that a certificate can have")]
    ServerName(String),
}

impl From<rustls::Error> for TlsError {
    fn from(error: rustls::Error) -> Self {
        Self::Rejected(error.to_string())
    }
}

impl Tls {
    /// Trusts the operating system's certificate authorities, shows no
    /// certificate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts these certificate authorities, and no longer the operating system's.
    /// Can be repeated.
    #[must_use]
    pub fn ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.cas.push(Pem::Text(pem.into()));
        self
    }

    /// As [`ca_pem`](Self::ca_pem), from a file, which is read again when it
    /// changes.
    #[must_use]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.cas.push(Pem::File(path.into()));
        self
    }

    /// Shows this certificate (leaf first) with its key: mTLS.
    #[must_use]
    pub fn identity_pem(mut self, cert: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.identity = Some((Pem::Text(cert.into()), Pem::Text(key.into())));
        self
    }

    /// As [`identity_pem`](Self::identity_pem), from files, which are read again
    /// when they change. Connections that are open go on with the old one.
    #[must_use]
    pub fn identity_files(mut self, cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.identity = Some((Pem::File(cert.into()), Pem::File(key.into())));
        self
    }

    /// Expects this name in the server's certificate, not the endpoint's host.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Accepts any certificate: whoever is in between can read and change
    /// everything. For trials only.
    #[must_use]
    pub fn danger_accept_any_certificate(mut self) -> Self {
        self.accept_any = true;
        self
    }

    fn reads_files(&self) -> bool {
        let identity = self.identity.iter().flat_map(|(cert, key)| [cert, key]);
        self.cas
            .iter()
            .chain(identity)
            .any(|pem| matches!(pem, Pem::File(_)))
    }

    fn read(&self) -> Result<Material, TlsError> {
        let identity = self.identity.as_ref();
        Ok(Material {
            cas: self.cas.iter().map(Pem::read).collect::<Result<_, _>>()?,
            identity: identity
                .map(|(cert, key)| Ok::<_, TlsError>((cert.read()?, key.read()?)))
                .transpose()?,
        })
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("cas", &self.cas)
            .field("identity", &self.identity)
            .field("server_name", &self.server_name)
            .field("accept_any", &self.accept_any)
            .finish()
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("[pem]"),
            Self::File(path) => path.fmt(f),
        }
    }
}

impl Pem {
    fn read(&self) -> Result<Vec<u8>, TlsError> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::File(path) => std::fs::read(path).map_err(|error| TlsError::File {
                path: path.clone(),
                error,
            }),
        }
    }
}

/// What the files held when they were read.
#[derive(Clone, Eq, PartialEq)]
struct Material {
    cas: Vec<Vec<u8>>,
    identity: Option<(Vec<u8>, Vec<u8>)>,
}

/// Makes TLS of TCP.
pub(crate) struct Connector {
    tls: Arc<Tls>,
    server_name: Option<ServerName<'static>>,
    current: Mutex<(Material, Arc<ClientConfig>)>,
}

impl Connector {
    /// Reads the files.
    pub(crate) fn new(tls: Tls) -> Result<Self, TlsError> {
        let material = tls.read()?;
        let config = Arc::new(config::client(&tls, &material)?);
        let server_name = tls.server_name.as_deref().map(server_name).transpose()?;
        Ok(Self {
            tls: Arc::new(tls),
            server_name,
            current: Mutex::new((material, config)),
        })
    }

    /// Shakes hands with the server on the other end.
    pub(crate) async fn connect(
        &self,
        host: &str,
        tcp: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => server_name(host).map_err(io::Error::other)?,
        };
        let stream = TlsConnector::from(self.config().await)
            .connect(name, tcp)
            .await?;
        if stream.get_ref().1.alpn_protocol() != Some(ALPN_H2) {
            return Err(io::Error::other(
                "the server does not offer HTTP/2 over TLS (ALPN h2); is it a gRPC server?",
            ));
        }
        Ok(stream)
    }

    /// The configuration for what the files hold now.
    async fn config(&self) -> Arc<ClientConfig> {
        let last = crate::lock(&self.current).clone();
        if !self.tls.reads_files() {
            return last.1;
        }
        let tls = Arc::clone(&self.tls);
        let known = last.0;
        let renewal = tokio::task::spawn_blocking(move || renew(&tls, &known)).await;
        match renewal {
            Ok(Ok(Some(renewed))) => {
                *crate::lock(&self.current) = renewed.clone();
                renewed.1
            }
            Ok(Ok(None)) => last.1,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the TLS files are of no use; the last good ones stay in use");
                last.1
            }
            // The runtime is shutting down.
            Err(_) => last.1,
        }
    }
}

/// What the files hold, if that is new.
fn renew(tls: &Tls, known: &Material) -> Result<Option<(Material, Arc<ClientConfig>)>, TlsError> {
    let material = tls.read()?;
    if material == *known {
        return Ok(None);
    }
    let config = Arc::new(config::client(tls, &material)?);
    Ok(Some((material, config)))
}

fn server_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(name.to_owned()).map_err(|_| TlsError::ServerName(name.to_owned()))
}
