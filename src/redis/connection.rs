//! One connection to Redis or Valkey for the whole process.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::cluster::{ClusterClientBuilder, ClusterConfig};
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::TcpSettings;
use redis::{Cmd, ConnectionInfo, FromRedisValue, IntoConnectionInfo as _, RedisError};
use redis::{RedisResult, ScriptInvocation};
use tokio::time::timeout;

/// A command that has no answer by then counts as failed. Ten times what a
/// healthy server needs, and a tenth of what a caller notices.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_millis(100);

/// How long a connection may take to be made: TLS and AUTH need several turns.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Tries to reconnect are at most this far apart.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// What was sent to a host that is silently gone is given up after this, and
/// the connection with it.
const USER_TIMEOUT: Duration = Duration::from_secs(3);

/// Where Redis or Valkey is: `redis://[user:password@]host[:port][/database]`,
/// `rediss://…` with TLS, or the nodes to find a cluster by,
/// `redis-cluster://[user:password@]host:port,host:port` (`rediss-cluster://…`).
/// `valkey` may stand for `redis`.
///
/// User and password are never shown.
///
/// ```
/// use face_liveness_gateway::redis::Url;
///
/// let url: Url = "rediss://gateway:hush@cache.internal".parse()?;
/// assert_eq!(url.to_string(), "rediss://cache.internal:6379");
/// # Ok::<(), face_liveness_gateway::redis::InvalidUrl>(())
/// ```
#[derive(Clone)]
pub struct Url {
    scheme: &'static str,
    nodes: Vec<ConnectionInfo>,
}

/// A text that does not say where Redis is. It is not repeated: it may hold a
/// password.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("must be redis://, rediss://, redis-cluster:// or rediss-cluster:// and a host")]
pub struct InvalidUrl;

impl Url {
    fn is_cluster(&self) -> bool {
        self.scheme.ends_with("-cluster")
    }
}

impl FromStr for Url {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        let (scheme, rest) = text.split_once("://").ok_or(InvalidUrl)?;
        let (scheme, each) = match scheme {
            "redis" | "valkey" => ("redis", "redis"),
            "rediss" | "valkeys" => ("rediss", "rediss"),
            "redis-cluster" | "valkey-cluster" => ("redis-cluster", "redis"),
            "rediss-cluster" | "valkeys-cluster" => ("rediss-cluster", "rediss"),
            _ => return Err(InvalidUrl),
        };
        let (user, hosts) = match rest.rsplit_once('@') {
            Some((user, hosts)) => (format!("{user}@"), hosts),
            None => (String::new(), rest),
        };
        let info = |host: &str| {
            let info = format!("{each}://{user}{host}").into_connection_info();
            info.map(|info| info.set_tcp_settings(tcp()))
                .map_err(|_| InvalidUrl)
        };
        let nodes = if scheme == each {
            vec![info(hosts)?]
        } else {
            hosts.split(',').map(info).collect::<Result<_, _>>()?
        };
        Ok(Self { scheme, nodes })
    }
}

fn tcp() -> TcpSettings {
    let settings = TcpSettings::default().set_nodelay(true);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(USER_TIMEOUT);
    settings
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme)?;
        for (i, node) in self.nodes.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{}", node.addr())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

/// Why Redis did not do what it was told.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// No answer within the time a command has.
    #[error("Redis did not answer in time")]
    Slow,
    /// Gone, or it answered with an error.
    #[error("Redis failed: {0}")]
    Failed(String),
}

impl From<RedisError> for Error {
    /// Keeps what kind of error it is. What a server says in its own words may
    /// repeat what it was sent.
    fn from(error: RedisError) -> Self {
        Self::Failed(match error.code() {
            Some(code) => format!("{} ({code})", error.category()),
            None => error.category().to_owned(),
        })
    }
}

/// A connection that all users share, and that comes back by itself.
#[derive(Clone)]
pub struct Connection {
    url: Url,
    timeout: Duration,
    inner: Inner,
}

#[derive(Clone)]
enum Inner {
    Single(ConnectionManager),
    Cluster(ClusterConnection),
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
    /// command fails within `timeout`.
    ///
    /// # Errors
    /// When the client cannot be set up: no TLS roots, nodes with different
    /// credentials.
    pub async fn open(url: Url, timeout: Duration) -> Result<Self, Error> {
        let inner = if url.is_cluster() {
            let client = ClusterClientBuilder::new(url.nodes.clone())
                .connection_timeout(CONNECT_TIMEOUT)
                .response_timeout(timeout)
                .build()?;
            let config = ClusterConfig::default();
            Inner::Cluster(client.get_pending_async_connection_with_config(config))
        } else {
            let node = url.nodes.first().cloned();
            let node = node.ok_or_else(|| Error::Failed("no node".to_owned()))?;
            let config = ConnectionManagerConfig::new()
                .set_connection_timeout(Some(CONNECT_TIMEOUT))
                .set_response_timeout(Some(timeout))
                .set_max_delay(LONGEST_PAUSE);
            let client = redis::Client::open(node)?;
            Inner::Single(ConnectionManager::new_lazy_with_config(client, config)?)
        };
        let connection = Self {
            url,
            timeout,
            inner,
        };
        // The first connection may take longer than a command.
        let ping: Result<String, _> = connection.query(&redis::cmd("PING"), CONNECT_TIMEOUT).await;
        if let Err(error) = ping {
            tracing::warn!(url = %connection.url, %error, "Redis cannot be reached yet");
        }
        Ok(connection)
    }

    /// The time a command has.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(super) async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Error> {
        self.query(command, self.timeout).await
    }

    pub(super) async fn invoke<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, Error> {
        bounded(self.timeout, async {
            match self.inner.clone() {
                Inner::Single(mut single) => script.invoke_async(&mut single).await,
                Inner::Cluster(mut cluster) => script.invoke_async(&mut cluster).await,
            }
        })
        .await
    }

    async fn query<T: FromRedisValue>(&self, command: &Cmd, limit: Duration) -> Result<T, Error> {
        bounded(limit, async {
            match self.inner.clone() {
                Inner::Single(mut single) => command.query_async(&mut single).await,
                Inner::Cluster(mut cluster) => command.query_async(&mut cluster).await,
            }
        })
        .await
    }
}

async fn bounded<T>(
    limit: Duration,
    command: impl Future<Output = RedisResult<T>>,
) -> Result<T, Error> {
    match timeout(limit, command).await {
        Ok(answer) => answer.map_err(|error| match error {
            error if error.is_timeout() => Error::Slow,
            error => error.into(),
        }),
        Err(_) => Err(Error::Slow),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_a_server_or_a_cluster_and_hide_the_password() {
        let cases = [
            ("redis://h", "redis://h:6379"),
            ("valkeys://u:secret@h:1/2", "rediss://h:1"),
            ("redis-cluster://:secret@a:1,b:2", "redis-cluster://a:1,b:2"),
            ("rediss-cluster://a:1", "rediss-cluster://a:1"),
        ];
        for (text, shown) in cases {
            let url: Url = text.parse().unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), format!("Url({shown})"));
        }
        for text in ["", "h:1", "http://h", "redis://", "redis-cluster://a:1,"] {
            assert!(text.parse::<Url>().is_err(), "{text}");
        }
    }

    #[test]
    fn errors_keep_the_kind_and_leave_out_what_a_server_says() {
        let kind = redis::ErrorKind::AuthenticationFailed;
        let error: Error = RedisError::from((kind, "no", "AUTH secret".to_owned())).into();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("secret"), "{shown}");
    }
}
