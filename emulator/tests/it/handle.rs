//! The handle works from anywhere, and the emulator stops with it.

use std::net::TcpListener;
use std::thread;

use rekognition_emulator::{Emulator, Fault};
use tokio::net::TcpStream;

use crate::support::{CREATE, call, call_text, emulator, exchange, sdk, unsigned};

fn assert_shareable<T: Send + Sync + Clone + 'static>(_: &T) {}

#[test]
fn it_serves_on_one_runtime_and_is_driven_from_another_thread() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let emulator = runtime.block_on(emulator().start()).unwrap();
    assert_shareable(&emulator);
    let elsewhere = emulator.clone();
    let driver = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            elsewhere.set_faults([Fault::throttling().on_call(2)]);
            let client = sdk(&elsewhere, "us-east-1");
            assert!(client.create_face_liveness_session().send().await.is_ok());
            assert!(client.create_face_liveness_session().send().await.is_err());
            elsewhere.shutdown().await;
        });
    });
    driver.join().unwrap();
    assert_eq!(emulator.journal().requests_seen, 2);
}

#[tokio::test]
async fn nobody_listens_after_shutdown() {
    let emulator = unsigned().await;
    call(&emulator, CREATE, "{}").await;
    emulator.shutdown().await;
    emulator.shutdown().await;
    assert!(TcpStream::connect(emulator.addr()).await.is_err());
}

#[tokio::test]
async fn the_emulator_stops_when_its_last_handle_is_dropped() {
    let emulator = unsigned().await;
    let (addr, other) = (emulator.addr(), emulator.clone());
    drop(emulator);
    call(&other, CREATE, "{}").await;
    drop(other);
    while exchange(addr, &call_text(CREATE, "{}")).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let error = Emulator::builder().listen(addr).start().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&addr.to_string()), "{error}");
}

#[tokio::test]
async fn a_bound_listener_can_be_served() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let builder = Emulator::builder()
        .verify_signatures(false)
        .listener(listener);
    let emulator = builder.start().await.unwrap();
    assert_eq!(emulator.endpoint_url(), format!("http://{addr}"));
    assert_eq!(call(&emulator, CREATE, "{}").await.status, 200);
}

#[tokio::test]
async fn many_connections_are_served_at_once() {
    let emulator = unsigned().await;
    let calls: Vec<_> = (0..64)
        .map(|_| {
            let emulator = emulator.clone();
            tokio::spawn(async move { call(&emulator, CREATE, "{}").await.status })
        })
        .collect();
    for status in calls {
        assert_eq!(status.await.unwrap(), 200);
    }
    assert_eq!(emulator.journal().sessions_made, 64);
}
