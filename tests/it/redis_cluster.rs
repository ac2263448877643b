//! The nodes of a cluster serve as one Redis, and one that is lost takes with it
//! only what it held.

use std::num::NonZeroU32;
use std::time::Duration;

use face_liveness_gateway::config::CaBundle;
use face_liveness_gateway::quota::{Limits, Share};
use face_liveness_gateway::redis::{Connection, Records, Settings, State, Windows};
use face_liveness_gateway::region::{Region, WITH_FACE_LIVENESS};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::redis::{Load, SPAN, assert_within_quota};
use crate::redis_access::grants;
use crate::redis_server::{Identity, PATIENCE, Server, free_port, poll};

/// Far more than an answer takes on a busy machine, so that only a node that is
/// lost counts as lost.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

const SLOTS: usize = 16_384;
const NODES: usize = 3;

struct Cluster {
    nodes: Vec<Server>,
    identity: Option<Identity>,
}

impl Cluster {
    async fn start() -> Self {
        Self::with(None).await
    }

    async fn with(identity: Option<Identity>) -> Self {
        let mut nodes = Vec::new();
        let mut buses = Vec::new();
        for _ in 0..NODES {
            let bus = free_port().to_string();
            // Without a user who is held to what is granted, nobody would notice
            // what else is used.
            let user = format!("gateway on >hush {}", grants());
            let mut arguments = vec!["--cluster-enabled", "yes", "--cluster-port", &bus];
            arguments.extend(["--cluster-require-full-coverage", "no", "--user"]);
            arguments.extend(user.split(' '));
            nodes.push(match &identity {
                None => Server::start(&arguments).await,
                Some(identity) => {
                    arguments.extend(["--tls-cluster", "yes"]);
                    Server::encrypted(identity, &arguments).await
                }
            });
            buses.push(bus);
        }
        for (index, node) in nodes.iter().enumerate() {
            let (first, last) = (index * SLOTS / NODES, (index + 1) * SLOTS / NODES - 1);
            node.tell::<()>(&format!("CLUSTER ADDSLOTSRANGE {first} {last}"))
                .await;
            node.tell::<()>(&format!("CLUSTER SET-CONFIG-EPOCH {}", index + 1))
                .await;
        }
        for (node, bus) in nodes.iter().zip(&buses).skip(1) {
            let meet = format!("CLUSTER MEET 127.0.0.1 {} {bus}", node.port);
            nodes[0].tell::<()>(&meet).await;
        }
        let cluster = Self { nodes, identity };
        for node in &cluster.nodes {
            poll(async || {
                let info: String = node.tell("CLUSTER INFO").await;
                let whole = format!("cluster_slots_ok:{SLOTS}");
                info.contains("cluster_state:ok") && info.contains(&whole)
            })
            .await;
        }
        cluster
    }

    fn url(&self) -> String {
        let scheme = match &self.identity {
            None => "redis-cluster",
            Some(_) => "rediss-cluster",
        };
        let addresses: Vec<_> = self.nodes.iter().map(Server::address).collect();
        format!("{scheme}://gateway:hush@{}", addresses.join(","))
    }

    async fn connection(&self) -> Connection {
        let authorities: Option<CaBundle> = self.identity.as_ref().map(Identity::bundle);
        Connection::open(
            self.url().parse().unwrap(),
            authorities.as_ref(),
            ANSWER_WITHIN,
        )
        .await
        .unwrap()
    }

    /// The node that holds `key`.
    async fn holder(&self, key: &str) -> usize {
        let slot: usize = self.nodes[0].tell(&format!("CLUSTER KEYSLOT {key}")).await;
        (0..NODES)
            .find(|index| slot < (index + 1) * SLOTS / NODES)
            .unwrap()
    }

    /// Two regions that different nodes hold, the nodes with them.
    async fn two_regions(&self) -> [(Region, usize); 2] {
        let mut held = Vec::new();
        for name in WITH_FACE_LIVENESS {
            let node = self
                .holder(&format!("{{face-liveness:quota:{name}}}"))
                .await;
            held.push((Region::parse(name).unwrap(), node));
        }
        let first = held[0].clone();
        let other = held.into_iter().find(|(_, node)| *node != first.1);
        [first, other.unwrap()]
    }

    /// A digest that `node` holds the record of.
    async fn digest_of(&self, node: usize) -> [u8; 32] {
        for byte in 0..=u8::MAX {
            let digest = format!("{byte:02x}").repeat(32);
            if self.holder(&format!("face-liveness:ledger:{digest}")).await == node {
                return [byte; 32];
            }
        }
        panic!("no digest for node {node}");
    }
}

/// A gateway's view of a cluster.
struct Handle {
    lost: Windows,
    kept: Windows,
    records: Records,
}

