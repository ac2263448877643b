//! Bounds and waits of the gRPC server.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// At 25 creates a second and 30 s of patience, 750 calls can wait in good faith;
/// more would only wait to be refused. Room for those who wait in two regions'
/// queues, and for as many more.
const DEFAULT_MAX_IN_FLIGHT: usize = 4096;

/// A connection costs some 40 KiB: this many are 400 MiB.
const DEFAULT_MAX_CONNECTIONS: usize = 10_000;

/// A quarter of them: no one address keeps the others out, and a proxy, or a node
/// that hides its pods, has room for two thousand clients.
const DEFAULT_MAX_CONNECTIONS_PER_PEER: usize = 2500;

/// A busy caller pauses for less, and for one that comes back a new connection
/// costs milliseconds.
const DEFAULT_MAX_CONNECTION_IDLE: Duration = Duration::from_secs(5 * 60);

/// So soon a new replica has its part of the connections, and a client whose
/// authority was withdrawn has none.
const DEFAULT_MAX_CONNECTION_AGE: Duration = Duration::from_secs(30 * 60);

/// The longest deadline, and time to hang up.
const DEFAULT_MAX_CONNECTION_AGE_GRACE: Duration = Duration::from_secs(40);

/// hyper's own default, against rapid resets.
const DEFAULT_MAX_CONCURRENT_STREAMS: u32 = 200;

/// gRPC's recommended limit for metadata is 8 KiB.
const DEFAULT_MAX_HEADER_BYTES: u32 = 16 * 1024;

/// Beyond half a minute nobody waits in front of a camera.
const DEFAULT_MAX_DEADLINE: Duration = Duration::from_secs(30);

/// Two lost packets on a slow line.
const DEFAULT_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Below the 350 s after which AWS's load balancers forget a flow.
const DEFAULT_KEEPALIVE_INTERVAL: Duration = Duration::from_secs(60);

/// gRPC's own default.
const DEFAULT_KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Together with the grace below Kubernetes' 30 s before it kills.
const DEFAULT_DRAIN_DELAY: Duration = Duration::from_secs(5);

/// See [`DEFAULT_DRAIN_DELAY`].
const DEFAULT_SHUTDOWN_GRACE: Duration = Duration::from_secs(20);

/// Bounds and waits of the gRPC server (`[server]`).
///
/// Durations are above zero except `drain_delay`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerSettings {
    /// Threads that serve connections; 0 means one a core.
    pub workers: usize,
    /// Calls in flight at once, over all connections; more are shed.
    pub max_in_flight: usize,
    /// Open connections; more wait in the kernel's accept queue.
    pub max_connections: usize,
    /// Open connections from one address (of IPv6, from one network of 64 bits);
    /// more are closed at once.
    pub max_connections_per_peer: usize,
    /// How long a connection may be without a call before it is told to end.
    #[serde(with = "humantime_serde")]
    pub max_connection_idle: Duration,
    /// How old a connection becomes before it is told to end, give or take a tenth.
    #[serde(with = "humantime_serde")]
    pub max_connection_age: Duration,
    /// How long a connection that was told to end has to finish its calls.
    #[serde(with = "humantime_serde")]
    pub max_connection_age_grace: Duration,
    /// Calls in flight at once on one connection.
    pub max_concurrent_streams: u32,
    /// Bytes of one request's metadata, uncompressed.
    pub max_header_bytes: u32,
    /// The longest deadline of a call; a longer one, or none, counts as this.
    #[serde(with = "humantime_serde")]
    pub max_deadline: Duration,
    /// How long a new connection may take to begin to speak HTTP/2.
    #[serde(with = "humantime_serde")]
    pub handshake_timeout: Duration,
    /// How often an idle connection is asked whether its peer is alive.
    #[serde(with = "humantime_serde")]
    pub keepalive_interval: Duration,
    /// How long the peer has for the answer, and to take what it is sent.
    #[serde(with = "humantime_serde")]
    pub keepalive_timeout: Duration,
    /// At shutdown: how long to go on serving while load balancers take notice.
    #[serde(with = "humantime_serde")]
    pub drain_delay: Duration,
    /// At shutdown, after that: how long calls in flight have to finish.
    #[serde(with = "humantime_serde")]
    pub shutdown_grace: Duration,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            workers: 0,
            max_in_flight: DEFAULT_MAX_IN_FLIGHT,
            max_connections: DEFAULT_MAX_CONNECTIONS,
            max_connections_per_peer: DEFAULT_MAX_CONNECTIONS_PER_PEER,
            max_connection_idle: DEFAULT_MAX_CONNECTION_IDLE,
            max_connection_age: DEFAULT_MAX_CONNECTION_AGE,
            max_connection_age_grace: DEFAULT_MAX_CONNECTION_AGE_GRACE,
            max_concurrent_streams: DEFAULT_MAX_CONCURRENT_STREAMS,
            max_header_bytes: DEFAULT_MAX_HEADER_BYTES,
            max_deadline: DEFAULT_MAX_DEADLINE,
            handshake_timeout: DEFAULT_HANDSHAKE_TIMEOUT,
            keepalive_interval: DEFAULT_KEEPALIVE_INTERVAL,
            keepalive_timeout: DEFAULT_KEEPALIVE_TIMEOUT,
            drain_delay: DEFAULT_DRAIN_DELAY,
            shutdown_grace: DEFAULT_SHUTDOWN_GRACE,
        }
    }
}

impl ServerSettings {
    /// How many workers serve connections.
    #[must_use]
    pub fn worker_count(&self) -> usize {
        match self.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            count => count,
        }
    }
}
