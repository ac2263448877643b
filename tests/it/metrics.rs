//! What the gateway counts is what happened, with bounded labels, for Prometheus
//! and over OTLP alike.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use face_liveness_client::v1::CreateSessionRequest;
use face_liveness_gateway::config::Identity;
use rekognition_emulator::{Emulator, Fault};
use tonic::{Code, Request};

use crate::http::get;
use crate::raw::{GRPC, framed, post, refusal};
use crate::support::{ONE_REGION, Running, config, emulator, until, watch_health};

const METHOD: &str = r#"rpc_method="faceliveness.v1.FaceLivenessService/CreateSession""#;

/// The series of a scrape, by name and labels in order.
pub(crate) struct Scrape {
    text: String,
    series: BTreeMap<String, f64>,
}

impl Scrape {
    pub(crate) async fn of(gateway: &Running) -> Self {
        Self::at(gateway.admin).await
    }

    /// The same, of whatever listens there.
    pub(crate) async fn at(admin: SocketAddr) -> Self {
        let answer = get(admin, "/metrics").await;
        assert_eq!(answer.code, 200);
        let content_type = answer.header("content-type").unwrap();
        assert!(content_type.starts_with("text/plain; version=0.0.4"));
        let lines = answer.body.lines().filter(|line| !line.starts_with('#'));
        let series = lines.map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series.to_owned(), value.parse().unwrap())
        });
        Self {
            series: series.collect(),
            text: answer.body,
        }
    }

    /// The value of the one series with this name and all of these labels.
    pub(crate) fn value(&self, name: &str, labels: &[&str]) -> f64 {
        let fits = |series: &&str| {
            let (found, rest) = series.split_once('{').unwrap_or((series, ""));
            found == name && labels.iter().all(|label| rest.contains(label))
        };
        let keys = self.series.keys().map(String::as_str);
        let found: Vec<_> = keys.filter(fits).collect();
        match found.as_slice() {
            [one] => self.series[*one],
            [] => 0.0,
            several => panic!("{name} {labels:?} is ambiguous: {several:?}"),
        }
    }

    /// The metrics by name, with their types and the names of their labels.
    fn catalogue(&self) -> BTreeMap<String, (String, BTreeSet<String>)> {
        let mut catalogue = BTreeMap::new();
        for line in self.text.lines() {
            if let Some((name, kind)) = line
                .strip_prefix("# TYPE ")
                .and_then(|rest| rest.split_once(' '))
            {
                catalogue.insert(name.to_owned(), (kind.to_owned(), BTreeSet::new()));
            }
        }
        for series in self.series.keys() {
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let suffixes = ["_bucket", "_sum", "_count"];
            let base = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix));
            let name = base
                .filter(|base| catalogue.contains_key(*base))
                .unwrap_or(name);
            let (_, names) = catalogue.get_mut(name).unwrap();
            let labels = labels.trim_end_matches('}').split(',');
            let labels = labels.filter_map(|label| Some(label.split_once('=')?.0.to_owned()));
            names.extend(labels.filter(|label| label != "le"));
        }
        catalogue
    }
}

async fn create(gateway: &Running, caller: &str, token: Option<&str>) {
    let mut request = Request::new(CreateSessionRequest {
        client_request_token: token.map(str::to_owned),
        ..Default::default()
    });
    let metadata = request.metadata_mut();
    metadata.insert("x-caller-id", caller.parse().unwrap());
    gateway
        .client()
        .await
        .create_session(request)
        .await
        .unwrap();
}

/// A gateway that believes its callers and knows one of them by name.
async fn knowing_checkout(emulator: &Emulator) -> Running {
    let toml = "region = 'us-east-1'\n[server]\ndrain_delay = '0s'\n[[callers]]\nid = 'checkout'\n";
    let mut config = config(emulator, toml).await;
    config.identity = Identity::Believed;
    Running::start(config)
}

