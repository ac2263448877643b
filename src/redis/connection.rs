//! One connection to Redis or Valkey for the whole process.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::cluster::{ClusterClient, ClusterClientBuilder, ClusterConfig};
use redis::cluster_async::ClusterConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, FromRedisValue, RedisError, RedisResult,
    TlsCertificates, ToRedisArgs,
};
use tokio::time::{Instant, timeout};

use super::Error;
use super::script::Script;
use super::url::{Url, tcp};
use crate::config::CaBundle;

/// A command that has no answer by then counts as failed. Ten times what a
/// healthy server needs, and a tenth of what a caller notices.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_millis(100);

/// How long a connection may take to be made: TLS and AUTH need several turns.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Tries to reconnect are at most this far apart.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// A connection that all users share, and that comes back by itself.
#[derive(Clone)]
pub struct Connection {
    url: Url,
    timeout: Duration,
    inner: Inner,
}

#[derive(Clone)]
enum Inner {
    Single(Single),
    Cluster {
        client: ClusterClient,
        connection: ClusterConnection,
    },
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("url", &self.url)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Connects on the current runtime, which then drives the connection. A
    /// server that cannot be reached is no error: it is tried again, while each
    /// command fails within `timeout`. With TLS, the certificates are verified
    /// against `authorities`, or the system's.
    ///
    /// # Errors
    /// When the client cannot be set up: authorities without TLS, nodes with
    /// different credentials.
    pub async fn open(
        url: Url,
        authorities: Option<&CaBundle>,
        timeout: Duration,
    ) -> Result<Self, Error> {
        let inner = if url.is_cluster() {
            let client = cluster(&url, authorities, timeout)?;
            let connection = pending(&client, timeout);
            Inner::Cluster { client, connection }
        } else {
            let node = url.nodes.first().cloned();
            let node = node.ok_or_else(|| Error::Failed("no node".to_owned()))?;
            Inner::Single(Single::new(client(node, authorities)?, timeout)?)
        };
        let connection = Self {
            url,
            timeout,
            inner,
        };
        // The first connection may take longer than a command.
        let ping: Result<String, _> = connection.query(&redis::cmd("PING"), CONNECT_TIMEOUT).await;
        if let Err(error) = ping {
            let error = connection.reason(authorities).await.unwrap_or(error);
            tracing::warn!(url = %connection.url, %error, "Redis cannot be reached yet");
        }
        Ok(connection)
    }

    /// The time a command has.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The same for one who must not wait for what others ask of a cluster: its
    /// client stops all commands while it looks for a node that is gone.
    pub(super) fn apart(&self) -> Self {
        let inner = match &self.inner {
            Inner::Single(single) => Inner::Single(single.clone()),
            Inner::Cluster { client, .. } => Inner::Cluster {
                client: client.clone(),
                connection: pending(client, self.timeout),
            },
        };
        Self {
            url: self.url.clone(),
            timeout: self.timeout,
            inner,
        }
    }

    pub(super) async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Error> {
        self.query(command, self.timeout).await
    }

    /// Runs `script`, which the server keeps from its first time on.
    pub(super) async fn invoke<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[String],
        arguments: &[impl ToRedisArgs],
    ) -> Result<T, Error> {
        let invoked = async {
            match self.send(&script.known(keys, arguments)).await {
                Err(error) if Script::is_unknown(&error) => {
                    self.send(&script.whole(keys, arguments)).await
                }
                answer => answer,
            }
        };
        bounded(self.timeout, invoked).await
    }

    async fn query<T: FromRedisValue>(&self, command: &Cmd, limit: Duration) -> Result<T, Error> {
        bounded(limit, self.send(command)).await
    }

    async fn send<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        match &self.inner {
            Inner::Single(single) => single.send(command).await,
            Inner::Cluster { connection, .. } => command.query_async(&mut connection.clone()).await,
        }
    }

    /// Why no connection can be made: the clients that try again and again keep
    /// it to themselves for long, or for good.
    async fn reason(&self, authorities: Option<&CaBundle>) -> Option<Error> {
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT_TIMEOUT));
        for node in &self.url.nodes {
            let client = client(node.clone(), authorities).ok()?;
            let connected = client.get_multiplexed_async_connection_with_config(&config);
            if let Err(error) = connected.await {
                return Some(error.into());
            }
        }
        None
    }
}

async fn bounded<T>(
    limit: Duration,
    command: impl Future<Output = RedisResult<T>>,
) -> Result<T, Error> {
    match timeout(limit, command).await {
        Ok(answer) => answer.map_err(Error::from),
        Err(_) => Err(Error::Slow),
    }
}

fn client(node: ConnectionInfo, authorities: Option<&CaBundle>) -> RedisResult<Client> {
    match authorities {
        None => Client::open(node),
        Some(bundle) => Client::build_with_tls(node, certificates(bundle)),
    }
}

fn certificates(bundle: &CaBundle) -> TlsCertificates {
    TlsCertificates {
        client_tls: None,
        root_cert: Some(bundle.pem().to_vec()),
    }
}

fn cluster(
    url: &Url,
    authorities: Option<&CaBundle>,
    timeout: Duration,
) -> RedisResult<ClusterClient> {
    let mut client = ClusterClientBuilder::new(url.nodes.clone())
        .tcp_settings(tcp())
        .connection_timeout(CONNECT_TIMEOUT)
        .response_timeout(timeout)
        // Each command is bounded here; the first has longer than the others.
        .overall_response_timeout(None);
    if let Some(bundle) = authorities {
        client = client.certs(certificates(bundle));
    }
    client.build()
}

/// Connects behind the scenes, and goes on trying.
fn pending(client: &ClusterClient, timeout: Duration) -> ClusterConnection {
    // Without it a node that hangs is waited for without end, by all.
    let config = ClusterConfig::new().set_response_timeout(timeout);
    client.get_pending_async_connection_with_config(config)
}

/// One server.
///
/// The library's manager makes a new connection when one breaks, but keeps one
/// that could not be set up for another reason, such as a password that is not
/// yet known or too many clients, for good. It is then replaced.
#[derive(Clone)]
struct Single {
    client: Client,
    config: ConnectionManagerConfig,
    current: Arc<Mutex<Managed>>,
}

struct Managed {
    manager: ConnectionManager,
    since: Instant,
}

impl Single {
    fn new(client: Client, timeout: Duration) -> RedisResult<Self> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(timeout))
            .set_max_delay(LONGEST_PAUSE);
        let manager = ConnectionManager::new_lazy_with_config(client.clone(), config.clone())?;
        let since = Instant::now();
        Ok(Self {
            client,
            config,
            current: Arc::new(Mutex::new(Managed { manager, since })),
        })
    }

    async fn send<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        let mut manager = self.with(|current| current.manager.clone());
        let answer = command.query_async(&mut manager).await;
        if let Err(error) = &answer
            && !error.is_io_error()
            && !Script::is_unknown(error)
        {
            self.replace(error);
        }
        answer
    }

    fn replace(&self, error: &RedisError) {
        let now = Instant::now();
        let (client, config) = (self.client.clone(), self.config.clone());
        self.with(|current| {
            if now < current.since + LONGEST_PAUSE {
                return;
            }
            if let Ok(manager) = ConnectionManager::new_lazy_with_config(client, config) {
                tracing::debug!(reason = error.category(), "a new connection to Redis");
                *current = Managed {
                    manager,
                    since: now,
                };
            }
        });
    }

    fn with<T>(&self, f: impl FnOnce(&mut Managed) -> T) -> T {
        // Nothing panics while it holds the lock.
        f(&mut self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
