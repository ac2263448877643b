//! `dev`: the gateway on loopback with an embedded emulator instead of AWS, to
//! try it out without an account.

use std::fmt;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use aws_credential_types::Credentials;
use clap::Args;
use face_liveness_client::v1::face_liveness_service_client::FaceLivenessServiceClient;
use face_liveness_client::v1::{CreateSessionRequest, CreateSessionResponse};
use rekognition_emulator::Emulator;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use url::Url;

use crate::VERSION;
use crate::caller::Callers;
use crate::config::{
    self, AdminListen, AwsConfig, AwsIdentity, Config, DEFAULT_PORT, Identity, LogConfig,
    LogFormat, QuotaConfig, Reflection, RegionConfig, ServerSettings, Settings, Trust,
};
use crate::gateway::{self, Gateway};
use crate::quota::Limits;
use crate::region::{Region, WITH_FACE_LIVENESS};
use crate::telemetry::logs;
use crate::telemetry::otlp;
use crate::upstream::ledger;

/// Known to everybody, and good for nothing but the emulator.
const ACCESS_KEY_ID: &str = "AKIDDEV";
const SECRET_ACCESS_KEY: &str = "dev-secret";

const METHOD: &str = "faceliveness.v1.FaceLivenessService/CreateSession";

/// What can be chosen.
#[derive(Args, Clone, Debug)]
pub struct Flags {
    /// Address to serve gRPC on
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = loopback(DEFAULT_PORT))]
    pub listen: SocketAddr,

    /// Address of the admin port (metrics, readiness, status), or off
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t)]
    pub admin_listen: AdminListen,

    /// Address of the emulator
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = loopback(DEFAULT_PORT + 1))]
    pub emulator_listen: SocketAddr,

    /// Region to create sessions in
    #[arg(long, default_value = "us-east-1", value_parser = region_with_face_liveness)]
    pub region: Region,

    /// Log at level debug
    #[arg(long)]
    pub debug: bool,
}

