//! Peers that do not read what they are answered.

use super::Besieged;
use super::frames::{
    CANCEL, HEADERS, INITIAL_WINDOW, PING, Peer, RST_STREAM, begin, finish, frame, setting,
};

/// As many as may be open on a connection.
const CALLS: u32 = 200;

#[tokio::test]
async fn an_answer_that_the_peer_leaves_no_room_for_is_dropped_in_time() {
    let mut gateway = Besieged::start("keepalive_timeout = '1s'").await;
    let closed_window = setting(INITIAL_WINDOW, 0);
    let mut peers = Vec::new();
    for _ in 0..10 {
        let mut peer = Peer::with_settings(gateway.address, &closed_window).await;
        for index in 0..CALLS {
            let stream = 2 * index + 1;
            let call = [begin(stream), finish(stream)].concat();
            peer.send(&call).await.unwrap();
        }
        // One peer's calls after another's: AWS's stand-in takes no thousand connections
        // at once.
        let (mut answered, mut dropped) = (0, 0);
        while answered < CALLS {
            let next = peer.next().await.unwrap();
            answered += u32::from(next.kind == HEADERS);
            dropped += u32::from(next.kind == RST_STREAM && next.code() == CANCEL);
        }
        peers.push((peer, dropped));
    }
    for (peer, dropped) in &mut peers {
        for _ in *dropped..CALLS {
            assert_eq!(peer.until(RST_STREAM).await.code(), CANCEL);
        }
    }
    gateway.stands().await;
    // A stalled stream ends alone: its connection goes on.
    let (mut peer, _) = peers.pop().unwrap();
    peer.send(&frame(PING, 0, 0, &[1; 8])).await.unwrap();
    while peer.next().await.unwrap().kind != PING {}
    drop((peer, peers));
    gateway.until_alone().await;
}

#[tokio::test]
async fn who_does_not_read_at_all_is_cut() {
    let mut gateway = Besieged::start("keepalive_timeout = '2s'").await;
    let mut peers = Vec::new();
    for _ in 0..4 {
        let mut peer = Peer::deaf(gateway.address).await;
        // Its answers fill what the systems keep for it, then the gateway waits,
        // then this peer, and then it is cut.
        peers.push(tokio::spawn(async move {
            let pings = frame(PING, 0, 0, &[7; 8]).repeat(1000);
            while peer.send(&pings).await.is_ok() {}
        }));
    }
    gateway.until_closed("unresponsive", 4).await;
    for peer in peers {
        peer.await.unwrap();
    }
    gateway.until_alone().await;
    gateway.stands().await;
}
