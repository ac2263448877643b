//! Connections are bounded, all together and for each address.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::frames::{
    END_HEADERS, END_STREAM, HEADERS, PREFACE, Peer, SETTINGS, call, finish, frame,
};
use super::{Besieged, PATIENCE, SOME};

#[tokio::test]
async fn connections_beyond_those_of_one_address_are_closed_at_once() {
    let mut gateway = Besieged::start("max_connections_per_peer = 4").await;
    // The other caller has the fourth.
    let mut peers = Vec::new();
    for _ in 0..3 {
        let mut peer = Peer::connect(gateway.address).await;
        peer.until(SETTINGS).await;
        peers.push(peer);
    }
    for _ in 0..100 {
        let mut more = TcpStream::connect(gateway.address).await.unwrap();
        let closed = more.read_u8();
        timeout(PATIENCE, closed).await.unwrap().unwrap_err();
    }
    assert_eq!(gateway.refused("peer_limit").await, 100);
    assert_eq!(gateway.told("a peer has as many connections"), 1);
    gateway.caller.is_served(SOME).await;
    // One that ends makes room for another.
    peers.pop();
    let admitted = async {
        loop {
            let mut stream = TcpStream::connect(gateway.address).await.unwrap();
            let begun = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
            if stream.write_all(&begun).await.is_ok() && stream.read_u8().await.is_ok() {
                return;
            }
        }
    };
    timeout(PATIENCE, admitted).await.unwrap();
    gateway.stands().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_bound_of_one_address_leaves_room_for_another() {
    use std::net::{Ipv4Addr, SocketAddr};
    use tokio::net::TcpSocket;

    let gateway = Besieged::start("max_connections_per_peer = 1").await;
    // The other caller has that of 127.0.0.1.
    let mut refused = TcpStream::connect(gateway.address).await.unwrap();
    timeout(PATIENCE, refused.read_u8())
        .await
        .unwrap()
        .unwrap_err();
    let other = TcpSocket::new_v4().unwrap();
    let address = Ipv4Addr::new(127, 0, 0, 2);
    other.bind(SocketAddr::from((address, 0))).unwrap();
    let mut admitted = other.connect(gateway.address).await.unwrap();
    admitted.write_all(PREFACE).await.unwrap();
    timeout(PATIENCE, admitted.read_u8())
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn connections_beyond_all_wait_for_their_turn_and_it_is_told_once() {
    let mut gateway = Besieged::start("max_connections = 3").await;
    // The other caller has the third.
    let (mut first, second) = (
        Peer::connect(gateway.address).await,
        Peer::connect(gateway.address).await,
    );
    first.until(SETTINGS).await;
    let mut waiting = Vec::new();
    for _ in 0..20 {
        waiting.push(Peer::connect(gateway.address).await);
    }
    gateway.stands().await;
    assert_eq!(gateway.figure("face_liveness_connections_open").await, 3);
    drop((first, second));
    // Each is served when the one before it ends.
    for mut next in waiting {
        next.until(SETTINGS).await;
    }
    gateway.until_alone().await;
    assert_eq!(gateway.told("as many connections are open as may be"), 1);
    gateway.stands().await;
}

#[tokio::test]
async fn watches_of_one_address_are_bounded_over_all_its_connections() {
    const BOUND: usize = 1024;
    const A_CONNECTION: u32 = 150;
    let mut gateway = Besieged::start("").await;
    let watch = call("/grpc.health.v1.Health/Watch");
    let (mut peers, mut watched) = (Vec::new(), 0);
    for _ in 0..10 {
        let mut peer = Peer::connect(gateway.address).await;
        for index in 0..A_CONNECTION {
            let stream = 2 * index + 1;
            let headers = frame(HEADERS, END_HEADERS, stream, &watch);
            peer.send(&[headers, finish(stream)].concat())
                .await
                .unwrap();
        }
        for _ in 0..A_CONNECTION {
            let answer = peer.until(HEADERS).await;
            watched += usize::from(answer.flags & END_STREAM == 0);
        }
        peers.push(peer);
    }
    assert_eq!(watched, BOUND);
    gateway.stands().await;
    drop(peers);
    gateway.until_alone().await;
    let mut peer = Peer::connect(gateway.address).await;
    let headers = frame(HEADERS, END_HEADERS, 1, &watch);
    peer.send(&[headers, finish(1)].concat()).await.unwrap();
    assert_eq!(peer.until(HEADERS).await.flags & END_STREAM, 0);
}