fn region_with_face_liveness(name: &str) -> Result<Region, String> {
    let region = Region::parse(name).map_err(|error| error.to_string())?;
    if region.has_face_liveness() {
        return Ok(region);
    }
    let listed = WITH_FACE_LIVENESS.join(", ");
    Err(format!(
        "has no Face Liveness; the regions that have it are {listed}"
    ))
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Why it does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The emulator's port cannot be had.
    #[error("cannot listen on {0}: {1}; choose another with --emulator-listen")]
    EmulatorPort(SocketAddr, #[source] io::Error),
    /// The emulator cannot be started.
    #[error("cannot start the emulator: {0}")]
    Emulator(#[source] io::Error),
    /// The URL of the emulator is none.
    #[error("the emulator's address: {0}")]
    Url(#[from] url::ParseError),
    /// The gateway does not run.
    #[error(transparent)]
    Gateway(#[from] gateway::Error),
    /// The front door does not open.
    #[error("cannot connect to the gateway: {0}")]
    Connect(#[from] tonic::transport::Error),
    /// The call through the front door failed.
    #[error("the first call failed: {0}")]
    FirstCall(#[from] tonic::Status),
    /// The system does not tell an address, or nobody reads what is printed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A gateway and the port of its emulator, both bound.
#[derive(Debug)]
pub struct Dev {
    gateway: Gateway,
    emulator: TcpListener,
    region: Region,
}

impl Dev {
    /// Binds both ports. Telemetry goes where `otlp` says.
    ///
    /// # Errors
    /// When one cannot be had.
    pub fn bind(flags: &Flags, otlp: otlp::Settings) -> Result<Self, Error> {
        let emulator = TcpListener::bind(flags.emulator_listen)
            .map_err(|error| Error::EmulatorPort(flags.emulator_listen, error))?;
        let gateway = Gateway::bind(config(flags, otlp, emulator.local_addr()?)?)?;
        Ok(Self {
            gateway,
            emulator,
            region: flags.region.clone(),
        })
    }

    /// As [`Gateway::with_log`].
    #[must_use]
    pub fn with_log(self, log: logs::Handle) -> Self {
        Self {
            gateway: self.gateway.with_log(log),
            ..self
        }
    }

    /// Serves until `shutdown` completes. Writes to `out` where everything is,
    /// and what to paste.
    ///
    /// # Errors
    /// When something cannot be started, or the first call fails.
    pub async fn run(
        self,
        shutdown: impl Future<Output = ()>,
        mut out: impl Write,
    ) -> Result<(), Error> {
        let address = self.gateway.local_addr()?;
        let admin = self.gateway.admin_addr()?;
        let emulator = Emulator::builder()
            .listener(self.emulator)
            .credentials([rekognition_emulator::Credentials::new(
                ACCESS_KEY_ID,
                SECRET_ACCESS_KEY,
            )])
            .start()
            .await
            .map_err(Error::Emulator)?;
        let welcome = async {
            let (session, took) = first_session(address).await?;
            let emulator = emulator.endpoint_url();
            let welcome = Welcome {
                address,
                admin,
                emulator,
                region: self.region,
                session,
                took,
            };
            write!(out, "{welcome}")?;
            out.flush()?;
            std::future::pending::<Result<(), Error>>().await
        };
        tokio::select! {
            served = self.gateway.run(shutdown) => served.map(drop).map_err(Error::from),
            failed = welcome => failed,
        }
    }
}

fn config(flags: &Flags, otlp: otlp::Settings, emulator: SocketAddr) -> Result<Config, Error> {
    let endpoint_url = Some(Url::parse(&format!("http://{emulator}"))?);
    let settings = Settings::default();
    let shown = config::shown(&config::Flags {
        listen: Some(flags.listen.to_string()),
        admin_listen: Some(flags.admin_listen.to_string()),
        region: Some(flags.region.to_string()),
        endpoint_url: endpoint_url.as_ref().map(Url::to_string),
        ..config::Flags::default()
    });
    Ok(Config {
        listen: flags.listen,
        admin_listen: flags.admin_listen,
        regions: vec![RegionConfig {
            region: flags.region.clone(),
            endpoint_url,
            limits: Limits::of_region(&flags.region),
        }],
        aws: AwsConfig {
            identity: AwsIdentity::Static(Credentials::new(
                ACCESS_KEY_ID,
                SECRET_ACCESS_KEY,
                None,
                None,
                "dev",
            )),
            trust: Trust::System,
            connect_timeout: settings.connect_timeout,
            read_timeout: settings.read_timeout,
        },
        // There is no load balancer that must take notice.
        server: ServerSettings {
            drain_delay: Duration::ZERO,
            ..settings.server
        },
        quota: QuotaConfig {
            queue: settings.quota.queue,
            share: settings.quota.share,
            shared: None,
        },
        ledger: ledger::Settings::default(),
        tls: None,
        admin_tls: None,
        identity: Identity::Believed,
        reflection: Reflection::Open,
        callers: Callers::default(),
        log: log(flags),
        telemetry: settings.telemetry,
        otlp,
        shown,
    })
}

/// How `dev` writes its log.
#[must_use]
pub fn log(flags: &Flags) -> LogConfig {
    LogConfig {
        format: LogFormat::Text,
        debug: flags.debug,
    }
}

/// Creates a session as any client would, and tells how long the call took.
async fn first_session(address: SocketAddr) -> Result<(CreateSessionResponse, Duration), Error> {
    let channel = Endpoint::from_shared(format!("http://{address}"))?
        .connect()
        .await?;
    serving(channel.clone()).await?;
    let mut client = FaceLivenessServiceClient::new(channel);
    let started = Instant::now();
    let session = client
        .create_session(CreateSessionRequest::default())
        .await?
        .into_inner();
    Ok((session, started.elapsed()))
}

async fn serving(channel: Channel) -> Result<(), tonic::Status> {
    let request = HealthCheckRequest::default();
    let mut states = HealthClient::new(channel)
        .watch(request)
        .await?
        .into_inner();
    while let Some(state) = states.message().await? {
        if state.status() == ServingStatus::Serving {
            return Ok(());
        }
    }
    Err(tonic::Status::unavailable(
        "the gateway ended before it served",
    ))
}

/// What a newcomer is told.
struct Welcome {
    address: SocketAddr,
    admin: Option<SocketAddr>,
    emulator: String,
    region: Region,
    session: CreateSessionResponse,
    took: Duration,
}

impl fmt::Display for Welcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            address,
            admin,
            emulator,
            region,
            session,
            took,
        } = self;
        let admin = admin.map_or_else(
            || "off".to_owned(),
            |admin| format!("http://{admin}/  (status, metrics, readiness, configuration)"),
        );
        let id = &session.session_id;
        write!(
            f,
            r#"
face-liveness-gateway {VERSION}

  *** Not for production: plaintext, no authentication, an emulator instead of AWS. ***

  gRPC      {address}  (plaintext, with health and reflection)
  admin     {admin}
  emulator  {emulator}  (Amazon Rekognition in {region})
  journal   {emulator}/_emulator/journal
  session   {id}  (created over gRPC in {took:.1?})

Create a session:

  grpcurl -plaintext {address} {METHOD}

Create one with settings; the same token gives the same session for three minutes:

  grpcurl -plaintext -d '{{"client_request_token": "my-token-1", "settings": {{
      "output_config": {{"s3_bucket": "my-bucket", "s3_key_prefix": "liveness/"}},
      "audit_images_limit": 2,
      "challenge_preferences": [{{"type": "CHALLENGE_TYPE_FACE_MOVEMENT"}}]}}}}' \
    {address} {METHOD}

Read the session above from the emulator, as a backend reads it from AWS:

  AWS_ACCESS_KEY_ID={ACCESS_KEY_ID} AWS_SECRET_ACCESS_KEY={SECRET_ACCESS_KEY} python3 -c 'import boto3
print(boto3.client("rekognition", region_name="{region}", endpoint_url="{emulator}")
  .get_face_liveness_session_results(SessionId="{id}")["Status"])'

Ctrl-C stops it.
"#
        )
    }
}
