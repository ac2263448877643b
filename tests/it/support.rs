//! A gateway over an emulator, and clients to call it with.

use std::io::Write as _;
use std::net::SocketAddr;

use aws_credential_types::Credentials;
use face_liveness_client::v1::face_liveness_service_client::FaceLivenessServiceClient;
use face_liveness_client::v1::{CreateSessionRequest, CreateSessionResponse};
use face_liveness_gateway::Drained;
use face_liveness_gateway::config::{self, AwsIdentity, Config, Flags, Variables};
use face_liveness_gateway::gateway::{self, Gateway};
use rekognition_emulator::{Emulator, Quota};
use tempfile::NamedTempFile;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

/// What the emulator knows unless told otherwise.
pub(crate) const KEY: &str = "test";

/// An emulator without quotas.
pub(crate) async fn emulator() -> Emulator {
    Emulator::builder()
        .quota(Quota::UNLIMITED)
        .start()
        .await
        .unwrap()
}

/// A configuration file.
pub(crate) fn file(toml: &str) -> NamedTempFile {
    let mut file = NamedTempFile::with_suffix(".toml").unwrap();
    file.write_all(toml.as_bytes()).unwrap();
    file
}

/// The configuration that `toml` and the emulator's address make.
pub(crate) async fn config(emulator: &Emulator, toml: &str) -> Config {
    load(toml, Some(emulator.endpoint_url())).await
}

/// The configuration that `toml` makes, through the same path as the program's.
pub(crate) async fn load(toml: &str, endpoint_url: Option<String>) -> Config {
    let toml = file(toml);
    let flags = Flags {
        config: Some(toml.path().to_owned()),
        listen: Some("127.0.0.1:0".to_owned()),
        admin_listen: Some("127.0.0.1:0".to_owned()),
        endpoint_url,
        ..Flags::default()
    };
    let (mut config, _) = config::load(&flags, &Variables::new(), Vec::new())
        .await
        .unwrap();
    config.aws.identity = signing(KEY, KEY);
    config
}

/// Signs with these keys.
pub(crate) fn signing(access_key: &str, secret_key: &str) -> AwsIdentity {
    AwsIdentity::Static(Credentials::new(access_key, secret_key, None, None, "test"))
}

/// The least that must be configured.
pub(crate) const ONE_REGION: &str = "region = 'us-east-1'\n[server]\ndrain_delay = '0s'\n";

/// A running gateway.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    /// The admin port.
    pub(crate) admin: SocketAddr,
    shutdown: CancellationToken,
    /// Runs as long as the gateway does.
    _emulator: Option<Emulator>,
    _stop_when_dropped: DropGuard,
    ended: JoinHandle<Result<Drained, gateway::Error>>,
}

impl Running {
    /// Runs a gateway on a port of its own.
    pub(crate) fn start(config: Config) -> Self {
        Self::run(Gateway::bind(config).unwrap())
    }

    /// Runs a gateway that has its ports.
    pub(crate) fn run(gateway: Gateway) -> Self {
        let address = gateway.local_addr().unwrap();
        let admin = gateway.admin_addr().unwrap().unwrap();
        let shutdown = CancellationToken::new();
        let ended = tokio::spawn(gateway.run(shutdown.clone().cancelled_owned()));
        Self {
            address,
            admin,
            _stop_when_dropped: shutdown.clone().drop_guard(),
            shutdown,
            ended,
            _emulator: None,
        }
    }

    /// Runs one for the emulator with the least configuration.
    pub(crate) async fn over(emulator: &Emulator) -> Self {
        Self::configured(emulator, ONE_REGION).await
    }

    /// Runs one for the emulator with this configuration.
    pub(crate) async fn configured(emulator: &Emulator, toml: &str) -> Self {
        let gateway = Self::start(config(emulator, toml).await);
        Self {
            _emulator: Some(emulator.clone()),
            ..gateway
        }
    }

    /// A new connection.
    pub(crate) async fn connect(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        endpoint.connect().await.unwrap()
    }

    /// A client on a new connection.
    pub(crate) async fn client(&self) -> FaceLivenessServiceClient<Channel> {
        FaceLivenessServiceClient::new(self.connect().await)
    }

    /// Creates a session over a new connection.
    pub(crate) async fn create(
        &self,
        request: CreateSessionRequest,
    ) -> Result<Response<CreateSessionResponse>, Status> {
        self.client().await.create_session(request).await
    }

    /// Begins the shutdown.
    pub(crate) fn begin_shutdown(&self) {
        self.shutdown.cancel();
    }

    /// Waits for the end; the shutdown must have begun.
    pub(crate) async fn ended(self) -> Drained {
        self.ended.await.unwrap().unwrap()
    }
}

/// Follows the health of the gateway as a whole.
pub(crate) async fn watch_health(channel: Channel) -> tonic::Streaming<HealthCheckResponse> {
    let request = HealthCheckRequest::default();
    HealthClient::new(channel)
        .watch(request)
        .await
        .unwrap()
        .into_inner()
}

/// Reads on until the state is `wanted`.
pub(crate) async fn until(
    states: &mut tonic::Streaming<HealthCheckResponse>,
    wanted: ServingStatus,
) {
    while let Some(state) = states.message().await.unwrap() {
        if state.status() == wanted {
            return;
        }
    }
    panic!("the watch ended before {wanted:?}");
}

/// Asserts that the gateway still makes sessions.
pub(crate) async fn assert_alive(gateway: &Running) {
    let session = gateway
        .create(CreateSessionRequest::default())
        .await
        .unwrap();
    assert_eq!(session.get_ref().session_id.len(), 36);
}
