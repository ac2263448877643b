//! Handshakes, bounded in number and time, with the material that is in force at
//! the moment.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::material::Problem;
use super::{Files, Material, Purpose, Settings};
use crate::telemetry::metrics::Certificate;

/// Why a connection is not secured, and so not served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It took too long.
    #[error("the TLS handshake took longer than {0:?}")]
    Slow(Duration),
    /// The client does not speak TLS as it must, or has no valid certificate.
    #[error("the TLS handshake failed: {0}")]
    Failed(#[source] io::Error),
}

/// What looking at the files came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refreshed {
    /// They are as they were.
    Same,
    /// New connections get the new material.
    Replaced,
}

/// Makes TLS out of TCP. Clones share the material and the bounds.
///
/// Connections that are open keep what they began with.
#[derive(Clone)]
pub struct Acceptor {
    inner: Arc<Inner>,
    purpose: Purpose,
    bounds: Bounds,
}

struct Inner {
    files: Files,
    material: ArcSwap<Material>,
    replacing: Mutex<()>,
    /// Shows when the certificate in force expires.
    certificate: Certificate,
    reload_interval: Duration,
}

#[derive(Clone)]
struct Bounds {
    max_handshakes: usize,
    handshakes: Arc<Semaphore>,
    timeout: Duration,
}

impl Bounds {
    fn new(max_handshakes: usize, timeout: Duration) -> Self {
        Self {
            max_handshakes,
            handshakes: Arc::new(Semaphore::new(max_handshakes)),
            timeout,
        }
    }
}

impl Acceptor {
    /// Begins with the material in `settings`, and tells `certificate` of it and of
    /// what replaces it.
    #[must_use]
    pub fn new(settings: Settings, certificate: Certificate) -> Self {
        tracing::info!(expires = settings.material.expires(), "TLS certificate");
        certificate.expires(settings.material.not_after());
        let inner = Inner {
            files: settings.files,
            material: ArcSwap::from_pointee(settings.material),
            replacing: Mutex::default(),
            certificate,
            reload_interval: settings.reload_interval,
        };
        Self {
            inner: Arc::new(inner),
            purpose: Purpose::Grpc,
            bounds: Bounds::new(settings.max_handshakes, settings.handshake_timeout),
        }
    }

