//! The log: lines carry the ids of their call, floods are counted instead of
//! written, the level changes while the gateway runs, and libraries keep quiet.
//!
//! The tests read the program's log without giving way, so what else they need to
//! run has a thread of its own.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use face_liveness_client::v1::CreateSessionRequest;
use face_liveness_gateway::config::{LogConfig, LogFormat};
use face_liveness_gateway::telemetry::logs::Log;
use face_liveness_gateway::telemetry::otlp;
use rekognition_emulator::Fault;
use serde_json::Value;
use tonic::Request;

use crate::collector::{Collector, attributes};
use crate::program::gateway;
use crate::served::Served;
use crate::support::emulator;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn call(request_id: &str) -> Request<CreateSessionRequest> {
    let mut request = Request::new(CreateSessionRequest {
        client_request_token: Some("hush-token-4711".to_owned()),
        kms_key_id: Some("alias/hush-key-4711".to_owned()),
        ..Default::default()
    });
    let metadata = request.metadata_mut();
    metadata.insert("x-request-id", request_id.parse().unwrap());
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-00");
    metadata.insert("traceparent", parent.parse().unwrap());
    request
}

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn every_line_of_a_call_carries_its_ids_and_none_a_secret() {
    let emulator = emulator().await;
    emulator.set_faults([Fault::throttling().on_call(1)]);
    let sample = [("FACE_LIVENESS_TELEMETRY_ACCESS_LOG_SAMPLE", "1")];
    let mut served = Served::start(&emulator, &["--debug", "--log-format", "json"], &sample);
    let id = r#"quoted-"-id"#;
    let session = served.client().create_session(call(id)).await.unwrap();
    let retry = json(&served.until("trying again"));
    let line = json(&served.until("\"message\":\"call\""));
    for line in [&retry, &line] {
        assert_eq!(
            (&line["trace_id"], &line["request_id"]),
            (&TRACE.into(), &id.into()),
            "{line}"
        );
    }
    assert_eq!(line["level"], "INFO");
    assert_eq!(
        line["method"],
        "faceliveness.v1.FaceLivenessService/CreateSession"
    );
    assert_eq!(
        (&line["code"], &line["caller"]),
        (&"OK".into(), &"anonymous".into())
    );
    assert_eq!(
        (&line["region"], &line["attempts"]),
        (&"us-east-1".into(), &2.into())
    );
    assert_eq!(line["replayed"], false);
    assert!(line["aws_request_id"].is_string(), "{line}");
    served.end();
    let session = session.into_inner().session_id;
    for line in &served.lines {
        let target = json(line)["target"].as_str().unwrap_or_default().to_owned();
        assert!(target.starts_with("face_liveness_gateway"), "{line}");
        for secret in ["hush", &session, "AKID"] {
            assert!(!line.contains(secret), "{line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn text_carries_the_ids_too_and_most_ordinary_calls_have_no_line() {
    let emulator = emulator().await;
    let mut served = Served::start(&emulator, &[], &[]);
    let mut client = served.client();
    for number in 0..20 {
        client
            .create_session(call(&format!("id-{number}")))
            .await
            .unwrap();
    }
    served.end();
    let lines: Vec<_> = served
        .lines
        .iter()
        .filter(|line| line.contains("code=\"OK\""))
        .collect();
    assert_eq!(lines.len(), 1, "{:#?}", served.lines);
    assert!(
        lines[0].ends_with(&format!("trace_id={TRACE} request_id=id-0")),
        "{}",
        lines[0]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_flood_of_refusals_is_counted_instead_of_written() {
    const CALLS: u64 = 500;
    let emulator = emulator().await;
    let mut served = Served::start(&emulator, &["--log-format", "json"], &[]);
    let mut client = served.client();
    let invalid = CreateSessionRequest {
        region: Some("Europe".to_owned()),
        ..Default::default()
    };
    for _ in 0..CALLS {
        client.create_session(invalid.clone()).await.unwrap_err();
    }
    served.end();
    let refusals: Vec<_> = served
        .lines
        .iter()
        .map(|line| json(line))
        .filter(|line| line["reason"] == "INVALID_REQUEST")
        .collect();
    let written = refusals
        .iter()
        .filter(|line| line["message"] == "call")
        .count();
    let suppressed: u64 = refusals
        .iter()
        .filter_map(|line| line["suppressed"].as_u64())
        .sum();
    assert!(suppressed > 0, "{refusals:#?}");
    assert_eq!(u64::try_from(written).unwrap() + suppressed, CALLS);
    assert_eq!(refusals[0]["code"], "INVALID_ARGUMENT");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn records_go_to_the_collector_with_the_ids_and_without_secrets() {
    let collector = Collector::start().await;
    let emulator = emulator().await;
    emulator.set_faults([Fault::access_denied()]);
    let variables = [
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", collector.url()),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collector.url()),
        ("OTEL_SERVICE_NAME", "another-name"),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "deployment.environment.name=trial",
        ),
        ("OTEL_TRACES_SAMPLER", "always_on"),
    ];
    let mut served = Served::start(&emulator, &["--debug"], &variables);
    served
        .client()
        .create_session(call("find-me"))
        .await
        .unwrap_err();
    served.until("no session");
    // The collector runs in this runtime.
    tokio::task::spawn_blocking(move || served.end())
        .await
        .unwrap();
    let records = collector.log_records();
    let of_call: Vec<_> = records
        .iter()
        .filter(|record| {
            let id = attributes(&record.attributes).remove("faceliveness.request_id");
            id.as_deref() == Some("find-me")
        })
        .collect();
    assert!(of_call.len() >= 2, "{records:#?}");
    let trace: Vec<u8> = (0..16)
        .map(|at| u8::from_str_radix(&TRACE[2 * at..2 * at + 2], 16).unwrap())
        .collect();
    assert!(
        of_call
            .iter()
            .all(|record| record.trace_id == trace && record.span_id.len() == 8)
    );
    let resource = collector.resource();
    assert_eq!(resource["service.name"], "another-name");
    assert_eq!(resource["deployment.environment.name"], "trial");
    collector.assert_lacks(&["hush", "AKID"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_dead_collector_is_told_once_and_the_program_still_ends() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let emulator = emulator().await;
    // Many batches.
    let variables = [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &*url),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "64"),
    ];
    let mut served = Served::start(&emulator, &["--log-format", "json"], &variables);
    let mut client = served.client();
    for _ in 0..100 {
        client
            .create_session(CreateSessionRequest::default())
            .await
            .unwrap();
    }
    served.until("does not take telemetry");
    served.end();
    let told = served
        .lines
        .iter()
        .filter(|line| line.contains("does not take telemetry"))
        .count();
    assert_eq!(told, 1, "{:#?}", served.lines);
}

#[test]
fn what_telemetry_cannot_do_ends_the_program_with_its_place() {
    let mut command = gateway(&["serve", "--region", "us-east-1"]);
    command
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:4318")
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        .env("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/nowhere/tls.key")
        .env("OTEL_PROPAGATORS", "b3");
    let output = command.output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{told}");
    for mistake in [
        "OTEL_EXPORTER_OTLP_PROTOCOL: must be grpc",
        "OTEL_EXPORTER_OTLP_CLIENT_KEY: is of no use without",
        "OTEL_PROPAGATORS: must be tracecontext",
    ] {
        assert!(told.contains(mistake), "{told}");
    }
}

/// What a log wrote.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_level_changes_from_the_next_line_on_and_libraries_stay_quiet() {
    let written = Written::default();
    let writer = written.clone();
    let config = LogConfig {
        format: LogFormat::Json,
        debug: false,
    };
    let settings = otlp::Settings::default();
    let (log, subscriber) = Log::prepare(config, &settings, move || writer.clone(), false).unwrap();
    let level = log.handle().level();
    tracing::subscriber::with_default(subscriber, || {
        let say = |number: u32| {
            tracing::debug!(target: "face_liveness_gateway::server", number, "own");
            tracing::debug!(target: "aws_smithy_runtime", number, "body");
            tracing::debug!(target: "h2", number, "headers");
        };
        assert_eq!(level.get().to_string(), "info");
        say(1);
        level.set("debug".parse().unwrap()).unwrap();
        say(2);
        level
            .set("info,face_liveness_gateway::server=debug".parse().unwrap())
            .unwrap();
        say(3);
        level.set("warn".parse().unwrap()).unwrap();
        say(4);
        assert_eq!(level.get().to_string(), "warn");
    });
    let written = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<_> = written.lines().map(json).collect();
    let told: Vec<_> = lines
        .iter()
        .map(|line| {
            (
                line["number"].as_u64().unwrap(),
                line["message"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(told, [(2, "own"), (3, "own")]);
}
