//! From `[quota]`, `[ledger]` and the limits of `[[regions]]` to what AWS admits
//! in each region, and to the bounds of queue and ledger.

use std::num::NonZeroU32;

use super::check::Check;
use super::settings::{Limit, MEMORY_STORE, QuotaSettings, RegionSettings, Settings};
use super::{CaBundle, SharedStore};
use crate::quota::{Flow, Limits};
use crate::redis;
use crate::region::Region;
use crate::upstream::ledger;

/// One of a thousand replicas: beyond that the quota's share is no admission.
const LEAST_SHARE: f64 = 0.001;

impl Check<'_> {
    /// What AWS admits in `region`: its own settings over `[quota]` over AWS's
    /// defaults.
    pub(super) fn limits(
        &self,
        settings: &Settings,
        region: &Region,
        own: Option<&RegionSettings>,
    ) -> Limits {
        let quota = &settings.quota;
        let defaults = Limits::of_region(region);
        let creates = own
            .and_then(|own| own.creates_per_second)
            .or(quota.creates_per_second);
        let sessions = own
            .and_then(|own| own.concurrent_sessions)
            .or(quota.concurrent_sessions);
        let flow = |sessions: NonZeroU32| Flow {
            sessions,
            session_length: quota.session_length,
        };
        let usual = defaults.sessions_in_flow.map(|flow| flow.sessions);
        Limits {
            creates_per_second: chosen(creates, defaults.creates_per_second),
            sessions_in_flow: chosen(sessions, usual).map(flow),
        }
    }

    /// The store that replicas share, if one is configured.
    pub(super) fn shared_store(&mut self, settings: &Settings) -> Option<SharedStore> {
        let quota = &settings.quota;
        let share_fits = (LEAST_SHARE..=1.0).contains(&quota.share);
        if !share_fits {
            self.mistake(
                "quota.share",
                format!("must be {LEAST_SHARE} to 1, such as 0.5 for two replicas"),
            );
        }
        let prefix_fits = (1..=64).contains(&quota.key_prefix.len())
            && quota
                .key_prefix
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b));
        if !prefix_fits {
            self.mistake(
                "quota.key_prefix",
                "must be 1 to 64 letters, digits or any of -_.:",
            );
        }
        if settings.quota_store == MEMORY_STORE {
            return None;
        }
        let url: redis::Url = match settings.quota_store.parse() {
            Ok(url) => url,
            Err(error) => {
                let error: redis::InvalidUrl = error;
                let problem = format!("must be \"memory\" or a URL: {error}");
                self.mistake("quota_store", problem);
                return None;
            }
        };
        Some(SharedStore {
            authorities: self.store_authorities(quota, &url),
            url,
            timeout: quota.store_timeout,
            key_prefix: quota.key_prefix.clone(),
        })
    }

    fn store_authorities(&mut self, quota: &QuotaSettings, url: &redis::Url) -> Option<CaBundle> {
        const KEY: &str = "quota.store_ca_bundle";
        let path = quota.store_ca_bundle.as_deref()?;
        if !url.is_encrypted() {
            self.mistake(
                KEY,
                "has no effect without TLS: quota_store must begin with rediss",
            );
            return None;
        }
        match CaBundle::read(path) {
            Ok(bundle) => Some(bundle),
            Err(problem) => {
                self.mistake(KEY, problem);
                None
            }
        }
    }

    pub(super) fn ledger(settings: &Settings) -> ledger::Settings {
        ledger::Settings {
            entries: settings.ledger.entries,
            min_remaining: settings.ledger.min_remaining,
        }
    }
}

fn chosen(set: Option<Limit>, default: Option<NonZeroU32>) -> Option<NonZeroU32> {
    match set {
        None => default,
        Some(Limit::Of(limit)) => Some(limit),
        Some(Limit::Off(_)) => None,
    }
}
