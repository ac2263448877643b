//! Certificate authorities of the tests' own, and clients that speak TLS.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};

/// A certificate authority.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Pair {
    /// The certificate as it travels.
    pub(crate) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()
    }
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params
            .distinguished_name
            .push(DnType::CommonName, "an authority");
        let key = KeyPair::generate().unwrap();
        Self {
            issuer: CertifiedIssuer::self_signed(params, key).unwrap(),
        }
    }

    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    fn issue(&self, sans: Vec<SanType>, purpose: ExtendedKeyUsagePurpose) -> Pair {
        self.issue_until(sans, purpose, 2100)
    }

    fn issue_until(&self, sans: Vec<SanType>, purpose: ExtendedKeyUsagePurpose, year: i32) -> Pair {
        let mut params = CertificateParams::default();
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        params.subject_alt_names = sans;
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Pair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// A server's certificate, for `localhost`.
    pub(crate) fn server(&self) -> Pair {
        self.server_for("localhost")
    }

    /// A server's, for another name.
    pub(crate) fn server_for(&self, name: &str) -> Pair {
        let name = SanType::DnsName(name.try_into().unwrap());
        self.issue(vec![name], ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A server's that has expired.
    pub(crate) fn expired_server(&self) -> Pair {
        let localhost = SanType::DnsName("localhost".try_into().unwrap());
        self.issue_until(vec![localhost], ExtendedKeyUsagePurpose::ServerAuth, 2020)
    }

    /// A client's that has expired.
    pub(crate) fn expired_client(&self, uri: &str) -> Pair {
        let uri = SanType::URI(uri.try_into().unwrap());
        self.issue_until(vec![uri], ExtendedKeyUsagePurpose::ClientAuth, 2020)
    }

    /// A client's, with a URI as its name.
    pub(crate) fn client(&self, uri: &str) -> Pair {
        let uri = SanType::URI(uri.try_into().unwrap());
        self.issue(vec![uri], ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// A client's, without a name.
    pub(crate) fn nameless(&self) -> Pair {
        self.issue(Vec::new(), ExtendedKeyUsagePurpose::ClientAuth)
    }
}

/// The files of a gateway, swapped as Kubernetes swaps those of a secret: each is
/// a link into `..data`, itself a link that is replaced in one step.
pub(crate) struct Secret {
    directory: TempDir,
    versions: u32,
}

impl Secret {
    pub(crate) fn new(pair: &Pair, client_ca: &str) -> Self {
        let mut secret = Self {
            directory: TempDir::new().unwrap(),
            versions: 0,
        };
        secret.swap(pair, client_ca);
        for name in ["tls.crt", "tls.key", "ca.crt"] {
            let target = Path::new("..data").join(name);
            std::os::unix::fs::symlink(target, secret.path(name)).unwrap();
        }
        secret
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Replaces all files in one step.
    pub(crate) fn swap(&mut self, pair: &Pair, client_ca: &str) {
        self.versions += 1;
        let version = format!("..{}", self.versions);
        let directory = self.path(&version);
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join("tls.crt"), &pair.certificate).unwrap();
        std::fs::write(directory.join("tls.key"), &pair.key).unwrap();
        std::fs::write(directory.join("ca.crt"), client_ca).unwrap();
        let new = self.path("..data_tmp");
        std::os::unix::fs::symlink(version, &new).unwrap();
        std::fs::rename(new, self.path("..data")).unwrap();
    }

    /// `[tls]` for these files, looked at all the time; `more` follows.
    pub(crate) fn toml(&self, more: &str) -> String {
        format!(
            "[tls]\ncertificate = '{}'\nkey = '{}'\nreload_interval = '5ms'\n{more}\n",
            self.path("tls.crt").display(),
            self.path("tls.key").display(),
        )
    }

    /// The same, with client certificates.
    pub(crate) fn mutual(&self, more: &str) -> String {
        self.toml(&format!(
            "client_ca = '{}'\n{more}",
            self.path("ca.crt").display()
        ))
    }
}

/// How a client speaks TLS: whom it believes, and who it is.
pub(crate) fn client(trusted: &Authority, identity: Option<&Pair>) -> ClientConfig {
    client_with(trusted, identity, rustls::ALL_VERSIONS)
}

/// The same, with these versions of TLS.
pub(crate) fn client_with(
    trusted: &Authority,
    identity: Option<&Pair>,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(trusted.pem().as_bytes()).unwrap();
    roots.add(root).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
            builder
                .with_client_auth_cert(vec![pair.der()], key)
                .unwrap()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// A connection with the handshake made, as far as the client can tell.
pub(crate) async fn handshake(
    address: SocketAddr,
    config: &ClientConfig,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config.clone()))
        .connect(name, stream)
        .await
}

/// A channel whose connection is made with the first call.
pub(crate) fn channel(address: SocketAddr, config: ClientConfig) -> Channel {
    let connector = tower::service_fn(move |_| {
        let config = config.clone();
        async move { handshake(address, &config).await.map(TokioIo::new) }
    });
    // It is the connector that speaks TLS; tonic's own is not built in.
    Endpoint::from_static("http://localhost").connect_with_connector_lazy(connector)
}
