//! The log: lines on standard error, as text or as JSON.

use std::io::{self, IsTerminal as _};

use tracing::Level;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{LogConfig, LogFormat};

/// Starts the log of this process. Later calls change nothing.
pub fn start(config: LogConfig) {
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let layer = match config.format {
        LogFormat::Text => layer.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    // A second start, as tests may make, keeps the first log.
    let _ = tracing_subscriber::registry()
        .with(layer.with_filter(targets(config.debug)))
        .try_init();
}

/// Libraries stay at warn whatever is asked for: at info the AWS SDK writes access
/// key ids, below it bodies and credentials.
fn targets(debug: bool) -> Targets {
    let own = if debug { Level::DEBUG } else { Level::INFO };
    Targets::new()
        .with_default(Level::WARN)
        .with_target(env!("CARGO_CRATE_NAME"), own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_lets_only_the_gateways_own_debug_lines_through() {
        let targets = targets(true);
        assert!(targets.would_enable("face_liveness_gateway::server", &Level::DEBUG));
        assert!(!targets.would_enable("aws_smithy_runtime", &Level::DEBUG));
        assert!(!targets.would_enable("h2", &Level::DEBUG));
        assert!(!targets.would_enable("aws_config", &Level::INFO));
        assert!(targets.would_enable("aws_config", &Level::WARN));
    }
}
