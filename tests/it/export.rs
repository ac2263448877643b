//! The built program sends all of its telemetry to a collector, and its end waits
//! for none that does not come.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::process::{Command, Stdio};
use std::time::Duration;

use face_liveness_client::v1::CreateSessionRequest;
use face_liveness_gateway::telemetry::otlp::Settings;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{NumberDataPoint, number_data_point};
use rekognition_emulator::Fault;
use tokio::net::TcpListener;
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

use crate::certificates::{Authority, Secret};
use crate::collector::{Collector, attributes};
use crate::metrics::Scrape;
use crate::program::{Started, gateway, lines_until};
use crate::served::Served;
use crate::support::{ONE_REGION, Running, config, emulator};

/// Nothing is sent before the end.
const AT_THE_END: [(&str, &str); 3] = [
    ("OTEL_BSP_SCHEDULE_DELAY", "3600000"),
    ("OTEL_BLRP_SCHEDULE_DELAY", "3600000"),
    ("OTEL_METRIC_EXPORT_INTERVAL", "3600000"),
];

/// What was sent of a metric, by the value of one of its attributes.
fn sent(collector: &Collector, name: &str, label: &str) -> BTreeMap<String, f64> {
    let metrics = collector.metrics();
    let metric = metrics.iter().find(|metric| metric.name == name).unwrap();
    let group = |point: &[KeyValue]| attributes(point).remove(label).unwrap();
    let number = |point: &NumberDataPoint| match point.value.unwrap() {
        number_data_point::Value::AsInt(value) => value as f64,
        number_data_point::Value::AsDouble(value) => value,
    };
    let numbers = |points: &[NumberDataPoint]| {
        let points = points.iter();
        points
            .map(|point| (group(&point.attributes), number(point)))
            .collect()
    };
    match metric.data.as_ref().unwrap() {
        Data::Sum(sum) => numbers(&sum.data_points),
        Data::Gauge(gauge) => numbers(&gauge.data_points),
        Data::Histogram(histogram) => {
            let points = histogram.data_points.iter();
            points
                .map(|point| (group(&point.attributes), point.count as f64))
                .collect()
        }
        other => panic!("{name}: {other:?}"),
    }
}

/// Asserts that what was sent of a metric, by the value of an attribute, is what was
/// scraped, of the series with these labels.
fn assert_same(collector: &Collector, scrape: &Scrape, metric: [&str; 3], labels: &[&str]) {
    let [sent_as, scraped_as, attribute] = metric;
    let sent = sent(collector, sent_as, attribute);
    assert!(!sent.is_empty(), "{sent_as}");
    for (value, number) in sent {
        let label = format!("{}=\"{value}\"", attribute.replace('.', "_"));
        let labels = [labels, &[&*label]].concat();
        let scraped = scrape.value(scraped_as, &labels);
        assert_eq!(scraped, number, "{sent_as} {label}");
    }
}

