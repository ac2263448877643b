//! Connections end in good order when they are old.

use tokio::time::timeout;

use super::frames::{DATA, END_HEADERS, GOAWAY, HEADERS, PING, Peer, begin, call, finish, frame};
use super::{Besieged, PATIENCE};
use crate::http::get;
use crate::support::{ONE_REGION, Running, emulator};

/// The highest number of a stream: GOAWAY with it refuses none yet.
const ANY: u32 = (1 << 31) - 1;

#[tokio::test]
async fn an_old_connection_is_told_to_end_and_its_calls_are_finished() {
    let mut gateway = Besieged::start("max_connection_age = '300ms'").await;
    let mut peer = Peer::connect(gateway.address).await;
    peer.send(&begin(1)).await.unwrap();
    assert_eq!(peer.until(GOAWAY).await.goaway(), (ANY, 0));
    let ping = peer.until(PING).await;
    // A call that crosses it on the way is served as well.
    peer.send(&begin(3)).await.unwrap();
    peer.answer(&ping).await;
    assert_eq!(peer.until(GOAWAY).await.goaway(), (3, 0));
    for stream in [1, 3] {
        peer.send(&finish(stream)).await.unwrap();
        assert_eq!(peer.until(DATA).await.stream, stream);
    }
    assert!(peer.until_closed().await.is_empty());
    gateway.stands().await;
}

#[tokio::test]
async fn no_call_fails_while_connections_grow_old() {
    let mut gateway = Besieged::start("max_connection_age = '300ms'").await;
    gateway.until_closed("age", 10).await;
    gateway.stands().await;
}

#[tokio::test]
async fn who_does_not_end_an_old_connection_is_cut() {
    let toml = "max_connection_age = '300ms'\nmax_connection_age_grace = '300ms'";
    let gateway = Running::configured(&emulator().await, &format!("{ONE_REGION}{toml}")).await;
    let mut peer = Peer::connect(gateway.address).await;
    let watch = call("/grpc.health.v1.Health/Watch");
    let watch = [frame(HEADERS, END_HEADERS, 1, &watch), finish(1)].concat();
    peer.send(&watch).await.unwrap();
    peer.until(GOAWAY).await;
    // It neither says that it has heard nor ends its stream.
    peer.until_closed().await;
    let cut = "face_liveness_connections_closed_total{reason=\"lingering\"} 1";
    let counted = async { while !get(gateway.admin, "/metrics").await.body.contains(cut) {} };
    timeout(PATIENCE, counted).await.unwrap();
}
