//! A real Redis on a port of its own.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{Client, FromRedisValue, TlsCertificates};
use face_liveness_gateway::config::CaBundle;
use rcgen::generate_simple_self_signed;
use tempfile::NamedTempFile;
use tokio::time::timeout;

use crate::support::file;

/// A longer wait is a failure of the test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A certificate for this machine, which vouches for itself, and its key.
pub(crate) struct Identity {
    pub(crate) certificate: NamedTempFile,
    key: NamedTempFile,
}

impl Identity {
    pub(crate) fn new() -> Self {
        let made = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        Self {
            certificate: file(&made.cert.pem()),
            key: file(&made.signing_key.serialize_pem()),
        }
    }

    pub(crate) fn bundle(&self) -> CaBundle {
        CaBundle::read(self.certificate.path()).unwrap()
    }
}

/// A server that ends with its test.
pub(crate) struct Server {
    pub(crate) port: u16,
    arguments: Vec<String>,
    authority: Option<Vec<u8>>,
    directory: tempfile::TempDir,
    child: Child,
}

impl Server {
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        Self::listening("--port", arguments, None).await
    }

    /// One that speaks TLS only.
    pub(crate) async fn encrypted(identity: &Identity, arguments: &[&str]) -> Self {
        let path = |file: &NamedTempFile| file.path().to_str().unwrap().to_owned();
        let (certificate, key) = (path(&identity.certificate), path(&identity.key));
        let tls = ["--port", "0", "--tls-auth-clients", "no"];
        let files = [
            ["--tls-cert-file", &certificate],
            ["--tls-key-file", &key],
            ["--tls-ca-cert-file", &certificate],
        ];
        let arguments = [&tls, files.as_flattened(), arguments].concat();
        let authority = identity.bundle().pem().to_vec();
        Self::listening("--tls-port", &arguments, Some(authority)).await
    }

    async fn listening(option: &str, arguments: &[&str], authority: Option<Vec<u8>>) -> Self {
        let port = free_port();
        let own = [option.to_owned(), port.to_string()];
        let given = arguments.iter().map(|argument| (*argument).to_owned());
        let arguments: Vec<_> = own.into_iter().chain(given).collect();
        let directory = tempfile::tempdir().unwrap();
        let child = spawn(&arguments, &directory);
        let server = Self {
            port,
            arguments,
            authority,
            directory,
            child,
        };
        server.up().await;
        server
    }

    async fn up(&self) {
        poll(async || {
            tokio::net::TcpStream::connect(("127.0.0.1", self.port))
                .await
                .is_ok()
        })
        .await;
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) async fn restart(&mut self) {
        self.child = spawn(&self.arguments, &self.directory);
        self.up().await;
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    pub(crate) fn url(&self) -> String {
        let scheme = if self.authority.is_some() {
            "rediss"
        } else {
            "redis"
        };
        format!("{scheme}://{}", self.address())
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) async fn client(&self) -> MultiplexedConnection {
        let client = match &self.authority {
            None => Client::open(self.url()),
            Some(pem) => Client::build_with_tls(
                self.url(),
                TlsCertificates {
                    client_tls: None,
                    root_cert: Some(pem.clone()),
                },
            ),
        };
        let client = client.unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }

    /// Says `words` to the server; an error fails the test.
    pub(crate) async fn tell<T: FromRedisValue>(&self, words: &str) -> T {
        let mut words = words.split(' ');
        let mut command = ::redis::cmd(words.next().unwrap());
        words.for_each(|word| {
            command.arg(word);
        });
        command.query_async(&mut self.client().await).await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(arguments: &[String], directory: &tempfile::TempDir) -> Child {
    Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .args(arguments)
        .current_dir(directory.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Asks again and again, for a while.
pub(crate) async fn poll(mut holds: impl AsyncFnMut() -> bool) {
    timeout(PATIENCE, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
}
