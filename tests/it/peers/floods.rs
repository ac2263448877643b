//! Peers that send much of what costs them little.

use super::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, HEADERS, PING, Peer,
    REFUSED_STREAM, RST_STREAM, SETTINGS, begin, call, finish, frame, header, remembered, reset,
};
use super::{Besieged, SOME};
use crate::raw::CREATE;

/// Far more than the gateway may put up with.
const FLOOD: usize = 100_000;

/// The odd numbers that a client gives its streams.
fn streams(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|index| 2 * index + 1)
}

/// Asserts that a peer that sends all this is told to be calm and hung up on.
async fn is_told_to_be_calm(gateway: &mut Besieged, said: &[u8]) {
    let before = gateway.closed("flood").await;
    let mut peer = Peer::connect(gateway.address).await;
    // The gateway may hang up before it has taken all.
    let _ = peer.send(said).await;
    // What it said may be lost when it does.
    let told = peer.until_closed().await;
    assert!(told.iter().all(|code| *code == ENHANCE_YOUR_CALM));
    gateway.until_closed("flood", before + 1).await;
    gateway.until_alone().await;
    gateway.stands().await;
}

#[tokio::test]
async fn rapid_resets_end_the_connection() {
    let mut gateway = Besieged::start("").await;
    let said: Vec<u8> = streams(10_000)
        .flat_map(|stream| [begin(stream), reset(stream)].concat())
        .collect();
    is_told_to_be_calm(&mut gateway, &said).await;
}

#[tokio::test]
async fn resets_at_a_pace_that_is_allowed_leave_nothing_behind() {
    let mut gateway = Besieged::start("").await;
    let mut peer = Peer::connect(gateway.address).await;
    for stream in streams(2000) {
        let ping = frame(PING, 0, 0, &[0; 8]);
        peer.send(&[begin(stream), ping].concat()).await.unwrap();
        // The call has begun when the gateway answers what came behind it.
        while peer.next().await.unwrap().kind != PING {}
        peer.send(&reset(stream)).await.unwrap();
    }
    // That is the other caller's.
    gateway
        .until_at_most("face_liveness_calls_in_flight", 1)
        .await;
    gateway.caller.is_served(SOME).await;
    drop(peer);
    gateway.until_alone().await;
    assert_eq!(gateway.closed("flood").await, 0);
    gateway.stands().await;
}

#[tokio::test]
async fn a_flood_of_continuations_ends_the_connection() {
    let mut gateway = Besieged::start("").await;
    let mut said = frame(HEADERS, 0, 1, &call(CREATE));
    let name = "a".repeat(100);
    for piece in [
        Vec::new(),
        header(&name, ""),
        header("x", &"x".repeat(8000)),
    ] {
        let flood = frame(CONTINUATION, 0, 1, &piece).repeat(1000);
        said.extend(&flood);
        is_told_to_be_calm(&mut gateway, &said).await;
        said.truncate(said.len() - flood.len());
    }
}

#[tokio::test]
async fn headers_beyond_the_bound_are_refused_and_far_beyond_it_end_the_connection() {
    let mut gateway = Besieged::start("").await;
    let large = header("x", &"x".repeat(15_000));
    let mut peer = Peer::connect(gateway.address).await;
    let block = [call(CREATE), large.clone()].concat();
    let first = frame(HEADERS, END_STREAM, 1, &block);
    let rest = frame(CONTINUATION, END_HEADERS, 1, &large);
    peer.send(&[first, rest].concat()).await.unwrap();
    let answer = peer.until(HEADERS).await;
    assert_eq!((answer.stream, answer.flags & END_STREAM), (1, END_STREAM));
    // The connection goes on.
    peer.send(&[begin(3), finish(3)].concat()).await.unwrap();
    assert_eq!(peer.until(DATA).await.stream, 3);
    drop(peer);

    // Little to send, much to keep: one header that is remembered, again and again.
    let bomb = [
        call(CREATE),
        remembered("x", &"x".repeat(3900)),
        vec![0x80 | 62; 10_000],
    ];
    let said = frame(HEADERS, END_HEADERS | END_STREAM, 1, &bomb.concat());
    is_told_to_be_calm(&mut gateway, &said).await;
}

#[tokio::test]
async fn floods_of_settings_and_pings_are_answered_and_others_are_served() {
    let mut gateway = Besieged::start("").await;
    for piece in [frame(SETTINGS, 0, 0, &[]), frame(PING, 0, 0, &[7; 8])] {
        let floods: Vec<_> = (0..4)
            .map(|_| {
                let address = gateway.address;
                let piece = piece.clone();
                tokio::spawn(async move {
                    let peer = Peer::connect(address).await;
                    peer.flood(&piece, FLOOD).await
                })
            })
            .collect();
        gateway.caller.is_served(SOME).await;
        for flood in floods {
            assert_eq!(flood.await.unwrap(), FLOOD);
        }
        gateway.until_alone().await;
        gateway.stands().await;
    }
}

#[tokio::test]
async fn a_flood_of_answers_to_no_ping_does_not_fill_the_log() {
    let mut gateway = Besieged::start("").await;
    let before = gateway.told("");
    let peer = Peer::connect(gateway.address).await;
    peer.flood(&frame(PING, ACK, 0, &[7; 8]), FLOOD).await;
    gateway.until_alone().await;
    gateway.stands().await;
    let told = gateway.told("") - before;
    assert!(told < 1000, "{told} lines for {FLOOD} frames");
}

#[tokio::test]
async fn streams_beyond_those_that_may_be_open_are_refused_and_many_of_them_end_the_connection() {
    let mut gateway = Besieged::start("").await;
    let mut peer = Peer::connect(gateway.address).await;
    for stream in streams(300) {
        peer.send(&begin(stream)).await.unwrap();
    }
    for _ in 200..300 {
        assert_eq!(peer.until(RST_STREAM).await.code(), REFUSED_STREAM);
    }
    // Those that are open are its own to finish.
    peer.send(&finish(1)).await.unwrap();
    assert_eq!(peer.until(DATA).await.stream, 1);
    drop(peer);
    gateway.until_alone().await;

    let said: Vec<u8> = streams(5000).flat_map(begin).collect();
    is_told_to_be_calm(&mut gateway, &said).await;
}

#[tokio::test]
async fn a_flood_of_empty_pieces_of_a_message_ends_the_connection() {
    let mut gateway = Besieged::start("").await;
    let mut peer = Peer::connect(gateway.address).await;
    peer.send(&begin(1)).await.unwrap();
    // More than all buffers on the way hold.
    let most = 100 * FLOOD;
    let sent = peer.flood(&frame(DATA, 0, 1, &[]), most).await;
    gateway.until_closed("flood", 1).await;
    assert!(sent < most, "{sent}");
    gateway.until_alone().await;
    gateway.stands().await;
}
