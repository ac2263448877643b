//! What can be set, with its defaults: the shape of the configuration file.
//!
//! Every key that is not in a list can also be set by a variable
//! (`server.drain_delay` by `FACE_LIVENESS_SERVER_DRAIN_DELAY`), the top-level
//! ones by a flag as well (see [`Flags`](super::Flags)).

mod server;
mod trust;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

pub use server::ServerSettings;
use trust::REDACTED;
pub use trust::Reflection;
pub(crate) use trust::{
    AdminClientAuth, AdminSettings, AdminTls, AuthSettings, CallerSettings, ClientAuthSetting,
    DefaultCallerSettings, DefaultsSettings, JwtSettings, PolicySettings, TlsSettings,
    TokenSettings,
};

/// The quota store that needs no other service.
pub(crate) const MEMORY_STORE: &str = "memory";

/// The port that gRPC examples use by convention.
pub(crate) const DEFAULT_PORT: u16 = 50051;

/// The port by which Prometheus exporters of OpenTelemetry go.
const DEFAULT_ADMIN_PORT: u16 = 9464;

/// The word that switches something off.
const OFF: &str = "off";

/// The SDK's own default: three TCP connect attempts' worth of lost packets.
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_millis(3100);

/// A create answers within a second; at five, a lost answer can still be
/// retried twice within the longest deadline. The SDK itself would wait forever.
const DEFAULT_READ_TIMEOUT: Duration = Duration::from_secs(5);

/// The whole configuration as it can be written down. `Config` is what becomes
/// of it once every value is known to be good.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) admin_listen: AdminListen,
    pub(crate) region: Option<String>,
    pub(crate) allow_unlisted_region: bool,
    pub(crate) profile: Option<String>,
    pub(crate) endpoint_url: Option<String>,
    pub(crate) no_sign_request: bool,
    pub(crate) no_verify_ssl: bool,
    pub(crate) ca_bundle: Option<PathBuf>,
    #[serde(with = "humantime_serde")]
    pub(crate) connect_timeout: Duration,
    #[serde(with = "humantime_serde")]
    pub(crate) read_timeout: Duration,
    pub(crate) log_format: LogFormat,
    pub(crate) debug: bool,
    pub(crate) quota_store: String,
    pub(crate) insecure_no_auth: bool,
    pub(crate) admin: AdminSettings,
    pub(crate) tls: TlsSettings,
    pub(crate) auth: AuthSettings,
    pub(crate) server: ServerSettings,
    pub(crate) quota: QuotaSettings,
    pub(crate) ledger: LedgerSettings,
    pub(crate) telemetry: TelemetrySettings,
    pub(crate) default_caller: DefaultCallerSettings,
    pub(crate) regions: Vec<RegionSettings>,
    pub(crate) callers: Vec<CallerSettings>,
    pub(crate) tokens: Vec<TokenSettings>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, DEFAULT_PORT)),
            admin_listen: AdminListen::default(),
            region: None,
            allow_unlisted_region: false,
            profile: None,
            endpoint_url: None,
            no_sign_request: false,
            no_verify_ssl: false,
            ca_bundle: None,
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
            read_timeout: DEFAULT_READ_TIMEOUT,
            log_format: LogFormat::Text,
            debug: false,
            quota_store: MEMORY_STORE.to_owned(),
            insecure_no_auth: false,
            admin: AdminSettings::default(),
            tls: TlsSettings::default(),
            auth: AuthSettings::default(),
            server: ServerSettings::default(),
            quota: QuotaSettings::default(),
            ledger: LedgerSettings::default(),
            telemetry: TelemetrySettings::default(),
            default_caller: DefaultCallerSettings::default(),
            regions: Vec::new(),
            callers: Vec::new(),
            tokens: Vec::new(),
        }
    }
}

/// Where the admin port is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum AdminListen {
    /// Nowhere.
    Off,
    /// At this address.
    At(SocketAddr),
}

/// A text that says not where the admin port is.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("must be an address and a port such as 127.0.0.1:9464, or off")]
pub struct InvalidAdminListen;

impl AdminListen {
    /// The address, if there is one.
    #[must_use]
    pub fn address(self) -> Option<SocketAddr> {
        match self {
            Self::Off => None,
            Self::At(address) => Some(address),
        }
    }
}

impl Default for AdminListen {
    /// On loopback: whoever reaches the port may read all that it tells.
    fn default() -> Self {
        Self::At(SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_ADMIN_PORT)))
    }
}

impl FromStr for AdminListen {
    type Err = InvalidAdminListen;

