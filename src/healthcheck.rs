//! `healthcheck`: asks a gateway whether it serves, and says so by its exit
//! status, as containers want it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use clap::Args;
use tokio::time::{Instant, timeout_at};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::causes::Causes;
use crate::config::{self, Variables};

/// Shorter than the usual interval of container health checks.
const DEFAULT_TIMEOUT: &str = "3s";

/// What to ask, and whom.
#[derive(Args, Debug)]
pub struct Flags {
    /// The gateway [default: where serve listens with the same variables and file]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub address: Option<SocketAddr>,

    /// The service to ask for; empty for the server as a whole
    #[arg(long, default_value = "")]
    pub service: String,

    /// How long to wait for the connection and the answer together
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
    #[error("the health check of {0} failed with {1:?}: {2}")]
    CallFailed(SocketAddr, Code, String),
    /// The gateway says that it does not serve.
    #[error("{0} says {1}")]
    NotServing(SocketAddr, &'static str),
}

impl Unhealthy {
    /// The exit status of `grpc_health_probe` for the same.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NoConnection(..) => 2,
            Self::CallFailed(..) => 3,
            Self::NotServing(..) => 4,
        }
    }
}

/// Asks the gateway.
///
/// # Errors
/// When it does not say SERVING in time.
pub async fn run(flags: &Flags, variables: &Variables) -> Result<(), Unhealthy> {
    let address = flags
        .address
        .unwrap_or_else(|| near(config::listen_address(variables)));
    let limit = Duration::from(flags.timeout);
    let deadline = Instant::now() + limit;
    let channel = timeout_at(deadline, connect(address))
        .await
        .map_err(|_| Unhealthy::NoConnection(address, format!("no answer in {limit:?}")))?
        .map_err(|error| Unhealthy::NoConnection(address, Causes(&error).to_string()))?;
    let request = HealthCheckRequest {
        service: flags.service.clone(),
    };
    let answer = timeout_at(deadline, HealthClient::new(channel).check(request))
        .await
        .unwrap_or_else(|_| Err(Status::deadline_exceeded(format!("no answer in {limit:?}"))))
        .map_err(|status| {
            Unhealthy::CallFailed(address, status.code(), status.message().to_owned())
        })?;
    match answer.into_inner().status() {
        ServingStatus::Serving => Ok(()),
        status => Err(Unhealthy::NotServing(address, status.as_str_name())),
    }
}

async fn connect(address: SocketAddr) -> Result<Channel, tonic::transport::Error> {
    Endpoint::from_shared(format!("http://{address}"))?
        .connect()
        .await
}

/// Where a gateway is reached from the same container: where it listens, or
/// loopback if that is everywhere.
fn near(mut listen: SocketAddr) -> SocketAddr {
    if listen.ip().is_unspecified() {
        listen.set_ip(match listen.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    listen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_that_listens_everywhere_is_reached_over_loopback() {
        let cases = [
            ("0.0.0.0:9000", "127.0.0.1:9000"),
            ("[::]:9000", "[::1]:9000"),
            ("10.1.2.3:9000", "10.1.2.3:9000"),
        ];
        for (listen, expected) in cases {
            assert_eq!(near(listen.parse().unwrap()).to_string(), expected);
        }
    }
}
