//! Connections that nobody uses, or whose peer has gone without a word.

use super::Besieged;
use super::frames::{DATA, GOAWAY, PING, Peer, begin, finish};

#[tokio::test]
async fn thousands_of_idle_connections_cost_little_and_are_told_to_end() {
    const MANY: usize = 2000;
    // Each is a file of this process as well.
    rlimit::increase_nofile_limit(8192).unwrap();
    let toml = "max_connection_idle = '2s'\nmax_connection_age_grace = '5m'";
    let mut gateway = Besieged::start(toml).await;
    let mut peers = Vec::new();
    for _ in 0..MANY {
        peers.push(Peer::connect(gateway.address).await);
    }
    gateway.stands().await;
    for peer in &mut peers {
        assert_eq!(peer.until(GOAWAY).await.goaway().1, 0);
        let ping = peer.until(PING).await;
        peer.answer(&ping).await;
    }
    // Who says that it has heard is hung up on at once.
    for mut peer in peers {
        peer.until_closed().await;
    }
    gateway.until_closed("idle", MANY as i64).await;
    gateway.until_alone().await;
    gateway.stands().await;
}

#[tokio::test]
async fn a_connection_with_a_call_is_not_idle() {
    let mut gateway = Besieged::start("max_connection_idle = '500ms'").await;
    let mut peer = Peer::connect(gateway.address).await;
    let mut idle = Peer::connect(gateway.address).await;
    peer.send(&begin(1)).await.unwrap();
    // By then it would have been told, too.
    idle.until(GOAWAY).await;
    peer.send(&finish(1)).await.unwrap();
    loop {
        let next = peer.next().await.unwrap();
        assert_ne!(next.kind, GOAWAY);
        if next.kind == DATA {
            break;
        }
    }
    gateway.stands().await;
}

#[tokio::test]
async fn a_peer_that_vanished_is_found_out_and_its_call_dropped() {
    let toml = "keepalive_interval = '500ms'\nkeepalive_timeout = '4s'";
    let mut gateway = Besieged::start(toml).await;
    // Neither reads nor closes: nothing of the network tells that it has gone.
    let mut peers = Vec::new();
    for _ in 0..10 {
        let mut peer = Peer::connect(gateway.address).await;
        peer.send(&begin(1)).await.unwrap();
        peers.push(peer);
    }
    gateway.until_closed("unresponsive", 10).await;
    gateway.until_alone().await;
    gateway.stands().await;
}
