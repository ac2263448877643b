//! From the configuration to the quota of each region and the ledger, in memory
//! or shared through Redis.

use std::sync::Arc;

use tokio::sync::watch;

use super::quotas::Quotas;
use crate::config::Config;
use crate::quota::{self, Limiter, Share, Source, Windows};
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
    /// Of each region, for the metrics.
    pub(super) shown: Vec<RegionQuota>,
    /// Of each region, to be changed.
    pub(super) quotas: Quotas,
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
        let mut states = Vec::new();
        let mut shown = Vec::new();
        let mut quotas = Quotas::new(config);
        for entry in &config.regions {
            let region = &entry.region;
            let terms = quotas.terms(config, entry);
            let (source, state, store) = match &shared {
                None => (Source::Memory(Windows::new(terms.limits)), None, None),
                Some((store, connection)) => {
                    let settings = redis::Settings {
                        prefix: store.key_prefix.clone(),
                        limits: terms.limits,
                        share: Share::new(terms.share),
                    };
                    let windows =
                        redis::Windows::new(connection.clone(), region.clone(), &settings);
                    windows.look().await;
                    states.push((region.clone(), windows.states()));
                    let state = Some(windows.states());
                    let store = Arc::new(windows);
                    let source: Arc<dyn quota::Store> = Arc::clone(&store) as _;
                    (Source::Shared(source), state, Some(store))
                }
            };
            let limiter = Limiter::start(region.clone(), source, terms.queue);
            shown.push(RegionQuota {
                region: region.clone(),
                limiter: limiter.clone(),
                terms: quotas.add(region.clone(), limiter, store, terms),
                store: state.map(|state| metrics::Store { state }),
            });
        }
        let limiters = shown
            .iter()
            .map(|quota| (quota.region.clone(), quota.limiter.clone()));
        let records = shared.map(|(store, connection)| {
            Arc::new(Records::new(connection, &store.key_prefix)) as Arc<dyn ledger::Store>
        });
        Ok(Self {
            quota: QuotaLayer::new(limiters).with_metrics(metrics.quota.clone()),
            ledger: LedgerLayer::new(config.ledger, records).with_metrics(metrics.ledger.clone()),
            states,
            shown,
            quotas,
        })
    }
}
