//! Whether the gateway is ready: the gRPC health service says SERVING only
//! while calls can succeed.

use std::time::Duration;

use face_liveness_client::v1::SERVICE_NAME;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::causes::Causes;
use crate::upstream::Aws;

/// The whole server, as health checks name it.
const SERVER: &str = "";

/// After a failure to load credentials: the first pause, which doubles…
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// …up to this, so that a fixed role is noticed within half a minute.
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// The state that the health service reports.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    reporter: HealthReporter,
}

impl Health {
    /// Begins as NOT_SERVING, which tonic's own reporter does not.
    pub(crate) async fn not_serving() -> Self {
        let health = Self {
            reporter: HealthReporter::new(),
        };
        health.set(ServingStatus::NotServing).await;
        health
    }

    pub(crate) fn reporter(&self) -> HealthReporter {
        self.reporter.clone()
    }

    pub(crate) async fn set(&self, status: ServingStatus) {
        for name in [SERVER, SERVICE_NAME] {
            self.reporter.set_service_status(name, status).await;
        }
    }

    /// Says SERVING as soon as there are credentials to call AWS with.
    pub(crate) async fn ready_when_aws_is(&self, aws: &Aws) {
        let mut pause = FIRST_RETRY;
        while let Err(error) = aws.load_credentials().await {
            tracing::error!(
                retry_in = ?pause,
                "not ready: {}; check the role, profile or variables that AWS's credential chain reads",
                Causes(&error)
            );
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_RETRY);
        }
        self.set(ServingStatus::Serving).await;
        tracing::info!("ready: serving");
    }
}
