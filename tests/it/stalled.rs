//! A log that nobody reads stops nothing: calls are answered, lines are lost and
//! counted, and the program ends.

use face_liveness_client::v1::CreateSessionRequest;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::Request;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::http::get;
use crate::metrics::Scrape;
use crate::redis_server::PATIENCE;
use crate::served::Served;
use crate::support::emulator;

/// Each has a line.
const EVERY_CALL: [(&str, &str); 1] = [("FACE_LIVENESS_TELEMETRY_ACCESS_LOG_SAMPLE", "1")];

/// More lines than a pipe holds and may wait.
const CALLS: usize = 12_000;

const AT_ONCE: usize = 50;

/// Asks for the health so many times; each answer is awaited.
async fn check_health(served: &Served, calls: usize) {
    let endpoint = Endpoint::from_shared(format!("http://{}", served.address)).unwrap();
    let channel: Channel = endpoint.connect().await.unwrap();
    let mut callers = JoinSet::new();
    for _ in 0..AT_ONCE {
        let mut client = HealthClient::new(channel.clone());
        callers.spawn(async move {
            for _ in 0..calls / AT_ONCE {
                client.check(HealthCheckRequest::default()).await.unwrap();
            }
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn calls_go_on_and_what_was_lost_is_told_once_somebody_reads_again() {
    let emulator = emulator().await;
    let mut served = Served::start(&emulator, &[], &EVERY_CALL);
    check_health(&served, CALLS).await;
    let scrape = Scrape::at(served.admin).await;
    let lost = scrape.value(
        "face_liveness_telemetry_lost_total",
        &[r#"kind="log_lines""#],
    );
    assert!(lost > 0.0);
    let told = served.until("lines of the log were lost since the start");
    let counted: f64 = told
        .trim_end()
        .rsplit("lost=")
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(counted >= lost, "{told}");
    // What is said from now on is read.
    let mut request = Request::new(CreateSessionRequest::default());
    let id = "after-the-stall".parse().unwrap();
    request.metadata_mut().insert("x-request-id", id);
    served.client().create_session(request).await.unwrap();
    served.until("request_id=after-the-stall");
    served.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_program_ends_in_good_order_all_the_same() {
    let emulator = emulator().await;
    let mut served = Served::start(&emulator, &[], &EVERY_CALL);
    check_health(&served, CALLS).await;
    assert_eq!(get(served.admin, "/livez").await.code, 200);
    served.terminate();
    let ended = tokio::task::spawn_blocking(move || served.program.0.wait().unwrap());
    let status = timeout(PATIENCE, ended).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
}
