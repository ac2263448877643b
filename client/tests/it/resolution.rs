//! Names are resolved when they are needed, and again.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use face_liveness_client::testing::FakeGateway;
use face_liveness_client::{Builder, ErrorKind};

use crate::support::{create, quick};

/// What the name resolves to now; none for a failure.
type Addresses = Arc<Mutex<Option<Vec<SocketAddr>>>>;

fn resolving(addresses: &Addresses) -> Builder {
    let addresses = Arc::clone(addresses);
    quick()
        .endpoint("http://gateway:50051")
        .resolver(move |host: &str, port| {
            assert_eq!((host, port), ("gateway", 50051));
            let addresses = addresses.lock().unwrap().clone();
            addresses.ok_or_else(|| io::Error::other("no such host"))
        })
}

#[tokio::test]
async fn an_address_that_is_new_is_used_and_one_that_is_gone_is_not() {
    let (one, two) = (
        FakeGateway::start().await.unwrap(),
        FakeGateway::start().await.unwrap(),
    );
    let addresses = Addresses::new(Mutex::new(Some(vec![one.address()])));
    let builder = resolving(&addresses).resolve_interval(Duration::ZERO);
    let client = builder.build().unwrap();
    create(&client).await.unwrap();
    *addresses.lock().unwrap() = Some(vec![two.address()]);
    create(&client).await.unwrap();
    create(&client).await.unwrap();
    assert_eq!((one.requests().len(), two.requests().len()), (1, 2));
    assert_eq!(two.connections(), 1, "what stays keeps its connection");
}

#[tokio::test]
async fn addresses_stay_when_the_name_no_longer_resolves() {
    let gateway = FakeGateway::start().await.unwrap();
    let addresses = Addresses::new(Mutex::new(Some(vec![gateway.address()])));
    let builder = resolving(&addresses).resolve_interval(Duration::ZERO);
    let client = builder.build().unwrap();
    create(&client).await.unwrap();
    *addresses.lock().unwrap() = None;
    create(&client).await.unwrap();
    *addresses.lock().unwrap() = Some(Vec::new());
    create(&client).await.unwrap();
    assert_eq!(gateway.connections(), 1);
}

#[tokio::test]
async fn a_name_that_does_not_resolve_yet_is_asked_for_again() {
    let gateway = FakeGateway::start().await.unwrap();
    let addresses = Addresses::default();
    let client = resolving(&addresses).max_attempts(1).build().unwrap();
    let error = create(&client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert!(error.is_retryable());
    let message = error.to_string();
    assert!(
        message.contains("cannot resolve gateway: no such host"),
        "{message}"
    );

    *addresses.lock().unwrap() = Some(vec![gateway.address()]);
    create(&client).await.unwrap();
}

#[tokio::test]
async fn a_failed_connection_makes_the_client_look_for_new_addresses() {
    let (one, two) = (
        FakeGateway::start().await.unwrap(),
        FakeGateway::start().await.unwrap(),
    );
    let addresses = Addresses::new(Mutex::new(Some(vec![one.address()])));
    let pause = Duration::from_millis(50);
    let client = resolving(&addresses)
        .resolve_interval(Duration::from_secs(3600))
        .backoff(pause, pause)
        .retry_budget(u32::MAX, 1.0)
        .max_attempts(u32::MAX)
        .build()
        .unwrap();
    create(&client).await.unwrap();
    *addresses.lock().unwrap() = Some(vec![two.address()]);
    one.stop().await;
    create(&client).await.unwrap();
    assert_eq!(two.requests().len(), 1);
}