#[tokio::test]
async fn calls_sessions_permits_and_repeats_are_counted() {
    let emulator = emulator().await;
    let gateway = knowing_checkout(&emulator).await;
    create(&gateway, "checkout", Some("intent")).await;
    create(&gateway, "checkout", Some("intent")).await;
    create(&gateway, "stranger", None).await;
    let scrape = Scrape::of(&gateway).await;
    let ok = [
        METHOD,
        r#"rpc_response_status_code="OK""#,
        r#"rpc_system_name="grpc""#,
    ];
    let here = r#"region="us-east-1""#;
    let counts = [
        ("rpc_server_call_duration_seconds_count", &ok[..], 3.0),
        ("face_liveness_calls_in_flight", &[METHOD], 0.0),
        ("face_liveness_sessions_total", &[here], 2.0),
        (
            "face_liveness_quota_permits_total",
            &[here, r#"caller="checkout""#],
            1.0,
        ),
        (
            "face_liveness_quota_permits_total",
            &[here, r#"caller="_OTHER""#],
            1.0,
        ),
        (
            "face_liveness_quota_wait_duration_seconds_count",
            &[here, r#"outcome="granted""#],
            2.0,
        ),
        (
            "face_liveness_ledger_lookups_total",
            &[r#"outcome="hit""#],
            1.0,
        ),
        (
            "face_liveness_ledger_lookups_total",
            &[r#"outcome="miss""#],
            1.0,
        ),
        (
            "face_liveness_ledger_lookups_total",
            &[r#"outcome="joined""#],
            0.0,
        ),
        (
            "face_liveness_upstream_duration_seconds_count",
            &[here, r#"outcome="made""#],
            2.0,
        ),
        (
            "face_liveness_quota_rate_configured_per_second",
            &[here, r#"bound="creates""#],
            25.0,
        ),
        (
            "face_liveness_quota_rate_effective_per_second",
            &[here, r#"bound="sessions""#],
            7.5,
        ),
        ("face_liveness_quota_queue_depth", &[here], 0.0),
        ("face_liveness_quota_queue_limit", &[here], 1024.0),
        (
            "face_liveness_build_info",
            &[concat!(r#"version=""#, env!("CARGO_PKG_VERSION"))],
            1.0,
        ),
    ];
    for (name, labels, expected) in counts {
        assert_eq!(scrape.value(name, labels), expected, "{name} {labels:?}");
    }
    assert!(!scrape.text.contains("stranger") && !scrape.text.contains("intent"));
    assert!(scrape.value("process_resident_memory_bytes", &[]) > 0.0);
    assert!(scrape.value("process_open_fds", &[]) > 0.0);
}

#[tokio::test]
async fn refusals_are_counted_by_reason_and_attempts_by_what_ended_them() {
    let emulator = emulator().await;
    emulator.set_faults([Fault::access_denied()]);
    let gateway = Running::over(&emulator).await;
    let denied = gateway.create(CreateSessionRequest::default()).await;
    assert_eq!(denied.unwrap_err().code(), Code::Internal);
    let invalid = CreateSessionRequest {
        kms_key_id: Some(String::new()),
        ..Default::default()
    };
    gateway.create(invalid).await.unwrap_err();
    refusal(&gateway, &[("grpc-timeout", "0m")], framed(0, &[])).await;
    let scrape = Scrape::of(&gateway).await;
    for reason in ["UPSTREAM_ACCESS_DENIED", "INVALID_REQUEST", "DEADLINE"] {
        let labels = [format!("reason=\"{reason}\"")];
        let labels = labels.each_ref().map(String::as_str);
        assert_eq!(scrape.value("face_liveness_refusals_total", &labels), 1.0);
    }
    let calls = |labels: &[&str]| {
        let labels = [&[METHOD], labels].concat();
        scrape.value("rpc_server_call_duration_seconds_count", &labels)
    };
    let fault = [
        r#"rpc_response_status_code="INTERNAL""#,
        r#"error_type="INTERNAL""#,
    ];
    assert_eq!(calls(&fault), 1.0);
    let invalid = r#"rpc_response_status_code="INVALID_ARGUMENT""#;
    assert_eq!(calls(&[invalid]), 1.0);
    assert_eq!(calls(&[invalid, "error_type"]), 0.0);
    let attempts = scrape.value(
        "face_liveness_upstream_duration_seconds_count",
        &[r#"outcome="access_denied""#],
    );
    assert_eq!(attempts, 1.0);
    assert_eq!(scrape.value("face_liveness_sessions_total", &[]), 0.0);
}

#[tokio::test]
async fn retries_are_counted_by_cause() {
    let emulator = emulator().await;
    emulator.set_faults([Fault::internal_server_error().times(2)]);
    let gateway = Running::over(&emulator).await;
    gateway
        .create(CreateSessionRequest::default())
        .await
        .unwrap();
    let scrape = Scrape::of(&gateway).await;
    let retries = |cause: &str| {
        let cause = format!("cause=\"{cause}\"");
        scrape.value("face_liveness_upstream_retries_total", &[&cause])
    };
    assert_eq!((retries("unavailable"), retries("throttled")), (2.0, 0.0));
}

#[tokio::test]
async fn a_call_without_a_permit_in_time_counts_as_denied() {
    let toml = format!("{ONE_REGION}[quota]\ncreates_per_second = 1\nconcurrent_sessions = 'off'");
    let gateway = Running::configured(&emulator().await, &toml).await;
    gateway
        .create(CreateSessionRequest::default())
        .await
        .unwrap();
    let denied = refusal(&gateway, &[("grpc-timeout", "100m")], framed(0, &[])).await;
    assert_eq!(denied.code(), Code::ResourceExhausted);
    let scrape = Scrape::of(&gateway).await;
    let denials = |reason| scrape.value("face_liveness_quota_denials_total", &[reason]);
    assert_eq!(denials(r#"reason="deadline""#), 1.0);
    assert_eq!(denials(r#"reason="queue_full""#), 0.0);
    let refused = [r#"reason="ACCOUNT_QUOTA""#];
    assert_eq!(scrape.value("face_liveness_refusals_total", &refused), 1.0);
    let waits = [r#"outcome="denied""#];
    let waits = scrape.value("face_liveness_quota_wait_duration_seconds_count", &waits);
    assert_eq!(waits, 1.0);
}

#[tokio::test]
async fn a_call_that_its_client_drops_counts_as_cancelled_and_so_does_its_attempt() {
    let emulator = emulator().await;
    emulator.set_faults([Fault::hang()]);
    let gateway = Running::over(&emulator).await;
    let mut client = gateway.client().await;
    let call = tokio::spawn(async move {
        let request = CreateSessionRequest::default();
        client.create_session(request).await
    });
    while emulator.journal().requests_seen == 0 {
        tokio::task::yield_now().await;
    }
    let in_flight = Scrape::of(&gateway).await;
    assert_eq!(
        in_flight.value("face_liveness_calls_in_flight", &[METHOD]),
        1.0
    );
    call.abort();
    let cancelled = [METHOD, r#"rpc_response_status_code="CANCELLED""#];
    loop {
        let scrape = Scrape::of(&gateway).await;
        if scrape.value("rpc_server_call_duration_seconds_count", &cancelled) == 1.0 {
            let attempts = [r#"outcome="cancelled""#];
            let attempts = scrape.value("face_liveness_upstream_duration_seconds_count", &attempts);
            assert_eq!(attempts, 1.0);
            assert_eq!(
                scrape.value("face_liveness_calls_in_flight", &[METHOD]),
                0.0
            );
            break;
        }
    }
}

#[tokio::test]
async fn methods_that_there_are_not_count_as_one() {
    let gateway = Running::over(&emulator().await).await;
    for path in ["/made.up/Method", "/another.made.up/Method"] {
        post(&gateway, path, &[GRPC], framed(0, &[])).await;
    }
    let scrape = Scrape::of(&gateway).await;
    let other = [
        r#"rpc_method="_OTHER""#,
        r#"rpc_response_status_code="UNIMPLEMENTED""#,
    ];
    assert_eq!(
        scrape.value("rpc_server_call_duration_seconds_count", &other),
        2.0
    );
    let refused = [r#"reason="UNIMPLEMENTED""#];
    assert_eq!(scrape.value("face_liveness_refusals_total", &refused), 2.0);
    assert!(!scrape.text.contains("made.up"));
}

#[tokio::test]
async fn the_readme_lists_every_metric_with_its_type_and_labels() {
    let emulator = emulator().await;
    emulator.set_faults([Fault::throttling().times(1)]);
    let gateway = knowing_checkout(&emulator).await;
    create(&gateway, "checkout", Some("intent")).await;
    // Has `error_type`, which only the server's faults have.
    post(&gateway, "/made.up/Method", &[GRPC], framed(0, &[])).await;
    let mut scraped = Scrape::of(&gateway).await.catalogue();
    // What OpenTelemetry adds: the resource.
    scraped.remove("target_info").unwrap();
    let readme = include_str!("../../README.md");
    for row in readme.lines().filter(|line| {
        let metrics = ["| `rpc_server", "| `face_liveness_", "| `process_"];
        metrics.iter().any(|start| line.starts_with(start))
    }) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, name, kind, _unit, labels, meaning, _] = cells[..] else {
            panic!("{row}");
        };
        let Some((scraped_kind, scraped_labels)) = scraped.remove(name.trim_matches('`')) else {
            assert!(meaning.contains("Only with"), "nobody counts {name}");
            continue;
        };
        assert_eq!(kind, scraped_kind, "{name}");
        let labels = labels
            .split(", ")
            .map(|label| label.trim_matches('`').to_owned());
        let labels: BTreeSet<_> = labels.filter(|label| !label.is_empty()).collect();
        assert_eq!(labels, scraped_labels, "{name}");
    }
    assert!(scraped.is_empty(), "the README lacks {:?}", scraped.keys());
}

#[tokio::test]
async fn a_health_check_and_a_watch_count_as_calls_of_their_own() {
    let gateway = Running::over(&emulator().await).await;
    let mut watch = watch_health(gateway.connect().await).await;
    until(
        &mut watch,
        tonic_health::pb::health_check_response::ServingStatus::Serving,
    )
    .await;
    let method = r#"rpc_method="grpc.health.v1.Health/Watch""#;
    let scrape = Scrape::of(&gateway).await;
    assert_eq!(
        scrape.value("face_liveness_calls_in_flight", &[method]),
        1.0
    );
    drop(watch);
    while Scrape::of(&gateway)
        .await
        .value("face_liveness_calls_in_flight", &[method])
        > 0.0
    {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
