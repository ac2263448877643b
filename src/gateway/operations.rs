//! What the gateway tells its operators: metrics, and the admin port.

use std::io;
use std::net::TcpListener;
use std::time::Duration;

use opentelemetry::metrics::Meter;
use tokio_util::task::AbortOnDropHandle;

use super::Error;
use crate::admin::{self, Admin};
use crate::config::Config;
use crate::readiness::Readiness;
use crate::region::Region;
use crate::telemetry::metrics::{Exposition, Metrics, RegionQuota};

/// How long the last metrics may take to be sent at shutdown.
const LAST_EXPORT: Duration = Duration::from_secs(3);

/// Metrics and the admin port, from the first moment to the last.
#[derive(Debug)]
pub(super) struct Operations {
    pub(super) metrics: Metrics,
    pub(super) readiness: Readiness,
    meter: Meter,
    exposition: Exposition,
    /// Ends when this is dropped.
    _admin: Option<AbortOnDropHandle<()>>,
}

impl Operations {
    /// Begins to count, and to serve the admin port on this runtime.
    pub(super) fn start(config: &Config, listener: Option<TcpListener>) -> Result<Self, Error> {
        let exposition = Exposition::new(&config.otlp)?;
        let meter = exposition.meter();
        let regions: Vec<Region> = config
            .regions
            .iter()
            .map(|entry| entry.region.clone())
            .collect();
        let metrics = Metrics::new(&meter, &regions, &config.callers.listed());
        let readiness = Readiness::default();
        let admin = Admin {
            exposition: exposition.clone(),
            refusals: metrics.rpc.refusals().clone(),
            readiness: readiness.clone(),
            quota: metrics.quota.clone(),
            regions,
            shown: config.shown.clone(),
        };
        let admin = listener
            .map(|listener| admin::start(listener, admin))
            .transpose()
            .map_err(|error: io::Error| Error::Start(error))?;
        Ok(Self {
            metrics,
            readiness,
            meter,
            exposition,
            _admin: admin,
        })
    }

    /// Shows the quotas of these regions as well.
    pub(super) fn observe(&self, quotas: Vec<RegionQuota>) {
        Metrics::observe_quotas(&self.meter, quotas);
    }

    /// Sends what has not been sent.
    pub(super) async fn end(self) {
        self.exposition.shut_down(LAST_EXPORT).await;
    }
}