async fn end(mut served: Served) -> Served {
    // The collector runs in this runtime.
    tokio::task::spawn_blocking(move || {
        served.end();
        served
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn all_signals_are_sent_at_the_same_time_when_the_program_ends() {
    // Sequentially they could not arrive: none is answered before all are there.
    let collector = Collector::answering_all_at_once().await;
    let emulator = emulator().await;
    let variables = [
        &AT_THE_END[..],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())],
    ]
    .concat();
    let served = Served::start(&emulator, &[], &variables);
    let mut client = served.client();
    for _ in 0..3 {
        client
            .create_session(CreateSessionRequest::default())
            .await
            .unwrap();
    }
    let scrape = Scrape::at(served.admin).await;
    let served = end(served).await;

    assert!(
        !served
            .lines
            .iter()
            .any(|line| line.contains("not all telemetry was sent")),
        "{:#?}",
        served.lines
    );
    assert_eq!(collector.spans().len(), 6);
    assert!(!collector.log_records().is_empty());
    let of_regions = [
        "face_liveness.sessions",
        "face_liveness_sessions_total",
        "region",
    ];
    assert_same(&collector, &scrape, of_regions, &[]);
    let of_calls = [
        "rpc.server.call.duration",
        "rpc_server_call_duration_seconds_count",
        "rpc.response.status_code",
    ];
    let method = r#"rpc_method="faceliveness.v1.FaceLivenessService/CreateSession""#;
    assert_same(&collector, &scrape, of_calls, &[method]);
    let of_losses = [
        "face_liveness.telemetry.lost",
        "face_liveness_telemetry_lost_total",
        "kind",
    ];
    assert_same(&collector, &scrape, of_losses, &[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_second_signal_does_not_wait_for_a_collector_that_never_answers() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let emulator = emulator().await;
    let variables = [&AT_THE_END[..], &[("OTEL_EXPORTER_OTLP_ENDPOINT", &*url)]].concat();
    let mut served = Served::start(&emulator, &[], &variables);
    served
        .client()
        .create_session(CreateSessionRequest::default())
        .await
        .unwrap();
    served.terminate();
    served.until("shut down: every call has finished");
    served.terminate();
    served.until("ended at once");
    assert_eq!(served.program.0.wait().unwrap().code(), Some(130));
}

#[tokio::test]
async fn a_collector_may_ask_for_a_certificate() {
    let authority = Authority::new();
    let server = authority.server();
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(&server.certificate, &server.key))
        .client_ca_root(Certificate::from_pem(authority.pem()));
    let own = Secret::new(&authority.client("gateway"), &authority.pem());
    let path = |name| own.path(name).to_str().unwrap().to_owned();
    let (certificate, key, ca) = (path("tls.crt"), path("tls.key"), path("ca.crt"));
    let trusted = [("OTEL_EXPORTER_OTLP_CERTIFICATE", &*ca)];
    let identified = [
        trusted[0],
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &*certificate),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", &*key),
    ];
    for (variables, spans) in [(&trusted[..], 0), (&identified[..], 2)] {
        let collector = Collector::encrypted(tls.clone()).await;
        let emulator = emulator().await;
        let mut config = config(&emulator, ONE_REGION).await;
        config.otlp = collector.settings(variables);
        let gateway = Running::start(config);
        gateway
            .create(CreateSessionRequest::default())
            .await
            .unwrap();
        gateway.begin_shutdown();
        gateway.ended().await;
        assert_eq!(collector.spans().len(), spans, "{variables:?}");
    }
}

#[tokio::test]
async fn spans_that_find_the_queue_full_are_counted() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let emulator = emulator().await;
    let toml = "region = 'us-east-1'\n[quota]\ncreates_per_second = 'off'\nconcurrent_sessions = 'off'\n[server]\ndrain_delay = '0s'\n";
    let mut config = config(&emulator, toml).await;
    config.otlp = crate::collector::settings_for(&url, &[("OTEL_BSP_MAX_QUEUE_SIZE", "4")]);
    let gateway = Running::start(config);
    let mut client = gateway.client().await;
    // Two spans each: one batch of four is on its way, four wait.
    for _ in 0..8 {
        client
            .create_session(CreateSessionRequest::default())
            .await
            .unwrap();
    }
    let lost = Scrape::of(&gateway)
        .await
        .value("face_liveness_telemetry_lost_total", &[r#"kind="spans""#]);
    assert!(lost >= 8.0, "{lost}");
    tokio::time::timeout(Duration::from_secs(20), async {
        gateway.begin_shutdown();
        gateway.ended().await
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn dev_sends_its_telemetry_too() {
    let collector = Collector::start().await;
    let mut command = gateway(&[
        "dev",
        "--listen",
        "127.0.0.1:0",
        "--emulator-listen",
        "127.0.0.1:0",
    ]);
    command
        .env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collector.url())
        .stdout(Stdio::piped());
    let mut dev = Started(command.spawn().unwrap());
    // The collector runs in this runtime.
    let ended = tokio::task::spawn_blocking(move || {
        let mut out = BufReader::new(dev.0.stdout.take().unwrap());
        lines_until(&mut out, "Ctrl-C");
        let pid = dev.0.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
        dev.0.wait().unwrap()
    });
    assert_eq!(ended.await.unwrap().code(), Some(0));
    let create = "faceliveness.v1.FaceLivenessService/CreateSession";
    assert!(collector.spans().iter().any(|span| span.name == create));
}

#[tokio::test]
async fn a_collector_is_sent_the_numbers_that_prometheus_reads() {
    let emulator = emulator().await;
    let collector = Collector::start().await;
    let endpoint = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", collector.url());
    let mut config = config(&emulator, ONE_REGION).await;
    config.otlp = collector.settings(&[endpoint]);
    let gateway = Running::start(config);
    for _ in 0..3 {
        let request = CreateSessionRequest::default();
        gateway.create(request).await.unwrap();
    }
    emulator.set_faults([Fault::access_denied()]);
    let request = CreateSessionRequest::default();
    gateway.create(request).await.unwrap_err();
    let scrape = Scrape::of(&gateway).await;
    gateway.begin_shutdown();
    gateway.ended().await;
    for metric in [
        [
            "rpc.server.call.duration",
            "rpc_server_call_duration_seconds_count",
            "rpc.response.status_code",
        ],
        [
            "face_liveness.refusals",
            "face_liveness_refusals_total",
            "reason",
        ],
        [
            "face_liveness.sessions",
            "face_liveness_sessions_total",
            "region",
        ],
        [
            "face_liveness.upstream.duration",
            "face_liveness_upstream_duration_seconds_count",
            "outcome",
        ],
        [
            "face_liveness.quota.permits",
            "face_liveness_quota_permits_total",
            "caller",
        ],
        [
            "face_liveness.quota.rate.configured",
            "face_liveness_quota_rate_configured_per_second",
            "bound",
        ],
    ] {
        assert_same(&collector, &scrape, metric, &[]);
    }
    assert_eq!(
        sent(&collector, "face_liveness.sessions", "region")["us-east-1"],
        3.0
    );
}

#[tokio::test]
async fn a_collector_that_never_answers_holds_up_neither_calls_nor_the_end() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let variables = [("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT".to_owned(), url)];
    let emulator = emulator().await;
    let mut config = config(&emulator, ONE_REGION).await;
    config.otlp = Settings::read(&variables.into(), &mut Vec::new());
    let gateway = Running::start(config);
    let request = CreateSessionRequest::default();
    gateway.create(request).await.unwrap();
    assert_eq!(
        Scrape::of(&gateway)
            .await
            .value("face_liveness_sessions_total", &[]),
        1.0
    );
    gateway.begin_shutdown();
    assert_eq!(gateway.ended().await.forced, 0);
}
