//! Which lines are written, and the handle that changes it while the gateway runs.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::{Registry, reload};

/// What the gateway's own modules begin with.
const OWN: &str = env!("CARGO_CRATE_NAME");

/// What libraries may say. At info the AWS SDK writes access key ids, below it
/// bodies and credentials, and HTTP libraries headers.
const LIBRARIES: LevelFilter = LevelFilter::WARN;

/// Libraries that warn of what a peer sends, a line a frame: any peer could fill the
/// log with them.
const OF_PEERS: [&str; 2] = ["h2", "hyper::proto::h2"];

/// Which lines are written: a level for the gateway, and others for parts of it.
/// Libraries stay at warn whatever is asked for.
///
/// ```
/// use face_liveness_gateway::telemetry::logs::Filter;
///
/// let filter: Filter = "info,face_liveness_gateway::upstream=debug".parse().unwrap();
/// assert_eq!(filter.to_string(), "info,face_liveness_gateway::upstream=debug");
/// assert!("hyper=debug".parse::<Filter>().is_err());
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Filter {
    level: LevelFilter,
    parts: Vec<(String, LevelFilter)>,
}

/// Why a text is no [`Filter`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidFilter {
    /// Nothing that is known.
    #[error(
        "{0:?} is neither a level nor a part=level: levels are off, error, warn, info, debug and \
         trace, such as \"debug\" or \"info,{OWN}::upstream=debug\""
    )]
    Unknown(String),
    /// Not a part of the gateway.
    #[error(
        "{0} is no part of {OWN}: libraries stay at warn, because their other lines hold \
         headers, bodies and key ids"
    )]
    Library(String),
}

impl From<LevelFilter> for Filter {
    fn from(level: LevelFilter) -> Self {
        Self {
            level,
            parts: Vec::new(),
        }
    }
}

impl FromStr for Filter {
    type Err = InvalidFilter;

    fn from_str(text: &str) -> Result<Self, InvalidFilter> {
        let mut filter = Self::from(LevelFilter::INFO);
        for directive in text.split(',').map(str::trim) {
            let (part, level) = match directive.split_once('=') {
                Some((part, level)) => (Some(part.trim()), level.trim()),
                None => (None, directive),
            };
            let level =
                parse_level(level).ok_or_else(|| InvalidFilter::Unknown(directive.to_owned()))?;
            match part {
                None => filter.level = level,
                Some(OWN) => filter.level = level,
                Some(part) if is_own(part) => filter.parts.push((part.to_owned(), level)),
                Some(part) => return Err(InvalidFilter::Library(part.to_owned())),
            }
        }
        Ok(filter)
    }
}

/// By name only: a number is more likely a mistake.
fn parse_level(text: &str) -> Option<LevelFilter> {
    let named = text.bytes().all(|byte| byte.is_ascii_alphabetic()) && !text.is_empty();
    named.then(|| text.parse().ok()).flatten()
}

fn is_own(part: &str) -> bool {
    part.strip_prefix(OWN)
        .is_some_and(|rest| rest.starts_with("::"))
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.level)?;
        self.parts
            .iter()
            .try_for_each(|(part, level)| write!(f, ",{part}={level}"))
    }
}

impl Filter {
    pub(super) fn targets(&self) -> Targets {
        let own = [(OWN.to_owned(), self.level)];
        let of_peers = OF_PEERS.map(|library| (library.to_owned(), LevelFilter::ERROR));
        Targets::new()
            .with_default(LIBRARIES)
            .with_targets(of_peers)
            .with_targets(own)
            .with_targets(self.parts.clone())
    }
}

/// Reads and changes which lines are written.
#[derive(Clone)]
pub struct LevelHandle {
    targets: reload::Handle<Targets, Registry>,
    filter: Arc<Mutex<Filter>>,
}

/// The log is not the one that was started here, so nothing can be changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the log of this process was not started by the gateway: its level cannot be changed")]
pub struct NotInCharge;

impl LevelHandle {
    pub(super) fn new(filter: Filter) -> (Self, reload::Layer<Targets, Registry>) {
        let (layer, targets) = reload::Layer::new(filter.targets());
        let filter = Arc::new(Mutex::new(filter));
        (Self { targets, filter }, layer)
    }

    /// Which lines are written.
    #[must_use]
    pub fn get(&self) -> Filter {
        self.lock().clone()
    }

    /// Changes which lines are written, from the next line on.
    ///
    /// # Errors
    /// When the log is not the gateway's.
    pub fn set(&self, filter: Filter) -> Result<(), NotInCharge> {
        let mut current = self.lock();
        self.targets
            .reload(filter.targets())
            .map_err(|_| NotInCharge)?;
        *current = filter;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Filter> {
        self.filter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for LevelHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LevelHandle")
            .field("filter", &self.get())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    fn parse(text: &str) -> Result<Filter, InvalidFilter> {
        text.parse()
    }

    #[test]
    fn a_level_is_the_gateways_own_and_libraries_stay_at_warn() {
        for text in ["debug", "trace", "face_liveness_gateway=debug"] {
            let targets = parse(text).unwrap().targets();
            assert!(targets.would_enable("face_liveness_gateway::server", &Level::DEBUG));
            for library in [
                "aws_smithy_runtime",
                "hyper::client",
                "rustls",
                "tonic",
                "opentelemetry_sdk",
            ] {
                assert!(!targets.would_enable(library, &Level::INFO), "{library}");
                assert!(targets.would_enable(library, &Level::WARN), "{library}");
            }
        }
    }

    #[test]
    fn what_warns_of_a_peers_frames_stays_at_error() {
        let targets = parse("trace").unwrap().targets();
        for target in ["h2::proto::ping_pong", "hyper::proto::h2::server"] {
            assert!(!targets.would_enable(target, &Level::WARN), "{target}");
            assert!(targets.would_enable(target, &Level::ERROR), "{target}");
        }
    }

    #[test]
    fn a_part_of_the_gateway_can_have_a_level_of_its_own() {
        let targets = parse("warn, face_liveness_gateway::upstream=debug")
            .unwrap()
            .targets();
        assert!(targets.would_enable("face_liveness_gateway::upstream::retry", &Level::DEBUG));
        assert!(!targets.would_enable("face_liveness_gateway::server", &Level::INFO));
    }

    #[test]
    fn what_is_no_filter_is_told_with_what_would_be_one() {
        for text in [
            "",
            "loud",
            "3",
            "info,",
            "face_liveness_gateway::upstream=loud",
        ] {
            let told = parse(text).unwrap_err().to_string();
            assert!(told.contains("levels are off, error"), "{text}: {told}");
        }
        for text in [
            "hyper=debug",
            "face_liveness_gateway_x=debug",
            "aws_config=off",
        ] {
            let told = parse(text).unwrap_err().to_string();
            assert!(told.contains("libraries stay at warn"), "{text}: {told}");
        }
    }
}
