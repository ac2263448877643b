//! How many permits a second were granted, for the last minute: what the page
//! shows before it has watched for a while itself.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::Shared;

/// How far apart samples are.
const EVERY: Duration = Duration::from_secs(1);

/// How many seconds are remembered.
const SECONDS: usize = 60;

/// Permits in each of the last seconds, the oldest first, by region.
#[derive(Debug)]
pub(super) struct Rates(Mutex<Vec<Region>>);

#[derive(Debug, Default)]
struct Region {
    total: u64,
    seconds: VecDeque<u64>,
}

impl Rates {
    pub(super) fn new(regions: usize) -> Self {
        Self(Mutex::new(
            std::iter::repeat_with(Region::default)
                .take(regions)
                .collect(),
        ))
    }

    /// Another second is over; `totals` are the permits since the start.
    fn tick(&self, totals: impl Iterator<Item = u64>) {
        let mut regions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (region, total) in regions.iter_mut().zip(totals) {
            if region.seconds.len() == SECONDS {
                region.seconds.pop_front();
            }
            region.seconds.push_back(total.saturating_sub(region.total));
            region.total = total;
        }
    }

    /// The seconds of the region at this place.
    pub(super) fn of(&self, place: usize) -> Vec<u64> {
        let regions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let region = regions.get(place);
        region.map_or_else(Vec::new, |region| region.seconds.iter().copied().collect())
    }
}

/// Takes samples for ever.
pub(super) async fn sample(shared: &Shared) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let admin = &shared.admin;
        let totals = admin
            .regions
            .iter()
            .map(|region| admin.quota.granted(region));
        shared.rates.tick(totals);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_has_the_permits_granted_in_it_for_a_minute() {
        let rates = Rates::new(2);
        for second in 0..100_u64 {
            rates.tick([second * 2, 7].into_iter());
        }
        assert_eq!(rates.of(0), [2; SECONDS]);
        assert_eq!(rates.of(1), [0; SECONDS]);
        assert!(rates.of(2).is_empty());
    }
}
