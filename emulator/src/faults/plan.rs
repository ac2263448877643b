//! Decides which fault hits which call.

use std::time::Duration;

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use super::{Fault, FaultKind};
use crate::protocol::Operation;

/// A fault that is set, and what it has done so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultStatus {
    /// The fault.
    #[serde(flatten)]
    pub fault: Fault,
    /// Calls of its operation since it was set.
    pub calls: u64,
    /// Calls that it hit.
    pub hits: u64,
}

/// What is to happen to one call.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Decision {
    pub(crate) latency: Duration,
    pub(crate) fault: Option<FaultKind>,
}

/// The faults that are set, in order.
///
/// Every fault draws from a generator of its own on every call it concerns, so what hits the n-th
/// call depends on the seed and the fault's place in the list alone.
#[derive(Debug)]
pub(crate) struct Plan {
    seed: u64,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    status: FaultStatus,
    rng: Rng,
}

impl Plan {
    pub(crate) fn new(faults: impl IntoIterator<Item = Fault>, seed: u64) -> Self {
        let entry = |(fault, place): (Fault, u64)| Entry {
            status: FaultStatus {
                fault,
                calls: 0,
                hits: 0,
            },
            rng: Rng::with_seed(seed.wrapping_add(place.wrapping_mul(0x9E37_79B9_7F4A_7C15))),
        };
        Self {
            seed,
            entries: faults.into_iter().zip(1..).map(entry).collect(),
        }
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    pub(crate) fn statuses(&self) -> Vec<FaultStatus> {
        self.entries
            .iter()
            .map(|entry| entry.status.clone())
            .collect()
    }

    pub(crate) fn faults(&self) -> Vec<Fault> {
        self.entries
            .iter()
            .map(|entry| entry.status.fault.clone())
            .collect()
    }

    /// Counts the call and decides about it.
    pub(crate) fn decide(&mut self, operation: Operation) -> Decision {
        let mut decision = Decision::default();
        let mut delayed = false;
        for entry in &mut self.entries {
            if !entry.wants(operation) {
                continue;
            }
            match &entry.status.fault.kind {
                FaultKind::Latency(latency) if !delayed => {
                    decision.latency = latency.sample(&mut entry.rng);
                    delayed = true;
                    entry.status.hits += 1;
                }
                FaultKind::Latency(_) => {}
                kind if decision.fault.is_none() => {
                    decision.fault = Some(kind.clone());
                    entry.status.hits += 1;
                }
                _ => {}
            }
        }
        decision
    }
}

impl Entry {
    fn wants(&mut self, operation: Operation) -> bool {
        let status = &mut self.status;
        if !status.fault.concerns(operation) {
            return false;
        }
        status.calls += 1;
        let drawn = self.rng.f64() < status.fault.probability;
        drawn && status.fault.is_due(status.calls, status.hits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::Latency;

    const CREATE: Operation = Operation::CreateFaceLivenessSession;
    const GET: Operation = Operation::GetFaceLivenessSessionResults;

    fn names(plan: &mut Plan, operation: Operation, calls: usize) -> Vec<&'static str> {
        (0..calls)
            .map(|_| plan.decide(operation).fault.map_or("-", |kind| kind.name()))
            .collect()
    }

    #[test]
    fn a_scripted_fault_hits_exactly_its_call() {
        let mut plan = Plan::new([Fault::throttling().on_call(3)], 1);
        assert_eq!(
            names(&mut plan, CREATE, 5),
            ["-", "-", "throttling", "-", "-"]
        );
    }

    #[test]
    fn a_range_of_calls_and_the_next_n_calls_can_be_scripted() {
        let mut plan = Plan::new(
            [Fault::hang().on_call(2).times(2), Fault::reset().times(2)],
            1,
        );
        assert_eq!(
            names(&mut plan, CREATE, 6),
            ["reset", "hang", "hang", "reset", "-", "-"]
        );
    }

    #[test]
    fn faults_concern_creates_unless_told_otherwise() {
        let mut plan = Plan::new([Fault::reset(), Fault::hang().on_operation(GET)], 1);
        assert_eq!(names(&mut plan, GET, 1), ["hang"]);
        assert_eq!(names(&mut plan, CREATE, 1), ["reset"]);
    }

    #[test]
    fn the_same_seed_repeats_and_another_does_not() {
        let draw = |seed| {
            names(
                &mut Plan::new([Fault::reset().with_probability(0.5)], seed),
                CREATE,
                64,
            )
        };
        assert_eq!(draw(42), draw(42));
        assert_ne!(draw(42), draw(43));
        let hits = draw(42).iter().filter(|name| **name == "reset").count();
        assert!((12..=52).contains(&hits), "{hits} of 64");
    }

    #[test]
    fn another_fault_in_front_does_not_change_the_draws() {
        let chance = || Fault::reset().with_probability(0.5);
        let alone = names(
            &mut Plan::new([Fault::hang().with_probability(0.0), chance()], 7),
            CREATE,
            32,
        );
        let mut plan = Plan::new([Fault::hang().on_call(1), chance()], 7);
        assert_eq!(names(&mut plan, CREATE, 32)[1..], alone[1..]);
    }

    #[test]
    fn latency_goes_together_with_a_fault() {
        let wait = Duration::from_millis(5);
        let mut plan = Plan::new([Fault::reset(), Fault::latency(Latency::fixed(wait))], 1);
        let both = Decision {
            latency: wait,
            fault: Some(FaultKind::Reset),
        };
        assert_eq!(plan.decide(CREATE), both);
    }
}
