//! Where Redis or Valkey is.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use redis::io::tcp::TcpSettings;
use redis::{ConnectionInfo, IntoConnectionInfo as _};

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
    pub(super) nodes: Vec<ConnectionInfo>,
}

/// A text that does not say where Redis is. It is not repeated: it may hold a
/// password.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("must be redis://, rediss://, redis-cluster:// or rediss-cluster:// and a host")]
pub struct InvalidUrl;

impl Url {
    pub(super) fn is_cluster(&self) -> bool {
        self.scheme.ends_with("-cluster")
    }

    /// Whether the connection is made with TLS.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.scheme.starts_with("rediss")
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

/// The settings of every connection; a cluster's nodes have none in the URL.
pub(super) fn tcp() -> TcpSettings {
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
}
