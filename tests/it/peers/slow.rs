//! Peers that begin and do not go on.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::frames::{
    CONTINUATION, DATA, END_STREAM, HEADERS, PREFACE, Peer, SETTINGS, begin, call, frame,
};
use super::{Besieged, Caller, PATIENCE, SOME, UNLIMITED};
use crate::certificates::{Authority, Secret, channel, client};
use crate::raw::CREATE;

/// How many there are at once.
const MANY: i64 = 100;

/// Says each of these over many connections, and waits until the gateway has hung
/// up on all.
async fn are_hung_up_on(address: SocketAddr, said: &[&[u8]]) {
    let mut peers = Vec::new();
    for said in said {
        for _ in 0..MANY {
            let mut peer = TcpStream::connect(address).await.unwrap();
            peer.write_all(said).await.unwrap();
            peers.push(peer);
        }
    }
    for mut peer in peers {
        let mut answer = Vec::new();
        let end = peer.read_to_end(&mut answer);
        // Ends, whether the gateway closes or resets.
        let _ = timeout(PATIENCE, end).await.unwrap();
    }
}

#[tokio::test]
async fn who_sends_no_preface_or_half_of_it_is_hung_up_on() {
    let mut gateway = Besieged::start("handshake_timeout = '1s'").await;
    are_hung_up_on(gateway.address, &[b"", &PREFACE[..10]]).await;
    gateway.until_alone().await;
    assert_eq!(gateway.refused("greeting").await, 2 * MANY);
    gateway.stands().await;
}

#[tokio::test]
async fn who_does_not_go_on_with_the_tls_handshake_is_hung_up_on() {
    let authority = Authority::new();
    let secret = Secret::new(&authority.server(), "");
    // Far fewer places than there are slow ones.
    let tls = secret.toml("max_handshakes = 8");
    let toml = format!("{UNLIMITED}\n{tls}\n[server]\nhandshake_timeout = '3s'\n");
    let tls = client(&authority, None);
    let trusting = move |address| channel(address, tls);
    let mut gateway = Besieged::configured(&toml, trusting.clone()).await;
    // A TLS record that says it is longer than what comes.
    let hello = [&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01], [0; 50].as_slice()].concat();
    are_hung_up_on(gateway.address, &[b"", &hello]).await;
    gateway.until_alone().await;
    assert_eq!(gateway.refused("tls").await, 2 * MANY);
    // The places are free again.
    let address = gateway.address;
    let mut late = Caller::start(&gateway.aside.handle(), move || trusting(address));
    late.is_served(SOME).await;
    gateway.stands().await;
}

#[tokio::test]
async fn who_does_not_go_on_with_its_headers_is_hung_up_on() {
    let toml = "keepalive_interval = '500ms'\nkeepalive_timeout = '4s'";
    let mut gateway = Besieged::start(toml).await;
    let begun = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    let headers = frame(HEADERS, 0, 1, &call(CREATE));
    let half_a_frame = [begun.as_slice(), &headers[..30]].concat();
    let more = frame(CONTINUATION, 0, 1, &[]);
    let half_a_block = [begun.as_slice(), &headers, &more].concat();
    are_hung_up_on(gateway.address, &[&half_a_frame, &half_a_block]).await;
    gateway.until_alone().await;
    assert_eq!(gateway.closed("unresponsive").await, 2 * MANY);
    gateway.stands().await;
}

#[tokio::test]
async fn a_call_whose_message_does_not_go_on_arriving_is_refused() {
    let mut gateway = Besieged::start("").await;
    let mut peer = Peer::connect(gateway.address).await;
    for stream in (1..200).step_by(2) {
        peer.send(&begin(stream)).await.unwrap();
        peer.send(&frame(DATA, 0, stream, &[0])).await.unwrap();
    }
    for _ in (1..200).step_by(2) {
        let answer = peer.until(HEADERS).await;
        assert_eq!(answer.flags & END_STREAM, END_STREAM);
    }
    drop(peer);
    gateway.until_alone().await;
    gateway.stands().await;
}
