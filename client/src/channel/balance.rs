//! Which address a call goes to.
//!
//! HTTP/2 keeps to one connection, so that a plain channel sticks to the replica
//! that it met first. Here every address has a connection, calls take turns over
//! them, and an address that does not answer is passed over in the same call:
//! nothing was sent, so that it costs no attempt. Names are resolved again at
//! intervals and after failures. tower's `Balance` would choose by load, by which
//! an address that refuses at once looks the best.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, Response};
use tokio::time::Instant;
use tonic::body::Body;

use super::connection::{Dialer, Member, Outcome};
use super::failure::Failure;
use super::resolve::Resolve;
use super::target::Target;

/// How long the addresses of a name hold: the time to live of Kubernetes' own
/// records, and gRPC's shortest interval between two look-ups.
pub const DEFAULT_RESOLVE_INTERVAL: Duration = Duration::from_secs(30);

/// Failures do not make the client ask more often than this.
const MIN_RESOLVE_INTERVAL: Duration = Duration::from_secs(1);

/// The system's resolver gives a server 5 s before it asks the next.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);

/// More replicas than anyone runs; a resolver's mistake must not open more.
const MAX_ADDRESSES: usize = 128;

/// How many addresses one attempt tries before it counts as failed.
const MAX_TRIES: usize = 8;

/// What the addresses are found with.
pub(crate) struct Discovery {
    pub(crate) targets: Vec<Arc<Target>>,
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) interval: Duration,
}

/// The addresses and their connections.
#[derive(Clone)]
pub(crate) struct Balancer(Arc<Shared>);

struct Shared {
    discovery: Discovery,
    dialer: Arc<Dialer>,
    members: Mutex<Members>,
    /// Held by whoever resolves.
    resolving: tokio::sync::Mutex<()>,
    turn: AtomicUsize,
}

#[derive(Clone, Default)]
struct Members {
    list: Arc<[Arc<Member>]>,
    resolved: Option<Instant>,
}

/// Whether the addresses hold.
#[derive(Eq, PartialEq)]
enum Age {
    Fresh,
    /// They will do for this call; look for the next.
    Stale,
    /// So old that they may be someone else's by now.
    Expired,
}

impl Balancer {
    pub(crate) fn new(discovery: Discovery, dialer: Dialer) -> Self {
        Self(Arc::new(Shared {
            discovery,
            dialer: Arc::new(dialer),
            members: Mutex::default(),
            resolving: tokio::sync::Mutex::default(),
            turn: AtomicUsize::new(fastrand::usize(..MAX_ADDRESSES)),
        }))
    }

    /// Sends a request to the address whose turn it is, or the next that can be
    /// reached.
    pub(super) async fn send(&self, mut request: Request<Body>) -> Result<Response<Body>, Failure> {
        // What is returned when there is nobody to try.
        let mut failure = no_address("the endpoint");
        for member in self.candidates().await? {
            match member.send(&self.0.dialer, request).await {
                Outcome::Sent(result) => return result,
                Outcome::Unsent(unsent, reason) => {
                    request = unsent;
                    failure = reason;
                }
            }
        }
        self.look_again(MIN_RESOLVE_INTERVAL);
        Err(failure)
    }

    /// Whom to try, in this order.
    async fn candidates(&self) -> Result<Vec<Arc<Member>>, Failure> {
        match self.0.age() {
            Age::Fresh => {}
            Age::Stale => self.look_again(self.0.discovery.interval),
            Age::Expired => self.0.resolve(self.0.discovery.interval).await?,
        }
        let members = crate::lock(&self.0.members).list.clone();
        let turn = self.0.turn.fetch_add(1, Ordering::Relaxed);
        let mut order = in_order(&members, turn);
        order.truncate(MAX_TRIES);
        Ok(order)
    }

    /// Resolves in the background, unless that was done within `interval`.
    fn look_again(&self, interval: Duration) {
        if self.0.is_younger_than(interval) {
            return;
        }
        let shared = Arc::clone(&self.0);
        tokio::spawn(async move {
            if let Err(error) = shared.resolve(interval).await {
                tracing::debug!(%error, "the gateway's addresses stay as they were");
            }
        });
    }
}