    /// One for another port, with the same material and bounds of its own.
    #[must_use]
    pub fn for_port(&self, purpose: Purpose, max_handshakes: usize, timeout: Duration) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            purpose,
            bounds: Bounds::new(max_handshakes, timeout),
        }
    }

    /// How many handshakes one peer may be in, so that those that it does not go on
    /// with leave room for others: a quarter of all.
    #[must_use]
    pub fn handshakes_of_a_peer(&self) -> usize {
        (self.bounds.max_handshakes / 4).max(1)
    }

    /// Makes the handshake, with a permit of its peer's. A client that must show a
    /// certificate and has no valid one does not get through it.
    ///
    /// # Errors
    /// When it fails or takes too long; waiting for earlier ones counts.
    pub async fn accept<T>(&self, stream: T, of_peer: &Semaphore) -> Result<TlsStream<T>, Error>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let limit = self.bounds.timeout;
        let handshake = async {
            // Neither semaphore is ever closed. Who waits for its own holds none of
            // everybody's.
            let _own = of_peer.acquire().await;
            let _permit = self.bounds.handshakes.acquire().await;
            let config = Arc::clone(self.inner.material.load().config(self.purpose));
            TlsAcceptor::from(config).accept(stream).await
        };
        match tokio::time::timeout(limit, handshake).await {
            Ok(done) => done.map_err(Error::Failed),
            Err(_elapsed) => Err(Error::Slow(limit)),
        }
    }

    /// Where the material comes from.
    #[must_use]
    pub fn files(&self) -> &Files {
        &self.inner.files
    }

    /// Reads the files, and puts what is in them in force if it is new.
    ///
    /// # Errors
    /// When it is no good; then the old material stays in force.
    pub fn refresh(&self) -> Result<Refreshed, Problem> {
        let read = Material::read(&self.inner.files)?;
        Ok(self.replace(read))
    }

    /// Puts `material` in force if it is new. What was read earlier than that in force
    /// is not: the files are looked at from two sides.
    pub fn replace(&self, material: Material) -> Refreshed {
        // Nothing that is guarded can be left half done.
        let _turn = self
            .inner
            .replacing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let present = self.inner.material.load();
        if material.is_older_than(&present) {
            return Refreshed::Same;
        }
        if present.is_same_as(&material) {
            // So that what was read in between is known to be old.
            self.inner.material.store(Arc::new(material));
            return Refreshed::Same;
        }
        tracing::info!(
            expires = material.expires(),
            "TLS certificate, key or client authorities replaced; new connections get them"
        );
        self.inner.certificate.expires(material.not_after());
        self.inner.material.store(Arc::new(material));
        Refreshed::Replaced
    }

    /// Looks at the files at their interval, for ever. A problem is told once, and
    /// again when it changes: while files are being swapped, those read may not
    /// fit together for a moment.
    pub async fn follow_files(self) {
        let mut ticks = interval(self.inner.reload_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = None;
        loop {
            ticks.tick().await;
            let acceptor = self.clone();
            // A network file system must not hold up the connections.
            let Ok(refreshed) = tokio::task::spawn_blocking(move || acceptor.refresh()).await
            else {
                continue;
            };
            let problem = refreshed.err();
            if problem != told
                && let Some(problem) = &problem
            {
                tracing::error!(
                    "the TLS files are no good, those read before stay in force: tls.{}: {problem}",
                    problem.key
                );
            }
            told = problem;
        }
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor")
            .field("files", &self.inner.files)
            .field("purpose", &self.purpose)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::{Exposition, Metrics};
    use crate::telemetry::otlp;
    use rcgen::{
        CertificateParams, CertifiedKey, KeyPair, date_time_ymd, generate_simple_self_signed,
    };
    use rustls::crypto::aws_lc_rs;
    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, RootCertStore};
    use tempfile::TempDir;
    use tokio::io::duplex;
    use tokio_rustls::TlsConnector;

    const LIMIT: Duration = Duration::from_secs(10);

    /// An acceptor of so many handshakes at a time, and a client that believes it.
    fn acceptor(directory: &TempDir, max_handshakes: usize) -> (Acceptor, TlsConnector) {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let path = |name| directory.path().join(name);
        std::fs::write(path("certificate"), cert.pem()).unwrap();
        std::fs::write(path("key"), signing_key.serialize_pem()).unwrap();
        let files = Files {
            certificate: path("certificate"),
            key: path("key"),
            clients: None,
        };
        let settings = Settings {
            material: Material::read(&files).unwrap(),
            files,
            reload_interval: LIMIT,
            max_handshakes,
            handshake_timeout: LIMIT,
        };
        let acceptor = Acceptor::new(settings, Certificate::default());
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone()).unwrap();
        let client = ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        (acceptor, TlsConnector::from(Arc::new(client)))
    }

    /// The permits of a peer that has no other handshake.
    fn peer() -> Semaphore {
        Semaphore::new(1)
    }

    #[tokio::test]
    async fn it_is_shown_when_the_certificate_in_force_expires() {
        let material = |year| {
            let directory = TempDir::new().unwrap();
            let path = |name| directory.path().join(name);
            let key = KeyPair::generate().unwrap();
            let mut parameters = CertificateParams::new(["localhost".to_owned()]).unwrap();
            parameters.not_after = date_time_ymd(year, 1, 1);
            let certificate = parameters.self_signed(&key).unwrap();
            std::fs::write(path("certificate"), certificate.pem()).unwrap();
            std::fs::write(path("key"), key.serialize_pem()).unwrap();
            let files = Files {
                certificate: path("certificate"),
                key: path("key"),
                clients: None,
            };
            (Material::read(&files).unwrap(), files)
        };
        let exposition = Exposition::new(&otlp::Settings::default()).unwrap();
        let metrics = Metrics::new(&exposition.meter(), &[], &[]);
        let shown = || {
            let name = "face_liveness_tls_certificate_not_after_seconds";
            exposition.figures().sum(name, &[])
        };
        let (first, files) = material(2100);
        let settings = Settings {
            material: first,
            files,
            reload_interval: LIMIT,
            max_handshakes: 1,
            handshake_timeout: LIMIT,
        };
        let acceptor = Acceptor::new(settings, metrics.certificate);
        assert_eq!(shown(), 4_102_444_800.0);
        acceptor.replace(material(2101).0);
        assert_eq!(shown(), 4_133_980_800.0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_client_holds_a_place_only_for_a_limited_time() {
        let directory = TempDir::new().unwrap();
        let (acceptor, connector) = acceptor(&directory, 1);
        let (_silent, server) = duplex(1024);
        let first = tokio::spawn({
            let acceptor = acceptor.clone();
            async move { acceptor.accept(server, &peer()).await.map(drop) }
        });
        tokio::time::sleep(LIMIT / 2).await;
        let (client, server) = duplex(64 * 1024);
        let name = ServerName::try_from("localhost").unwrap();
        let peer = peer();
        let accepted = acceptor.accept(server, &peer);
        let (second, connected) = tokio::join!(accepted, connector.connect(name, client));
        assert!(second.is_ok() && connected.is_ok());
        assert!(matches!(first.await.unwrap(), Err(Error::Slow(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_client_of_one_port_holds_no_place_of_another() {
        let directory = TempDir::new().unwrap();
        let (acceptor, connector) = acceptor(&directory, 1);
        let admin = acceptor.for_port(Purpose::Admin { proof: true }, 1, LIMIT / 2);
        let (_silent, server) = duplex(1024);
        let held = tokio::spawn(async move { acceptor.accept(server, &peer()).await.map(drop) });
        tokio::task::yield_now().await;
        let (client, server) = duplex(64 * 1024);
        let name = ServerName::try_from("localhost").unwrap();
        let own = peer();
        let (accepted, connected) =
            tokio::join!(admin.accept(server, &own), connector.connect(name, client));
        assert!(accepted.is_ok() && connected.is_ok());
        assert!(!held.is_finished());
        let (_silent, server) = duplex(1024);
        let slow = admin.accept(server, &peer()).await.map(drop);
        assert!(matches!(slow, Err(Error::Slow(limit)) if limit == LIMIT / 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_go_on_keeps_only_itself_waiting() {
        let directory = TempDir::new().unwrap();
        let (acceptor, connector) = acceptor(&directory, 8);
        let bad = Arc::new(Semaphore::new(acceptor.handshakes_of_a_peer()));
        let mut silent = Vec::new();
        for _ in 0..20 {
            let (client, server) = duplex(1024);
            let (acceptor, bad) = (acceptor.clone(), Arc::clone(&bad));
            let task = tokio::spawn(async move { acceptor.accept(server, &bad).await.map(drop) });
            silent.push((client, task));
        }
        tokio::task::yield_now().await;
        let (client, server) = duplex(64 * 1024);
        let name = ServerName::try_from("localhost").unwrap();
        let peer = peer();
        let accepted = acceptor.accept(server, &peer);
        let begun = tokio::time::Instant::now();
        let (accepted, connected) = tokio::join!(accepted, connector.connect(name, client));
        assert!(accepted.is_ok() && connected.is_ok());
        // Nobody had to time out first.
        assert!(begun.elapsed() < LIMIT);
        assert_eq!(bad.available_permits(), 0);
        for (_client, task) in silent {
            assert!(matches!(task.await.unwrap(), Err(Error::Slow(_))));
        }
    }

    #[tokio::test]
    async fn only_other_content_replaces_what_is_in_force() {
        let directory = TempDir::new().unwrap();
        let (acceptor, _) = acceptor(&directory, 1);
        assert_eq!(acceptor.refresh().unwrap(), Refreshed::Same);
        std::fs::remove_file(directory.path().join("key")).unwrap();
        assert_eq!(acceptor.refresh().unwrap_err().key, "key");
    }

    #[tokio::test]
    async fn what_was_read_earlier_does_not_replace_what_was_read_later() {
        let [first, second] = [TempDir::new().unwrap(), TempDir::new().unwrap()];
        let (older, _) = acceptor(&first, 1);
        let (acceptor, _) = acceptor(&second, 1);
        let stale = Material::clone(&older.inner.material.load());
        assert_eq!(acceptor.replace(stale), Refreshed::Same);
        let fresh = Material::read(&older.inner.files).unwrap();
        assert_eq!(acceptor.replace(fresh), Refreshed::Replaced);
    }
}
