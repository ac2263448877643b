//! Clients that hang up, in every phase of a connection and of a call.

use std::net::SocketAddr;
use std::time::Duration;

use rekognition_emulator::{Fault, Latency};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::frames::{
    DATA, HEADERS, INITIAL_WINDOW, PREFACE, Peer, SETTINGS, begin, call, finish, frame, setting,
};
use super::{Besieged, PATIENCE, UNLIMITED, plaintext};
use crate::certificates::{Authority, Secret, channel, client};
use crate::raw::CREATE;

/// How many do so.
const MANY: usize = 50;

/// Says `said` and hangs up, half of the time without a farewell.
async fn hang_up_after(address: SocketAddr, said: &[u8]) {
    for index in 0..MANY {
        let mut peer = TcpStream::connect(address).await.unwrap();
        peer.write_all(said).await.unwrap();
        if index % 2 == 0 {
            peer.set_zero_linger().unwrap();
        }
    }
}

#[tokio::test]
async fn before_and_within_the_preface_the_headers_and_the_message() {
    let mut gateway = Besieged::start("").await;
    let begun = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    let headers = begin(1);
    let half_a_message = frame(DATA, 0, 1, &[0, 0]);
    let half_a_block = frame(HEADERS, 0, 1, &call(CREATE));
    for said in [
        Vec::new(),
        PREFACE[..10].to_vec(),
        begun.clone(),
        [begun.as_slice(), &headers[..20]].concat(),
        [begun.as_slice(), &half_a_block].concat(),
        [begun.as_slice(), &headers].concat(),
        [begun.as_slice(), &headers, &half_a_message].concat(),
        [begun.as_slice(), &headers, &finish(1)].concat(),
    ] {
        hang_up_after(gateway.address, &said).await;
        gateway.until_alone().await;
    }
    gateway.stands().await;
}

#[tokio::test]
async fn within_the_tls_handshake() {
    let authority = Authority::new();
    let secret = Secret::new(&authority.server(), "");
    let tls = secret.toml("max_handshakes = 4");
    let toml = format!("{UNLIMITED}\n{tls}");
    let tls = client(&authority, None);
    let trusting = move |address| channel(address, tls);
    let mut gateway = Besieged::configured(&toml, trusting).await;
    let hello = [&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01], [0; 50].as_slice()].concat();
    hang_up_after(gateway.address, b"").await;
    hang_up_after(gateway.address, &hello).await;
    gateway.until_alone().await;
    gateway.stands().await;
}

#[tokio::test]
async fn while_the_call_waits_for_the_quota() {
    let toml = "quota = { creates_per_second = 60, concurrent_sessions = 'off' }";
    let mut gateway = Besieged::configured(toml, plaintext).await;
    let mut peers = Vec::new();
    for _ in 0..MANY {
        let mut peer = Peer::connect(gateway.address).await;
        for stream in [1, 3, 5, 7] {
            let call = [begin(stream), finish(stream)].concat();
            peer.send(&call).await.unwrap();
        }
        peers.push(peer);
    }
    let queue = "face_liveness_quota_queue_depth";
    let queued = async { while gateway.figure(queue).await < 20 {} };
    timeout(PATIENCE, queued).await.unwrap();
    drop(peers);
    gateway.until_alone().await;
    let abandoned = "face_liveness_quota_wait_duration_seconds_count";
    assert!(gateway.labelled(abandoned, "abandoned").await > 0);
    gateway.stands().await;
}

#[tokio::test]
async fn while_aws_is_asked() {
    let mut gateway = Besieged::start("").await;
    // The other caller waits as well, less long than the gateway does.
    let slow = Fault::latency(Latency::fixed(Duration::from_secs(3)));
    gateway.emulator.set_faults([slow]);
    let mut peers = Vec::new();
    for _ in 0..2 * MANY {
        let mut peer = Peer::connect(gateway.address).await;
        let call = [begin(1), finish(1)].concat();
        peer.send(&call).await.unwrap();
        peers.push(peer);
    }
    let held = "face_liveness_calls_in_flight";
    let asked = async { while gateway.figure(held).await < 10 {} };
    timeout(PATIENCE, asked).await.unwrap();
    drop(peers);
    gateway.emulator.set_faults([]);
    gateway.until_alone().await;
    gateway.stands().await;
}

#[tokio::test]
async fn while_the_answer_is_under_way() {
    let mut gateway = Besieged::start("").await;
    for _ in 0..MANY {
        // The headers of the answer have room, its message has not.
        let settings = setting(INITIAL_WINDOW, 0);
        let mut peer = Peer::with_settings(gateway.address, &settings).await;
        let call = [begin(1), finish(1)].concat();
        peer.send(&call).await.unwrap();
        peer.until(HEADERS).await;
    }
    gateway.until_alone().await;
    gateway.stands().await;
}