impl Handle {
    async fn open(cluster: &Cluster, regions: &[(Region, usize); 2]) -> Self {
        let connection = cluster.connection().await;
        let windows = |(region, _): &(Region, usize)| {
            let settings = Settings {
                prefix: "face-liveness".to_owned(),
                limits: Limits {
                    creates_per_second: NonZeroU32::new(20),
                    sessions_in_flow: None,
                },
                share: Share::new(0.5),
            };
            Windows::new(connection.clone(), region.clone(), &settings)
        };
        Self {
            lost: windows(&regions[0]),
            kept: windows(&regions[1]),
            records: Records::new(connection, "face-liveness"),
        }
    }
}

async fn reaches(windows: &Windows, state: State) {
    let mut states = windows.states();
    let reached = states.wait_for(|now| *now == state);
    timeout(PATIENCE, reached).await.unwrap().unwrap();
}

/// Each of `both` takes a slot in `state`.
async fn both_take(both: [&Windows; 2], state: State) {
    for windows in both {
        let reserved = timeout(PATIENCE, windows.reserve()).await;
        assert_eq!(reserved.unwrap().state, state);
    }
}

fn known(windows: &Windows) -> usize {
    windows.outlook().windows.taken().count()
}

/// What each takes, the other knows of.
async fn assert_one_quota(both: [&Windows; 2]) {
    for windows in both {
        reaches(windows, State::Shared).await;
    }
    let before = known(both[0]);
    both_take(both, State::Shared).await;
    for windows in both {
        poll(async || known(windows) == before + 2).await;
    }
}

async fn assert_one_ledger(handles: &[Handle; 2], digest: &[u8; 32]) {
    let session = digest[0].to_string();
    handles[0]
        .records
        .put(digest, session.as_bytes(), SPAN * 60)
        .await;
    let read = handles[1].records.get(digest).await;
    assert_eq!(read.as_deref(), Some(session.as_bytes()));
}

/// Waits while it watches that `state` stays what it is.
async fn unchanged<T>(state: &watch::Receiver<State>, waiting: impl Future<Output = T>) -> T {
    let answer = waiting.await;
    assert!(!state.has_changed().unwrap(), "now {:?}", *state.borrow());
    answer
}

/// Two handles share all; then `lose` takes a node away, and `find` brings it back.
async fn one_node_comes_and_goes(lose: impl Fn(&mut Server), find: impl AsyncFn(&mut Server)) {
    let mut cluster = Cluster::start().await;
    let regions = cluster.two_regions().await;
    let [gone, left] = [regions[0].1, regions[1].1];
    let handles = [
        Handle::open(&cluster, &regions).await,
        Handle::open(&cluster, &regions).await,
    ];
    let [lost, kept] = [
        [&handles[0].lost, &handles[1].lost],
        [&handles[0].kept, &handles[1].kept],
    ];
    let [gone_digest, left_digest] = [cluster.digest_of(gone).await, cluster.digest_of(left).await];
    assert_one_quota(lost).await;
    assert_one_quota(kept).await;
    assert_one_ledger(&handles, &gone_digest).await;
    assert_one_ledger(&handles, &left_digest).await;

    let states = kept.map(|windows| {
        let mut states = windows.states();
        states.mark_unchanged();
        states
    });
    lose(&mut cluster.nodes[gone]);
    for (windows, state) in lost.into_iter().zip(&states) {
        unchanged(state, reaches(windows, State::Alone)).await;
    }
    both_take(lost, State::Alone).await;
    // A record on the lost node is out of reach, and no other with it for long.
    assert_eq!(handles[0].records.get(&gone_digest).await, None);
    poll(async || handles[0].records.get(&left_digest).await.is_some()).await;
    assert_one_quota(kept).await;

    find(&mut cluster.nodes[gone]).await;
    for (windows, state) in lost.into_iter().zip(&states) {
        unchanged(state, reaches(windows, State::Shared)).await;
    }
    assert_one_quota(lost).await;
    assert_one_quota(kept).await;
    assert_one_ledger(&handles, &left_digest).await;
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_cluster_serves_as_well() {
    let cluster = Cluster::start().await;
    let load = Load::start(&cluster.url(), "face-liveness").await;
    tokio::time::sleep(SPAN * 3).await;
    assert_within_quota(&load.stop().await);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_cluster_behind_tls_serves_as_well() {
    let cluster = Cluster::with(Some(Identity::new())).await;
    let regions = cluster.two_regions().await;
    let handles = [
        Handle::open(&cluster, &regions).await,
        Handle::open(&cluster, &regions).await,
    ];
    assert_one_quota([&handles[0].lost, &handles[1].lost]).await;
    assert_one_quota([&handles[0].kept, &handles[1].kept]).await;
    for node in 0..NODES {
        assert_one_ledger(&handles, &cluster.digest_of(node).await).await;
    }
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_node_that_dies_takes_only_its_regions_with_it() {
    one_node_comes_and_goes(Server::kill, Server::restart).await;
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_node_that_hangs_takes_only_its_regions_with_it() {
    one_node_comes_and_goes(
        |node| node.signal("-STOP"),
        async |node: &mut Server| node.signal("-CONT"),
    )
    .await;
}
