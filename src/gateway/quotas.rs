//! The quota of each region while the gateway runs: the configuration may be read
//! again, and have other limits, room and shares.

use std::sync::Arc;

use tokio::sync::watch;

use crate::config::{Config, RegionConfig};
use crate::quota::{Limiter, Share, Terms};
use crate::redis;
use crate::region::Region;
use crate::reload::Part;

/// The limiters of the regions that are served, and what they go by.
#[derive(Debug)]
pub(super) struct Quotas {
    regions: Vec<OfRegion>,
    /// Calls that may be in flight, which only a restart changes.
    max_in_flight: usize,
}

#[derive(Debug)]
struct OfRegion {
    region: Region,
    limiter: Limiter,
    /// The store that replicas share, if there is one.
    store: Option<Arc<redis::Windows>>,
    terms: watch::Sender<Terms>,
}

impl Quotas {
    /// None yet.
    pub(super) fn new(config: &Config) -> Self {
        Self {
            regions: Vec::new(),
            max_in_flight: config.server.max_in_flight,
        }
    }

    /// What the limiter of a region goes by.
    pub(super) fn terms(&self, config: &Config, entry: &RegionConfig) -> Terms {
        Terms {
            limits: entry.limits,
            queue: config.quota.queue.min(self.max_in_flight / 2).max(1),
            share: config.quota.share,
        }
    }

    /// From now on changes this limiter, and the store under it, too. What it goes
    /// by can be followed.
    pub(super) fn add(
        &mut self,
        region: Region,
        limiter: Limiter,
        store: Option<Arc<redis::Windows>>,
        terms: Terms,
    ) -> watch::Receiver<Terms> {
        let (terms, followed) = watch::channel(terms);
        let own = OfRegion {
            region,
            limiter,
            store,
            terms,
        };
        own.warn_of_share();
        self.regions.push(own);
        followed
    }
}

impl Part for Quotas {
    fn takes_on(&self, key: &str) -> bool {
        const KEYS: [&str; 5] = [
            "quota.creates_per_second",
            "quota.concurrent_sessions",
            "quota.session_length",
            "quota.queue",
            "quota.share",
        ];
        const OF_REGION: [&str; 2] = ["creates_per_second", "concurrent_sessions"];
        let of_region = || {
            let (region, limit) = key.strip_prefix("regions.")?.split_once('.')?;
            let mut served = self.regions.iter();
            let is_served = served.any(|served| served.region.as_str() == region);
            Some(is_served && OF_REGION.contains(&limit))
        };
        KEYS.contains(&key) || of_region() == Some(true)
    }

    fn apply(&self, config: &Config) {
        for own in &self.regions {
            let mut entries = config.regions.iter();
            // One that is served no more goes on until the restart.
            let Some(entry) = entries.find(|entry| entry.region == own.region) else {
                continue;
            };
            own.replace(self.terms(config, entry));
        }
    }
}

impl OfRegion {
    fn replace(&self, terms: Terms) {
        if terms == *self.terms.borrow() {
            return;
        }
        if let Some(store) = &self.store {
            store.rebound(terms.limits, Share::new(terms.share));
        }
        self.limiter.rebound(terms.limits.into(), terms.queue);
        self.terms.send_replace(terms);
        self.warn_of_share();
    }

    /// Without a word from each other, replicas that each have less than one place
    /// in a span cannot keep theirs from meeting in one.
    fn warn_of_share(&self) {
        let Terms { limits, share, .. } = *self.terms.borrow();
        let region = &self.region;
        let sessions = limits.sessions_in_flow.map(|flow| flow.sessions);
        let least = [limits.creates_per_second, sessions].into_iter().flatten();
        let Some(least) = least.min().filter(|_| self.store.is_some()) else {
            return;
        };
        if share >= 1.0 {
            tracing::warn!(
                %region,
                "quota.share is 1: should the store be lost, each replica takes the whole quota; right for one replica only"
            );
        }
        if f64::from(least.get()) * share < 1.0 {
            tracing::warn!(%region, share, "quota.share is less than one admission: while the store is lost, replicas keep to the quota only on average");
        }
    }
}