    fn from_str(text: &str) -> Result<Self, InvalidAdminListen> {
        match text {
            OFF => Ok(Self::Off),
            text => text.parse().map(Self::At).map_err(|_| InvalidAdminListen),
        }
    }
}

impl TryFrom<String> for AdminListen {
    type Error = InvalidAdminListen;

    fn try_from(text: String) -> Result<Self, InvalidAdminListen> {
        text.parse()
    }
}

impl fmt::Display for AdminListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str(OFF),
            Self::At(address) => address.fmt(f),
        }
    }
}

impl From<AdminListen> for String {
    fn from(listen: AdminListen) -> Self {
        listen.to_string()
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people: coloured on a terminal.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// One of several regions to serve (`[[regions]]`).
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RegionSettings {
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) endpoint_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) creates_per_second: Option<Limit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) concurrent_sessions: Option<Limit>,
}

impl Settings {
    /// How many may wait for one region's quota: no more than half of those in
    /// flight, or a caller that fills the queue keeps the others from reaching it,
    /// where their turn would come.
    pub(crate) fn waiting(&self) -> usize {
        self.quota.queue.min(self.server.max_in_flight / 2).max(1)
    }
}

/// A limit of the account at AWS.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(untagged, expecting = "expected a number above zero or \"off\"")]
pub(crate) enum Limit {
    Of(#[serde(deserialize_with = "number")] NonZeroU32),
    Off(Off),
}

/// A number, or the text of one: variables have nothing else, and what reads them
/// as numbers elsewhere does not reach into alternatives.
fn number<'de, D: Deserializer<'de>>(value: D) -> Result<NonZeroU32, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Number(NonZeroU32),
        Text(String),
    }
    match Number::deserialize(value)? {
        Number::Number(number) => Ok(number),
        Number::Text(text) => text.parse().map_err(D::Error::custom),
    }
}

/// The word that switches a limit off.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Off {
    Off,
}

/// The account's quota at AWS and the queue for it (`[quota]`).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct QuotaSettings {
    pub(crate) creates_per_second: Option<Limit>,
    pub(crate) concurrent_sessions: Option<Limit>,
    #[serde(with = "humantime_serde")]
    pub(crate) session_length: Duration,
    pub(crate) queue: usize,
    pub(crate) share: f64,
    pub(crate) key_prefix: String,
    pub(crate) store_ca_bundle: Option<PathBuf>,
    #[serde(with = "humantime_serde")]
    pub(crate) store_timeout: Duration,
}

impl Default for QuotaSettings {
    fn default() -> Self {
        Self {
            creates_per_second: None,
            concurrent_sessions: None,
            // AWS's own example of how long a session streams.
            session_length: Duration::from_secs(10),
            // Those who could wait 30 s at AWS's largest quota, and some.
            queue: 1024,
            // Right for one replica; several must say how many they are.
            share: 1.0,
            key_prefix: "face-liveness".to_owned(),
            store_ca_bundle: None,
            store_timeout: crate::redis::DEFAULT_TIMEOUT,
        }
    }
}

/// What is remembered of sessions that were made (`[ledger]`).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LedgerSettings {
    pub(crate) entries: usize,
    #[serde(with = "humantime_serde")]
    pub(crate) min_remaining: Duration,
}

impl Default for LedgerSettings {
    fn default() -> Self {
        Self {
            // Three minutes at 25 a second are 4500; this is room for twenty
            // such regions, in some 40 MiB.
            entries: 100_000,
            // Opening the camera and streaming take some 15 seconds.
            min_remaining: Duration::from_secs(30),
        }
    }
}

/// What is told of calls (`[telemetry]`). Where traces, metrics and logs go is
/// set by OpenTelemetry's own variables.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetrySettings {
    /// Of so many ordinary calls one has a line in the log; above zero.
    pub access_log_sample: u32,
    /// A call that takes so long always has one.
    #[serde(with = "humantime_serde")]
    pub slow_call: Duration,
    /// Whether AWS is told the trace, as `x-amzn-trace-id`.
    pub aws_trace_header: bool,
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        Self {
            // A line every few seconds at AWS's default quota.
            access_log_sample: 100,
            // AWS answers within half a second.
            slow_call: Duration::from_secs(1),
            aws_trace_header: false,
        }
    }
}

impl Settings {
    /// The same without what is secret, to be shown.
    pub(crate) fn redacted(mut self) -> Self {
        self.default_caller.policy = self.default_caller.policy.redacted();
        for caller in &mut self.callers {
            caller.policy = std::mem::take(&mut caller.policy).redacted();
        }
        for token in &mut self.tokens {
            token.sha256 = REDACTED.to_owned();
        }
        self
    }
}
