//! From `[quota]`, `[ledger]` and the limits of `[[regions]]` to what AWS admits
//! in each region, and to the bounds of queue and ledger.

use std::num::NonZeroU32;

use super::check::Check;
use super::settings::{Limit, RegionSettings, Settings};
use crate::quota::{Flow, Limits};
use crate::region::Region;
use crate::upstream::ledger;

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
