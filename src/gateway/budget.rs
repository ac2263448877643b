//! From the configuration to the quota of each region and the ledger, in memory
//! or shared through Redis.

use std::sync::Arc;

use tokio::sync::watch;

use crate::config::{Config, RegionConfig, SharedStore};
use crate::quota::{Bounds, Limiter, Share, Source, Windows};
use crate::redis::{self, Connection, Records, State};
use crate::region::Region;
use crate::telemetry::metrics::{self, Metrics, RegionQuota};
use crate::upstream::{LedgerLayer, QuotaLayer, ledger};

/// The layers that keep to the quota and make repeats harmless.
#[derive(Debug)]
pub(super) struct Budget {
    pub(super) quota: QuotaLayer,
    pub(super) ledger: LedgerLayer,
    /// Of each region's store, if it is shared.
    pub(super) states: Vec<(Region, watch::Receiver<State>)>,
    /// Of each region that has limits, for the metrics.
    pub(super) quotas: Vec<RegionQuota>,
}

impl Budget {
    /// Starts the limiters, whose background work runs on this runtime. A store
    /// that cannot be reached is no error: the gateway goes on with its share.
    pub(super) async fn start(config: &Config, metrics: &Metrics) -> Result<Self, redis::Error> {
        let shared = match &config.quota.shared {
            None => None,
            Some(store) => {
                let authorities = store.authorities.as_ref();
                let connection = Connection::open(store.url.clone(), authorities, store.timeout);
                Some((store, connection.await?))
            }
        };
        if shared.as_ref().is_some_and(|(store, _)| store.share >= 1.0) {
            tracing::warn!(
                "quota.share is 1: should the store be lost, each replica takes the whole quota; right for one replica only"
            );
        }
        let mut states = Vec::new();
        let mut quotas = Vec::new();
        for entry in config
            .regions
            .iter()
            .filter(|entry| !Bounds::from(entry.limits).is_off())
        {
            let mut shown = None;
            let source = match &shared {
                None => Source::Memory(Windows::new(entry.limits)),
                Some((store, connection)) => {
                    let windows = shared_windows(entry, store, connection.clone());
                    windows.look().await;
                    warn_of_small_share(entry, store.share);
                    states.push((entry.region.clone(), windows.states()));
                    shown = Some(metrics::Store {
                        state: windows.states(),
                        share: Share::new(store.share),
                    });
                    Source::Shared(Arc::new(windows))
                }
            };
            let limiter = Limiter::start(entry.region.clone(), source, config.quota.queue);
            quotas.push(RegionQuota {
                region: entry.region.clone(),
                limiter,
                limits: entry.limits,
                queue: config.quota.queue,
                store: shown,
            });
        }
        let limiters = quotas
            .iter()
            .map(|quota| (quota.region.clone(), quota.limiter.clone()));
        let records = shared.map(|(store, connection)| {
            Arc::new(Records::new(connection, &store.key_prefix)) as Arc<dyn ledger::Store>
        });
        Ok(Self {
            quota: QuotaLayer::new(limiters).with_metrics(metrics.quota.clone()),
            ledger: LedgerLayer::new(config.ledger, records).with_metrics(metrics.ledger.clone()),
            states,
            quotas,
        })
    }
}

/// Without a word from each other, replicas that each have less than one place in a
/// span cannot keep theirs from meeting in one.
fn warn_of_small_share(entry: &RegionConfig, share: f64) {
    let sessions = entry.limits.sessions_in_flow.map(|flow| flow.sessions);
    let limits = [entry.limits.creates_per_second, sessions];
    let least = limits.into_iter().flatten().min();
    if least.is_some_and(|least| f64::from(least.get()) * share < 1.0) {
        let region = &entry.region;
        tracing::warn!(%region, share, "quota.share is less than one admission: while the store is lost, replicas keep to the quota only on average");
    }
}

fn shared_windows(
    entry: &RegionConfig,
    store: &SharedStore,
    connection: Connection,
) -> redis::Windows {
    let settings = redis::Settings {
        prefix: store.key_prefix.clone(),
        limits: entry.limits,
        share: Share::new(store.share),
    };
    redis::Windows::new(connection, entry.region.clone(), &settings)
}
