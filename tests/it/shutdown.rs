//! A shutdown loses no call that can still be answered, and ends.

use std::time::Duration;

use face_liveness_client::v1::CreateSessionRequest;
use http::Request;
use rekognition_emulator::{Emulator, Fault, Latency};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tonic::{Code, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_types::StatusExt as _;

use crate::http::get;
use crate::peers::frames::{HEADERS, PREFACE, Peer, SETTINGS, begin, finish, frame};
use crate::raw::{CREATE, GRPC, framed};
use crate::support::{ONE_REGION, Running, config, emulator, until, watch_health};

/// Waits until the emulator has seen a request.
async fn until_asked(emulator: &Emulator) {
    while emulator.journal().requests_seen == 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_call_in_flight_is_finished() {
    let emulator = emulator().await;
    emulator.set_faults([Fault::latency(Latency::fixed(Duration::from_millis(200)))]);
    let gateway = Running::over(&emulator).await;
    let mut client = gateway.client().await;
    let call =
        tokio::spawn(async move { client.create_session(CreateSessionRequest::default()).await });
    until_asked(&emulator).await;
    gateway.begin_shutdown();
    assert_eq!(gateway.ended().await.forced, 0);
    assert_eq!(call.await.unwrap().unwrap().get_ref().session_id.len(), 36);
}

#[tokio::test]
async fn a_call_that_does_not_finish_within_the_grace_is_cut_and_told_so() {
    let emulator = emulator().await;
    emulator.set_faults([Fault::hang()]);
    let gateway =
        Running::configured(&emulator, &format!("{ONE_REGION}shutdown_grace = '100ms'")).await;
    let mut client = gateway.client().await;
    let call =
        tokio::spawn(async move { client.create_session(CreateSessionRequest::default()).await });
    until_asked(&emulator).await;
    gateway.begin_shutdown();
    assert_eq!(gateway.ended().await.forced, 1);
    assert!(call.await.unwrap().is_err());
}

#[tokio::test]
async fn an_open_health_watch_hears_not_serving_and_does_not_hold_up_the_end() {
    let gateway = Running::over(&emulator().await).await;
    let mut states = watch_health(gateway.connect().await).await;
    until(&mut states, ServingStatus::Serving).await;
    gateway.begin_shutdown();
    until(&mut states, ServingStatus::NotServing).await;
    let end = states.message().await.unwrap_err();
    assert_eq!(
        (end.code(), reason(&end).as_str()),
        (Code::Unavailable, "DRAINING")
    );
    assert_eq!(gateway.ended().await.forced, 0);
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_up_the_end_and_the_port_is_free_again() {
    let gateway = Running::over(&emulator().await).await;
    let address = gateway.address;
    let _idle = gateway.connect().await;
    let _silent = TcpStream::connect(address).await.unwrap();
    gateway.begin_shutdown();
    assert_eq!(gateway.ended().await.forced, 0);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn during_the_drain_delay_calls_are_still_served() {
    let emulator = emulator().await;
    let gateway = Running::start(
        config(
            &emulator,
            "region = 'us-east-1'\n[server]\ndrain_delay = '1h'",
        )
        .await,
    );
    let mut states = watch_health(gateway.connect().await).await;
    until(&mut states, ServingStatus::Serving).await;
    gateway.begin_shutdown();
    until(&mut states, ServingStatus::NotServing).await;
    gateway
        .create(CreateSessionRequest::default())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_call_that_comes_while_the_gateway_drains_is_told_to_go_elsewhere() {
    let emulator = emulator().await;
    emulator.set_faults([Fault::hang().times(1)]);
    let gateway = Running::over(&emulator).await;
    let (client, mut line) = line_to(&gateway).await;
    let (mut sender, connection) = h2::client::handshake(client).await.unwrap();
    tokio::spawn(connection);
    // A call in flight keeps the connection open while the gateway drains.
    let (_held, mut body) = sender.send_request(create(&gateway), false).unwrap();
    body.send_data(framed(0, &[]), true).unwrap();
    until_asked(&emulator).await;
    let mut states = watch_health(gateway.connect().await).await;
    until(&mut states, ServingStatus::Serving).await;

    // The client does not hear that the gateway is going away.
    line.hears.send_replace(false);
    gateway.begin_shutdown();
    while let Ok(Some(_)) = states.message().await {}
    let (late, _body) = line
        .sends(|| sender.send_request(create(&gateway), true))
        .await
        .unwrap();
    line.hears.send_replace(true);

    let status = Status::from_header_map(late.await.unwrap().headers()).unwrap();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::Unavailable, "DRAINING")
    );
    assert_eq!(
        status.metadata().get("grpc-retry-pushback-ms").unwrap(),
        "100"
    );
}

#[tokio::test]
async fn a_call_that_was_sent_just_before_the_drain_is_answered() {
    let gateway = Running::over(&emulator().await).await;
    let accepted = "face_liveness_connections_open 1";
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    while !get(gateway.admin, "/metrics").await.body.contains(accepted) {}
    let call = [begin(1), finish(1)].concat();
    let said = [PREFACE, &frame(SETTINGS, 0, 0, &[]), &call].concat();
    stream.write_all(&said).await.unwrap();
    gateway.begin_shutdown();
    // With a session, or with where to go.
    let mut peer = Peer::from(stream);
    assert_eq!(peer.until(HEADERS).await.stream, 1);
}

/// A connection whose client can be kept from hearing what the gateway says.
struct Line {
    hears: watch::Sender<bool>,
    sent: watch::Receiver<usize>,
}

impl Line {
    /// Waits until something has been sent after `action`.
    async fn sends<T>(&mut self, action: impl FnOnce() -> T) -> T {
        let before = *self.sent.borrow_and_update();
        let done = action();
        self.sent.wait_for(|sent| *sent > before).await.unwrap();
        done
    }
}

async fn line_to(gateway: &Running) -> (DuplexStream, Line) {
    let (client, relay) = tokio::io::duplex(64 * 1024);
    let (mut from_client, mut to_client) = tokio::io::split(relay);
    let (mut from_gateway, mut to_gateway) = TcpStream::connect(gateway.address)
        .await
        .unwrap()
        .into_split();
    let (hears, mut may_hear) = watch::channel(true);
    let (count, sent) = watch::channel(0);
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
            to_gateway.write_all(&buffer[..read]).await.unwrap();
            count.send_modify(|sent| *sent += read);
        }
    });
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = from_gateway.read(&mut buffer).await {
            if may_hear.wait_for(|may| *may).await.is_err()
                || to_client.write_all(&buffer[..read]).await.is_err()
            {
                return;
            }
        }
        // The client hears that, too, and does not wait for an answer.
        let _ = to_client.shutdown().await;
    });
    (client, Line { hears, sent })
}

fn create(gateway: &Running) -> Request<()> {
    Request::post(format!("http://{}{CREATE}", gateway.address))
        .header(GRPC.0, GRPC.1)
        .header("te", "trailers")
        .body(())
        .unwrap()
}

fn reason(status: &Status) -> String {
    let info = status.get_details_error_info();
    info.map(|info| info.reason).unwrap_or_default()
}
