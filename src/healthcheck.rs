//! `healthcheck`: asks a gateway whether it serves, and says so by its exit
//! status, as containers want it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use clap::Args;
use tonic::Code;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::config::{DEFAULT_PORT, Variables};

/// Shorter than the usual interval of container health checks.
const DEFAULT_TIMEOUT: &str = "3s";

/// What to ask, and whom.
#[derive(Args, Debug)]
pub struct Flags {
    /// The gateway [default: loopback, at the port of FACE_LIVENESS_LISTEN or 50051]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub address: Option<SocketAddr>,

    /// The service to ask for; empty for the server as a whole
    #[arg(long, default_value = "")]
    pub service: String,

    /// How long to wait for the answer
    #[arg(long, value_name = "DURATION", default_value = DEFAULT_TIMEOUT)]
    pub timeout: humantime::Duration,
}

/// Why a gateway does not count as healthy. [`exit_code`](Self::exit_code) tells
/// them apart.
#[derive(Debug, thiserror::Error)]
pub enum Unhealthy {
    /// Nobody listens there, or nobody answered in time.
    #[error("cannot connect to {0}: {1}")]
    NoConnection(SocketAddr, String),
    /// The call was refused.
    #[error("the health check failed with {0:?}: {1}")]
    CallFailed(Code, String),
    /// The gateway says that it does not serve.
    #[error("{0}")]
    NotServing(&'static str),
}

impl Unhealthy {
    /// The exit status of `grpc_health_probe` for the same.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NoConnection(..) => 2,
            Self::CallFailed(..) => 3,
            Self::NotServing(_) => 4,
        }
    }
}

/// Asks the gateway.
///
/// # Errors
/// When it does not say SERVING in time.
pub async fn run(flags: &Flags, variables: &Variables) -> Result<(), Unhealthy> {
    let address = flags.address.unwrap_or_else(|| default_address(variables));
    let limit = Duration::from(flags.timeout);
    let no_connection = |problem: String| Unhealthy::NoConnection(address, problem);
    let channel = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|error| no_connection(error.to_string()))?
        .connect_timeout(limit)
        .connect()
        .await
        .map_err(|error| no_connection(with_causes(&error)))?;
    let request = HealthCheckRequest {
        service: flags.service.clone(),
    };
    let answer = tokio::time::timeout(limit, HealthClient::new(channel).check(request))
        .await
        .map_err(|_| no_connection(format!("no answer in {limit:?}")))?
        .map_err(|status| Unhealthy::CallFailed(status.code(), status.message().to_owned()))?;
    match answer.into_inner().status() {
        ServingStatus::Serving => Ok(()),
        status => Err(Unhealthy::NotServing(status.as_str_name())),
    }
}

/// A gateway in the same container: where it listens, or loopback if that is
/// everywhere.
fn default_address(variables: &Variables) -> SocketAddr {
    let listen = variables
        .get("FACE_LIVENESS_LISTEN")
        .and_then(|text| text.parse().ok());
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT));
    let mut address: SocketAddr = listen.unwrap_or(loopback);
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// The error and what caused it: tonic's own words are "transport error".
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_address_follows_the_variable_that_the_gateway_listens_by() {
        let cases = [
            (None, "127.0.0.1:50051"),
            (Some("0.0.0.0:9000"), "127.0.0.1:9000"),
            (Some("[::]:9000"), "[::1]:9000"),
            (Some("10.1.2.3:9000"), "10.1.2.3:9000"),
        ];
        for (listen, expected) in cases {
            let variables =
                listen.map(|listen| ("FACE_LIVENESS_LISTEN".to_owned(), listen.to_owned()));
            assert_eq!(
                default_address(&variables.into_iter().collect()).to_string(),
                expected
            );
        }
    }
}
