//! The configuration: flags over `FACE_LIVENESS_*` variables over a TOML file
//! over defaults, checked as a whole before anything is started.

mod auth;
mod bounds;
mod callers;
mod check;
mod file;
mod flags;
mod layers;
mod policy;
mod quota;
mod report;
mod settings;
mod texts;
mod tls;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use aws_credential_types::Credentials;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use url::Url;

use crate::caller::Callers;
pub use crate::inbound::{Identity, Proofs, Tokens, jwt, keys};
use crate::quota::Limits;
use crate::redis;
use crate::region::Region;
use crate::telemetry::otlp;
use crate::tls::Purpose;
use crate::upstream::ledger;

pub use check::CaBundle;
pub use flags::Flags;
pub use layers::VARIABLE_PREFIX;
pub(crate) use report::InForce;
pub use report::{Effective, Shown};
pub use settings::{
    AdminListen, InvalidAdminListen, LogFormat, Reflection, ServerSettings, TelemetrySettings,
};
pub(crate) use settings::{DEFAULT_PORT, Settings};

/// The environment, as one snapshot.
pub type Variables = BTreeMap<String, String>;

/// A configuration in which every value is known to be good.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where gRPC is served.
    pub listen: SocketAddr,
    /// Where the admin port is.
    pub admin_listen: AdminListen,
    /// The regions served. Never empty; the first is the default.
    pub regions: Vec<RegionConfig>,
    /// How AWS is called.
    pub aws: AwsConfig,
    /// Bounds and waits of the gRPC server.
    pub server: ServerSettings,
    /// Where the quota is kept, and how many calls may wait for it.
    pub quota: QuotaConfig,
    /// What is remembered of sessions that were made.
    pub ledger: ledger::Settings,
    /// How connections are secured; `None`: not at all.
    pub tls: Option<crate::tls::Settings>,
    /// How connections to the admin port are secured, with the material of `tls`;
    /// `None`: not at all.
    pub admin_tls: Option<Purpose>,
    /// How callers are told apart.
    pub identity: Identity,
    /// Who may ask for the schema.
    pub reflection: Reflection,
    /// How each caller is treated.
    pub callers: Callers,
    /// How the log is written.
    pub log: LogConfig,
    /// What is told of calls.
    pub telemetry: TelemetrySettings,
    /// Where traces, metrics and logs are sent.
    pub otlp: otlp::Settings,
    /// The whole as it is shown to people.
    pub shown: Shown,
}

impl Config {
    /// What an operator must know about dangers that were chosen.
    #[must_use]
    pub fn warnings(&self) -> Vec<&'static str> {
        let remote = !self.listen.ip().is_loopback();
        let proven = matches!(self.identity, Identity::Proven(_));
        let mut warnings = Vec::new();
        if matches!(self.aws.trust, Trust::Anything) {
            warnings.push(
                "no_verify_ssl is on: ANYONE on the way to AWS can read and change every call",
            );
        }
        if remote && !proven {
            warnings.push(
                "insecure_no_auth is on: ANYONE who reaches this port can create sessions at the account's cost",
            );
        }
        if remote && proven && self.tls.is_none() {
            warnings.push(
                "callers' tokens arrive in plaintext: set tls.certificate, unless a proxy in front of this port ends TLS",
            );
        }
        if remote && proven && self.callers.may_write_anywhere() {
            warnings.push(
                "callers without policy.outputs may have images of faces stored in ANY bucket that the gateway's role may write to: set default_caller.policy.outputs, or own_output = false",
            );
        }
        warnings.extend(self.warning_of_admin());
        warnings
    }

    fn warning_of_admin(&self) -> Option<&'static str> {
        let address = self.admin_listen.address()?;
        if address.ip().is_loopback() {
            return None;
        }
        let authorities = self
            .tls
            .as_ref()
            .is_some_and(|tls| tls.files.clients.is_some());
        match self.admin_tls {
            None => Some(
                "the admin port speaks plaintext: ANYONE who reaches it, or is on the way, can read its status, set the log's level and reload",
            ),
            Some(Purpose::Admin { proof: true }) if authorities => None,
            Some(_) => Some(
                "the admin port asks for no client certificate: ANYONE who reaches it can read its status, set the log's level and reload",
            ),
        }
    }
}

/// A region to serve.
#[derive(Clone, Debug)]
pub struct RegionConfig {
    /// The region.
    pub region: Region,
    /// Where its Amazon Rekognition is, if not where AWS says.
    pub endpoint_url: Option<Url>,
    /// What AWS admits in it.
    pub limits: Limits,
}

/// How AWS is called.
#[derive(Clone, Debug)]
pub struct AwsConfig {
    /// Who the gateway is to AWS.
    pub identity: AwsIdentity,
    /// How AWS's certificate is verified.
    pub trust: Trust,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long one attempt may wait for the answer.
    pub read_timeout: Duration,
}

/// Who the gateway is to AWS.
#[derive(Clone, Debug)]
pub enum AwsIdentity {
    /// What AWS's default credential chain finds, in this profile if one is named.
    DefaultChain {
        /// The profile of AWS's configuration files.
        profile: Option<String>,
    },
    /// These credentials.
    Static(Credentials),
    /// Nobody: requests are sent unsigned.
    Anonymous,
}

/// Which certificates of AWS are believed.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Those that the system's certificate authorities signed.
    System,
    /// Those that these authorities signed.
    Bundle(CaBundle),
    /// Any. For tests only.
    Anything,
}

