//! Why the gateway is ready, or not: what each dependency says.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::watch;

use crate::inbound::Identification;
use crate::redis::State;
use crate::region::Region;

/// What the gateway needs to be ready; a clone is another handle.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readiness(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    credentials: Mutex<Credentials>,
    draining: AtomicBool,
    stores: OnceLock<Vec<(Region, watch::Receiver<State>)>>,
    identification: OnceLock<Identification>,
    /// Whether the gateway has been ready.
    served: AtomicBool,
}

#[derive(Clone, Debug, Default)]
enum Credentials {
    #[default]
    Loading,
    Loaded,
    Missing(String),
}

/// What one dependency says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) ready: bool,
    /// Whether the gateway is not ready without it.
    pub(crate) required: bool,
    pub(crate) reason: String,
}

impl Readiness {
    /// There are credentials to call AWS with.
    pub(crate) fn credentials_loaded(&self) {
        self.set(Credentials::Loaded);
    }

    /// There are none, for this reason.
    pub(crate) fn credentials_missing(&self, reason: String) {
        self.set(Credentials::Missing(reason));
    }

    /// The gateway serves.
    pub(crate) fn serving(&self) {
        self.0.served.store(true, Ordering::Relaxed);
    }

    /// The gateway is shutting down.
    pub(crate) fn drain(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    /// Follows these stores. Only the first call counts.
    pub(crate) fn follow_stores(&self, stores: Vec<(Region, watch::Receiver<State>)>) {
        // Set once, when the gateway starts.
        let _ = self.0.stores.set(stores);
    }

    /// Follows the keys with which callers are told apart. Only the first call counts.
    pub(crate) fn follow_keys(&self, identification: Identification) {
        // Set once, when the gateway starts.
        let _ = self.0.identification.set(identification);
    }

    /// Whether all that is required is ready.
    pub(crate) fn is_ready(&self) -> bool {
        let checks = self.checks();
        checks.iter().all(|check| check.ready || !check.required)
    }

    /// What each dependency says.
    pub(crate) fn checks(&self) -> Vec<Check> {
        let stores = self.0.stores.get().into_iter().flatten();
        let stores = stores.map(|(region, state)| store(region, *state.borrow()));
        [self.credentials(), self.draining()]
            .into_iter()
            .chain(self.keys())
            .chain(stores)
            .collect()
    }

    fn set(&self, credentials: Credentials) {
        let present = self.0.credentials.lock();
        *present.unwrap_or_else(PoisonError::into_inner) = credentials;
    }

    fn credentials(&self) -> Check {
        let present = self.0.credentials.lock();
        let present = present.unwrap_or_else(PoisonError::into_inner).clone();
        let (ready, reason) = match present {
            Credentials::Loading => (false, "being loaded".to_owned()),
            Credentials::Loaded => (true, "loaded".to_owned()),
            Credentials::Missing(reason) => (false, reason),
        };
        Check {
            name: "aws_credentials".to_owned(),
            ready,
            required: true,
            reason,
        }
    }

    /// Required for the start only: if an issuer is lost later, callers with other
    /// proofs are served still.
    fn keys(&self) -> Option<Check> {
        let ready = self.0.identification.get()?.has_keys()?;
        let reason = if ready {
            "the JWT issuer's keys were read"
        } else {
            "there are no keys of the JWT issuer: its tokens are refused until they are read; check auth.jwt.jwks, the log has the details"
        };
        Some(Check {
            name: "jwt_keys".to_owned(),
            ready,
            required: !self.0.served.load(Ordering::Relaxed),
            reason: reason.to_owned(),
        })
    }

    fn draining(&self) -> Check {
        let draining = self.0.draining.load(Ordering::Relaxed);
        let reason = if draining {
            "shutting down"
        } else {
            "not shutting down"
        };
        Check {
            name: "draining".to_owned(),
            ready: !draining,
            required: true,
            reason: reason.to_owned(),
        }
    }
}

/// Calls succeed without the store, so it is not required.
fn store(region: &Region, state: State) -> Check {
    let reason = match state {
        State::Shared => "the quota is shared with the other replicas",
        State::Alone => {
            "the store is out of reach: this replica goes on with its share of the quota"
        }
        State::Rejoining => "the store is back: this replica keeps to its share until all are told",
    };
    Check {
        name: format!("quota_store.{region}"),
        ready: state == State::Shared,
        required: false,
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_are_credentials_without_a_drain_whatever_the_store_says() {
        let readiness = Readiness::default();
        let (state, states) = watch::channel(State::Shared);
        readiness.follow_stores(vec![(Region::parse("us-east-1").unwrap(), states)]);
        assert!(!readiness.is_ready());
        readiness.credentials_missing("no role".to_owned());
        assert!(!readiness.is_ready());
        assert_eq!(readiness.checks()[0].reason, "no role");
        readiness.credentials_loaded();
        state.send_replace(State::Alone);
        assert!(readiness.is_ready());
        let store = &readiness.checks()[2];
        assert_eq!(store.name, "quota_store.us-east-1");
        assert!(!store.ready && store.reason.contains("out of reach"));
        readiness.drain();
        assert!(!readiness.is_ready());
    }
}
