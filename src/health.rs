//! Whether the gateway is ready: the gRPC health service says SERVING only
//! while calls can succeed.

use std::time::Duration;

use face_liveness_client::v1::SERVICE_NAME;
use tokio::sync::watch;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::causes::Causes;
use crate::inbound::Identification;
use crate::readiness::Readiness;
use crate::redis::State;
use crate::region::Region;
use crate::upstream::Aws;

/// The whole server, as health checks name it.
const SERVER: &str = "";

/// What the shared stores of the quota are called in health checks, with the
/// region behind it.
const QUOTA_STORE: &str = "quota-store";

/// After a failure to load credentials: the first pause, which doubles…
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// …up to this, so that a fixed role is noticed within half a minute.
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// The state that the health service reports.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    reporter: HealthReporter,
    readiness: Readiness,
}

impl Health {
    /// Begins as NOT_SERVING, which tonic's own reporter does not. Tells
    /// `readiness` why it says what it says.
    pub(crate) async fn not_serving(readiness: Readiness) -> Self {
        let health = Self {
            reporter: HealthReporter::new(),
            readiness,
        };
        health.set(ServingStatus::NotServing).await;
        health
    }

    pub(crate) fn reporter(&self) -> HealthReporter {
        self.reporter.clone()
    }

    /// From now on says NOT_SERVING.
    pub(crate) async fn drain(&self) {
        self.readiness.drain();
        self.set(ServingStatus::NotServing).await;
    }

    async fn set(&self, status: ServingStatus) {
        for name in [SERVER, SERVICE_NAME] {
            self.reporter.set_service_status(name, status).await;
        }
    }

    /// Reports as `quota-store.REGION` whether the store that replicas share is in use.
    /// Calls succeed without it, so the server's own state does not follow.
    pub(crate) fn follow_stores(&self, states: Vec<(Region, watch::Receiver<State>)>) {
        self.readiness.follow_stores(states.clone());
        for (region, mut state) in states {
            let health = self.clone();
            let name = format!("{QUOTA_STORE}.{region}");
            tokio::spawn(async move {
                loop {
                    let status = match *state.borrow_and_update() {
                        State::Shared => ServingStatus::Serving,
                        State::Alone | State::Rejoining => ServingStatus::NotServing,
                    };
                    health
                        .reporter
                        .set_service_status(name.clone(), status)
                        .await;
                    if state.changed().await.is_err() {
                        break;
                    }
                }
            });
        }
    }

    /// Says SERVING as soon as callers can be told apart, and there are credentials to
    /// call AWS with.
    pub(crate) async fn serve_when_ready(&self, identification: &Identification, aws: &Aws) {
        self.readiness.follow_keys(identification.clone());
        self.credentials(aws).await;
        identification.ready().await;
        self.readiness.serving();
        self.set(ServingStatus::Serving).await;
        tracing::info!("ready: serving");
    }

    /// Completes when there are credentials.
    async fn credentials(&self, aws: &Aws) {
        let mut pause = FIRST_RETRY;
        while let Err(error) = aws.load_credentials().await {
            tracing::error!(
                retry_in = ?pause,
                "not ready: {}; check the role, profile or variables that AWS's credential chain reads",
                Causes(&error)
            );
            self.readiness
                .credentials_missing(format!("{}; the log has the details", error.cause));
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_RETRY);
        }
        self.readiness.credentials_loaded();
    }
}
