//! What the gateway tells its operators: metrics, and the admin port.

use std::io;
use std::net::TcpListener;

use opentelemetry::metrics::Meter;
use tokio_util::task::AbortOnDropHandle;

use super::Error;
use crate::admin::{self, Admin};
use crate::config::{Config, InForce};
use crate::readiness::Readiness;
use crate::region::Region;
use crate::reload;
use crate::telemetry::logs;
use crate::telemetry::metrics::{Exposition, Loss, Metrics, RegionQuota};
use crate::telemetry::otlp::Exit;
use crate::telemetry::traces::Traces;
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
    /// Of the metrics.
    exit: Exit,
    /// Ends when this is dropped.
    _admin: Option<AbortOnDropHandle<()>>,
}

impl Operations {
    /// Begins to count, and to serve the admin port on this runtime. `reload` is
    /// there if the configuration can be read again.
    pub(super) fn start(
        config: &Config,
        listener: Option<TcpListener>,
        log: Option<&logs::Handle>,
        traces: &Traces,
        reload: Option<reload::Handle>,
    ) -> Result<Self, Error> {
        let exposition = Exposition::new(&config.otlp)?;
        let exit = exposition.exit();
        let meter = exposition.meter();
        Metrics::observe_losses(&meter, losses(traces, log));
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
            exposition,
            refusals: metrics.rpc.refusals().clone(),
            readiness: readiness.clone(),
            quota: metrics.quota.clone(),
            regions,
            shown: shown.clone(),
            log_level: log.map(logs::Handle::level),
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
            exit,
            _admin: admin,
        })
    }

    /// Shows the quotas of these regions as well.
    pub(super) fn observe(&self, quotas: Vec<RegionQuota>) {
        Metrics::observe_quotas(&self.meter, quotas);
    }

    /// Nothing is counted or served any more.
    pub(super) fn end(self) -> Exit {
        self.exit
    }
}

/// What is lost of spans, and of the log if it is the gateway's own.
fn losses(traces: &Traces, log: Option<&logs::Handle>) -> Vec<Loss> {
    let traces = traces.clone();
    let mut losses = vec![Loss {
        kind: "spans",
        total: Box::new(move || traces.lost()),
    }];
    if let Some(log) = log {
        let (lines, records) = (log.clone(), log.clone());
        losses.push(Loss {
            kind: "log_lines",
            total: Box::new(move || lines.lost_lines()),
        });
        losses.push(Loss {
            kind: "log_records",
            total: Box::new(move || records.lost_records()),
        });
    }
    losses
}
