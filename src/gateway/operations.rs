//! What the gateway tells its operators: metrics, and the admin port.

use std::io;
use std::net::TcpListener;

use opentelemetry::metrics::Meter;
use tokio_util::task::AbortOnDropHandle;

use super::{Error, FLUSH_TIMEOUT};
use crate::admin::{self, Admin};
use crate::config::{Config, InForce};
use crate::readiness::Readiness;
use crate::region::Region;
use crate::reload;
use crate::telemetry::logs::LevelHandle;
use crate::telemetry::metrics::{Exposition, Metrics, RegionQuota};
use crate::tls;

/// Metrics and the admin port, from the first moment to the last.
#[derive(Debug)]
pub(super) struct Operations {
    pub(super) metrics: Metrics,
    pub(super) readiness: Readiness,
    /// Secures connections, if that is wanted.
    pub(super) tls: Option<tls::Acceptor>,
    /// What is shown of the configuration.
    pub(super) shown: InForce,
    meter: Meter,
    exposition: Exposition,
    /// Ends when this is dropped.
    _admin: Option<AbortOnDropHandle<()>>,
}

impl Operations {
    /// Begins to count, and to serve the admin port on this runtime. `reload` is
    /// there if the configuration can be read again.
    pub(super) fn start(
        config: &Config,
        listener: Option<TcpListener>,
        log_level: Option<LevelHandle>,
        reload: Option<reload::Handle>,
    ) -> Result<Self, Error> {
        let exposition = Exposition::new(&config.otlp)?;
        let meter = exposition.meter();
        let regions: Vec<Region> = config
            .regions
            .iter()
            .map(|entry| entry.region.clone())
            .collect();
        let metrics = Metrics::new(&meter, &regions, &config.callers.listed());
        let readiness = Readiness::default();
        let shown = InForce::new(config.shown.clone());
        let tls = config.tls.clone();
        let tls = tls.map(|tls| tls::Acceptor::new(tls, metrics.certificate.clone()));
        let admin = Admin {
            exposition: exposition.clone(),
            refusals: metrics.rpc.refusals().clone(),
            readiness: readiness.clone(),
            quota: metrics.quota.clone(),
            regions,
            shown: shown.clone(),
            log_level,
            reload,
        };
        let purpose = config.admin_tls;
        let secured = tls.as_ref().zip(purpose).map(|(tls, purpose)| {
            tls.for_port(purpose, admin::MAX_CONNECTIONS, admin::HANDSHAKE_TIMEOUT)
        });
        let admin = listener
            .map(|listener| admin::start(listener, admin, secured))
            .transpose()
            .map_err(|error: io::Error| Error::Start(error))?;
        Ok(Self {
            metrics,
            readiness,
            tls,
            shown,
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
        self.exposition.shut_down(FLUSH_TIMEOUT).await;
    }
}
