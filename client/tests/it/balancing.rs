//! Calls take turns over all addresses, and pass over those that are down.

use std::net::SocketAddr;

use face_liveness_client::ErrorKind;
use face_liveness_client::testing::{Answer, FakeGateway};
use tokio::net::TcpListener;
use tonic::Code;

use crate::support::{create, quick};

/// An address where nobody listens.
async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

#[tokio::test]
async fn calls_are_spread_evenly_over_the_endpoints() {
    let (one, two) = (
        FakeGateway::start().await.unwrap(),
        FakeGateway::start().await.unwrap(),
    );
    let builder = quick().endpoint(one.endpoint()).endpoint(two.endpoint());
    let client = builder.build().unwrap();
    for _ in 0..10 {
        create(&client).await.unwrap();
    }
    assert_eq!((one.requests().len(), two.requests().len()), (5, 5));
    assert_eq!((one.connections(), two.connections()), (1, 1));
}

#[tokio::test]
async fn calls_are_spread_evenly_over_the_addresses_of_a_name() {
    let (one, two) = (
        FakeGateway::start().await.unwrap(),
        FakeGateway::start().await.unwrap(),
    );
    let addresses = vec![one.address(), two.address(), one.address()];
    let client = quick()
        .endpoint("http://gateway:50051")
        .resolver(move |_: &str, _| Ok(addresses.clone()))
        .build()
        .unwrap();
    for _ in 0..6 {
        create(&client).await.unwrap();
    }
    assert_eq!((one.requests().len(), two.requests().len()), (3, 3));
}

#[tokio::test]
async fn an_address_that_is_down_costs_no_attempt() {
    let gateway = FakeGateway::start().await.unwrap();
    let addresses = vec![nobody().await, nobody().await, gateway.address()];
    let client = quick()
        .endpoint("http://gateway:50051")
        .resolver(move |_: &str, _| Ok(addresses.clone()))
        .max_attempts(1)
        .build()
        .unwrap();
    for _ in 0..6 {
        create(&client).await.unwrap();
    }
    assert_eq!(gateway.requests().len(), 6);
}

#[tokio::test]
async fn callers_at_once_share_a_connection() {
    let gateway = FakeGateway::start().await.unwrap();
    let client = quick().endpoint(gateway.endpoint()).build().unwrap();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let client = client.clone();
        calls.spawn(async move { create(&client).await.unwrap() });
    }
    calls.join_all().await;
    assert_eq!(gateway.connections(), 1);
    assert_eq!(gateway.requests().len(), 20);
}

#[test]
fn a_client_can_be_built_without_a_runtime() {
    quick().endpoint("http://127.0.0.1:1").build().unwrap();
}

#[tokio::test]
async fn a_client_of_a_gateway_that_is_down_works_once_it_is_up() {
    let address = nobody().await;
    let client = quick()
        .endpoint(format!("http://{address}"))
        .max_attempts(2)
        .build()
        .unwrap();
    let error = create(&client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert_eq!(error.code(), Code::Unavailable);
    assert_eq!(error.attempts(), 2);
    let message = error.to_string();
    assert!(
        message.contains(&format!("cannot connect to {address}")),
        "{message}"
    );

    let gateway = FakeGateway::start_at(address).await.unwrap();
    create(&client).await.unwrap();
    assert_eq!(gateway.requests().len(), 1);
}

#[tokio::test]
async fn a_gateway_that_comes_back_is_connected_to_again() {
    let gateway = FakeGateway::start().await.unwrap();
    let address = gateway.address();
    let client = quick().endpoint(gateway.endpoint()).build().unwrap();
    create(&client).await.unwrap();
    gateway.stop().await;
    let gateway = FakeGateway::start_at(address).await.unwrap();
    create(&client).await.unwrap();
    assert_eq!(gateway.requests().len(), 1);
}

#[tokio::test]
async fn a_connection_that_ends_in_good_order_costs_no_attempt() {
    let gateway = FakeGateway::start().await.unwrap();
    let client = quick()
        .endpoint(gateway.endpoint())
        .max_attempts(1)
        .build()
        .unwrap();
    for _ in 0..20 {
        gateway.enqueue(Answer::session().and_drain());
        create(&client).await.unwrap();
    }
    assert_eq!(gateway.requests().len(), 20);
}