/// Where the quota is kept, and how many calls may wait for it.
#[derive(Clone, Debug)]
pub struct QuotaConfig {
    /// How many calls may wait for a region's quota.
    pub queue: usize,
    /// The part of the quota that this replica takes while a store that replicas
    /// share is lost: above 0 and at most 1.
    pub share: f64,
    /// Where replicas share it; none means that this replica is the only one.
    pub shared: Option<SharedStore>,
}

/// A Redis or Valkey that replicas share.
#[derive(Clone, Debug)]
pub struct SharedStore {
    /// Where it is.
    pub url: redis::Url,
    /// Who must have signed its certificate, if not one of the system's authorities.
    pub authorities: Option<CaBundle>,
    /// How long one answer may take before the store counts as lost.
    pub timeout: Duration,
    /// What its keys begin with.
    pub key_prefix: String,
}

/// How the log is written.
#[derive(Clone, Copy, Debug)]
pub struct LogConfig {
    /// The form of a line.
    pub format: LogFormat,
    /// Whether the gateway's own debug lines are written.
    pub debug: bool,
}

/// Something wrong in the configuration, and where.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Mistake {
    /// A flag, a variable, or a file and its key.
    pub place: String,
    /// What is wrong there, and what would be right.
    pub problem: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

/// Everything that is wrong in the configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    /// The mistakes, ordered by place; at least one.
    #[must_use]
    pub fn as_slice(&self) -> &[Mistake] {
        &self.0
    }
}

impl From<Vec<Mistake>> for Mistakes {
    fn from(mut mistakes: Vec<Mistake>) -> Self {
        mistakes.sort();
        mistakes.dedup();
        Self(mistakes)
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => writeln!(f, "the configuration has a mistake:")?,
            count => writeln!(f, "the configuration has {count} mistakes:")?,
        }
        self.0
            .iter()
            .try_for_each(|mistake| writeln!(f, "  {mistake}"))
    }
}

impl std::error::Error for Mistakes {}

/// Where a configuration is read from, again and again. The variables hold
/// secrets: `Debug` shows none.
#[derive(Clone)]
pub struct Origin {
    /// The flags.
    pub flags: Flags,
    /// The variables, and with them the file.
    pub variables: Variables,
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin")
            .field("config", &self.flags.config)
            .finish_non_exhaustive()
    }
}

impl Origin {
    /// Reads the configuration as it is now, on a thread where a file system that
    /// hangs holds up nothing else but the next reload.
    ///
    /// # Errors
    /// All mistakes at once.
    pub async fn load(&self) -> Result<(Config, Effective), Mistakes> {
        let Self { flags, variables } = self.clone();
        let runtime = Handle::current();
        let read =
            spawn_blocking(move || runtime.block_on(load(&flags, &variables, Vec::new()))).await;
        read.unwrap_or_else(|failed| {
            let mistake = Mistake {
                place: "the configuration".to_owned(),
                problem: format!("could not be read: {failed}"),
            };
            Err(vec![mistake].into())
        })
    }
}

/// Where `serve` would listen with these variables and the file that they name,
/// and whether with TLS; mistakes are for `serve` to tell.
#[must_use]
pub fn listener(variables: &Variables) -> (SocketAddr, bool) {
    let mut mistakes = Vec::new();
    let layers = layers::Layers::read(&Flags::default(), variables, &mut mistakes);
    let settings = layers.settings(&mut mistakes).0;
    (settings.listen, settings.tls.certificate.is_some())
}

/// What these flags and the defaults make, as it is shown to people.
pub(crate) fn shown(flags: &Flags) -> Shown {
    let mut mistakes = Vec::new();
    let layers = layers::Layers::read(flags, &Variables::new(), &mut mistakes);
    let (settings, layers) = layers.settings(&mut mistakes);
    let shown = settings.clone().redacted();
    Effective::new(&settings, &layers, None, &shown).shown()
}

/// Reads and checks the whole configuration. `earlier` are mistakes that were
/// found before, in the command line itself.
///
/// A region that no source names is asked of AWS's default chain, which may
/// take a moment on a machine of AWS's.
///
/// # Errors
/// All mistakes at once.
pub async fn load(
    flags: &Flags,
    variables: &Variables,
    earlier: Vec<Mistake>,
) -> Result<(Config, Effective), Mistakes> {
    let mut mistakes = earlier;
    let layers = layers::Layers::read(flags, variables, &mut mistakes);
    let (settings, layers) = layers.settings(&mut mistakes);
    let found_region = check::region_of_aws(&settings).await;
    checked(&settings, &layers, found_region, variables, mistakes)
}

/// Checks the text of a file that is all there is, without anything of AWS's.
///
/// # Errors
/// All mistakes at once.
pub(crate) fn of_text(text: &str) -> Result<(Config, Effective), Mistakes> {
    let mut mistakes = Vec::new();
    let layers = layers::Layers::of_text(text, &mut mistakes);
    let (settings, layers) = layers.settings(&mut mistakes);
    checked(&settings, &layers, None, &Variables::new(), mistakes)
}

fn checked(
    settings: &Settings,
    layers: &layers::Layers,
    found_region: Option<Region>,
    variables: &Variables,
    mut mistakes: Vec<Mistake>,
) -> Result<(Config, Effective), Mistakes> {
    let check = check::Check::new(layers, &mut mistakes);
    let config = check.config(settings, found_region.clone(), variables);
    match config {
        Some(mut config) if mistakes.is_empty() => {
            let mut shown = settings.clone().redacted();
            if let Some(shared) = &config.quota.shared {
                shown.quota_store = shared.url.to_string();
            }
            let effective = Effective::new(settings, layers, found_region, &shown);
            config.shown = effective.shown();
            Ok((config, effective))
        }
        _ => Err(mistakes.into()),
    }
}
