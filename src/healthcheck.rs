//! `healthcheck`: asks a gateway whether it serves, and says so by its exit
//! status, as containers want it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::causes::Causes;
use crate::config::{self, Variables};
use crate::tls::unverified;

/// Shorter than the usual interval of container health checks.
const DEFAULT_TIMEOUT: &str = "3s";

/// What to ask, and whom.
#[derive(Args, Debug)]
pub struct Flags {
    /// The gateway [default: where serve listens with the same variables and file]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub address: Option<SocketAddr>,

    /// Speak TLS to that address; its certificate is not verified, for nothing is at stake
    /// [default for the own address: as serve does]
    #[arg(long)]
    pub tls: bool,

    /// Certificate to show to a gateway that asks for one (PEM)
    #[arg(long, value_name = "FILE", requires = "key")]
    pub certificate: Option<PathBuf>,

    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub key: Option<PathBuf>,

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
    let (address, tls) = match flags.address {
        Some(address) => (address, flags.tls),
        None => {
            let (address, tls) = config::listener(variables);
            (near(address), tls || flags.tls)
        }
    };
    let tls = tls.then(|| client(flags)).transpose();
    let tls = tls.map_err(|problem| Unhealthy::NoConnection(address, problem))?;
    let limit = Duration::from(flags.timeout);
    let deadline = Instant::now() + limit;
    let channel = timeout_at(deadline, connect(address, tls))
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

async fn connect(
    address: SocketAddr,
    tls: Option<ClientConfig>,
) -> Result<Channel, tonic::transport::Error> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
    let Some(tls) = tls else {
        return endpoint.connect().await;
    };
    let tls = TlsConnector::from(Arc::new(tls));
    let connector = tower::service_fn(move |_| {
        let tls = tls.clone();
        async move {
            let stream = TcpStream::connect(address).await?;
            let name = ServerName::from(address.ip());
            tls.connect(name, stream).await.map(TokioIo::new)
        }
    });
    endpoint.connect_with_connector(connector).await
}

/// Believes any server: it is told nothing, and asked for one word.
fn client(flags: &Flags) -> Result<ClientConfig, String> {
    let builder = unverified().map_err(|error| error.to_string())?;
    let mut config = match (&flags.certificate, &flags.key) {
        (Some(certificate), Some(key)) => {
            let cannot = |path: &Path, error: &dyn fmt::Display| {
                format!("cannot use {}: {error}", path.display())
            };
            let chain = CertificateDer::pem_file_iter(certificate)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| cannot(certificate, &error))?;
            let pair = PrivateKeyDer::from_pem_file(key).map_err(|error| cannot(key, &error))?;
            builder
                .with_client_auth_cert(chain, pair)
                .map_err(|error| cannot(certificate, &error))?
        }
        _ => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
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