/// The good ones by turns, then the others, the one that failed first leading.
fn in_order(members: &[Arc<Member>], turn: usize) -> Vec<Arc<Member>> {
    let now = Instant::now();
    let (mut good, mut ejected) = (Vec::with_capacity(members.len()), Vec::new());
    for member in members {
        match member.ejected_until(now) {
            None => good.push(Arc::clone(member)),
            Some(end) => ejected.push((end, Arc::clone(member))),
        }
    }
    if !good.is_empty() {
        let start = turn % good.len();
        good.rotate_left(start);
    }
    ejected.sort_by_key(|(end, _)| *end);
    good.extend(ejected.into_iter().map(|(_, member)| member));
    good
}

impl Shared {
    fn age(&self) -> Age {
        let members = crate::lock(&self.members);
        let interval = self.discovery.interval;
        match members.resolved.map(|resolved| resolved.elapsed()) {
            Some(age) if age < interval => Age::Fresh,
            Some(age) if age < interval.saturating_mul(2) => Age::Stale,
            _ => Age::Expired,
        }
    }

    fn is_younger_than(&self, interval: Duration) -> bool {
        let members = crate::lock(&self.members);
        members
            .resolved
            .is_some_and(|resolved| resolved.elapsed() < interval)
    }

    /// Resolves every name, unless someone else has just done it.
    async fn resolve(&self, interval: Duration) -> Result<(), Failure> {
        let _resolving = self.resolving.lock().await;
        if self.is_younger_than(interval) {
            return Ok(());
        }
        let known = crate::lock(&self.members).list.clone();
        let (mut list, mut failure) = (Vec::new(), None);
        for target in &self.discovery.targets {
            let of_target = |member: &&Arc<Member>| Arc::ptr_eq(&member.target, target);
            let kept: Vec<_> = known.iter().filter(of_target).cloned().collect();
            match self.addresses(target).await {
                Ok(addresses) => list.extend(members(target, &addresses, &kept)),
                Err(error) => {
                    list.extend(kept);
                    failure = Some(error);
                }
            }
        }
        list.truncate(MAX_ADDRESSES);
        if let (Some(failure), true) = (failure, list.is_empty()) {
            return Err(failure);
        }
        *crate::lock(&self.members) = Members {
            list: list.into(),
            resolved: Some(Instant::now()),
        };
        Ok(())
    }

    /// The target's addresses, each once.
    async fn addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, Failure> {
        if let Some(ip) = target.ip() {
            return Ok(vec![(ip, target.port).into()]);
        }
        let look_up = self.discovery.resolver.resolve(&target.host, target.port);
        let result = tokio::time::timeout(RESOLVE_TIMEOUT, look_up)
            .await
            .unwrap_or_else(|elapsed| Err(elapsed.into()));
        let mut addresses = result.map_err(|error| Failure::Resolve {
            host: target.host.clone(),
            error: Arc::new(error),
        })?;
        addresses.sort_unstable();
        addresses.dedup();
        addresses.truncate(MAX_ADDRESSES);
        if addresses.is_empty() {
            return Err(no_address(&target.host));
        }
        Ok(addresses)
    }
}

/// A member for each address, the one that is there already if there is one.
fn members(
    target: &Arc<Target>,
    addresses: &[SocketAddr],
    kept: &[Arc<Member>],
) -> Vec<Arc<Member>> {
    let member = |address: &SocketAddr| {
        kept.iter()
            .find(|member| member.address == *address)
            .cloned()
            .unwrap_or_else(|| Arc::new(Member::new(Arc::clone(target), *address)))
    };
    addresses.iter().map(member).collect()
}

fn no_address(host: &str) -> Failure {
    Failure::Resolve {
        host: host.to_owned(),
        error: Arc::new(std::io::Error::new(
            std::io::ErrorKind::NotFound,
            "the name has no address",
        )),
    }
}
