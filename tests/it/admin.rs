//! The admin port tells operators everything, web pages nothing, and nobody a
//! secret.

use face_liveness_client::v1::CreateSessionRequest;
use face_liveness_gateway::config::AwsIdentity;
use face_liveness_gateway::gateway::Gateway;
use face_liveness_gateway::telemetry::logs::Log;
use rekognition_emulator::Fault;
use tonic_health::pb::health_check_response::ServingStatus;

use crate::http::{Answer, get, send};
use crate::metrics::Scrape;
use crate::raw::{CREATE, framed, refusal};
use crate::support::{ONE_REGION, Running, config, emulator, load, until, watch_health};

async fn serving(gateway: &Running) {
    let mut states = watch_health(gateway.connect().await).await;
    until(&mut states, ServingStatus::Serving).await;
}

#[tokio::test]
async fn readyz_says_why_before_during_and_after_service() {
    let emulator = emulator().await;
    let mut config = config(
        &emulator,
        "region = 'us-east-1'\n[server]\ndrain_delay = '1h'",
    )
    .await;
    let gateway = Running::start(config.clone());
    serving(&gateway).await;
    let ready = get(gateway.admin, "/readyz").await;
    assert_eq!((ready.code, &ready.json()["ready"]), (200, &true.into()));
    let checks = ready.json()["checks"].clone();
    assert_eq!(checks[0]["name"], "aws_credentials");
    assert_eq!(checks[0]["reason"], "loaded");
    gateway.begin_shutdown();
    let draining = loop {
        let answer = get(gateway.admin, "/readyz").await;
        if answer.code == 503 {
            break answer.json();
        }
    };
    assert_eq!(draining["checks"][1]["name"], "draining");
    assert_eq!(draining["checks"][1]["ready"], false);
    assert_eq!(draining["checks"][1]["reason"], "shutting down");
    assert_eq!(get(gateway.admin, "/livez").await.code, 200);

    config.aws.identity = AwsIdentity::DefaultChain {
        profile: Some("no-such-profile".to_owned()),
    };
    let gateway = Running::start(config);
    let reason = loop {
        let answer = get(gateway.admin, "/readyz").await;
        assert_eq!(answer.code, 503);
        let reason = answer.json()["checks"][0]["reason"].clone();
        if reason != "being loaded" {
            break reason.as_str().unwrap().to_owned();
        }
    };
    assert!(
        reason.contains("does not accept the gateway's credentials"),
        "{reason}"
    );
    assert!(!reason.contains("no-such-profile"), "{reason}");
}

#[tokio::test]
async fn a_lost_store_is_told_and_does_not_make_the_gateway_unready() {
    let toml =
        format!("quota_store = 'redis://:hush@127.0.0.1:9'\n{ONE_REGION}[quota]\nshare = 0.5");
    let gateway = Running::configured(&emulator().await, &toml).await;
    serving(&gateway).await;
    let ready = get(gateway.admin, "/readyz").await;
    assert_eq!(ready.code, 200);
    let store = &ready.json()["checks"][2];
    assert_eq!(store["name"], "quota_store.us-east-1");
    assert_eq!(
        (&store["ready"], &store["required"]),
        (&false.into(), &false.into())
    );
    let scrape = Scrape::of(&gateway).await;
    let state = |state| scrape.value("face_liveness_quota_store_state", &[state]);
    assert_eq!(
        (state(r#"state="alone""#), state(r#"state="shared""#)),
        (1.0, 0.0)
    );
    let effective = "face_liveness_quota_rate_effective_per_second";
    // Half of 25, rounded down, as the share is.
    assert_eq!(scrape.value(effective, &[r#"bound="creates""#]), 12.0);

    let shown = get(gateway.admin, "/config").await.body;
    assert!(
        shown.contains("127.0.0.1:9") && !shown.contains("hush"),
        "{shown}"
    );
    let status = get(gateway.admin, "/status").await;
    assert_eq!(status.json()["regions"][0]["quota"]["store"], "alone");
    assert!(!status.body.contains("hush"), "{}", status.body);
}

#[tokio::test]
async fn config_is_what_check_config_prints() {
    let toml = format!("{ONE_REGION}max_in_flight = 7\n[[callers]]\nid = 'checkout'\nweight = 3\n");
    let gateway = Running::configured(&emulator().await, &toml).await;
    let shown = get(gateway.admin, "/config").await;
    assert_eq!(shown.code, 200);
    for expected in ["max_in_flight = 7", "id = \"checkout\"", "weight = 3"] {
        assert!(shown.body.contains(expected), "{}", shown.body);
    }
}

#[tokio::test]
async fn status_agrees_with_metrics_and_tells_the_last_refusals_with_their_remedies() {
    let emulator = emulator().await;
    let toml = format!("{ONE_REGION}[[callers]]\nid = 'checkout'\n");
    let gateway = Running::configured(&emulator, &toml).await;
    serving(&gateway).await;
    gateway
        .create(CreateSessionRequest::default())
        .await
        .unwrap();
    emulator.set_faults([Fault::access_denied()]);
    let named = [("x-request-id", "find-me"), ("x-caller-id", "hush")];
    let token = CreateSessionRequest {
        client_request_token: Some("hush".to_owned()),
        ..Default::default()
    };
    let message = prost::Message::encode_to_vec(&token);
    let length = u32::try_from(message.len()).unwrap();
    refusal(&gateway, &named, framed(length, &message)).await;

    let answer = get(gateway.admin, "/status").await;
    let status = answer.json();
    let scrape = Scrape::of(&gateway).await;
    let region = &status["regions"][0];
    let same = |value: &serde_json::Value, name: &str, labels: &[&str]| {
        assert_eq!(
            value.as_f64(),
            Some(scrape.value(name, labels)),
            "{name}: {status:#}"
        );
    };
    same(&region["sessions"], "face_liveness_sessions_total", &[]);
    same(
        &status["refusals"]["UPSTREAM_ACCESS_DENIED"],
        "face_liveness_refusals_total",
        &["UPSTREAM_ACCESS_DENIED"],
    );
    same(
        &region["upstream"]["attempts"]["access_denied"],
        "face_liveness_upstream_duration_seconds_count",
        &[r#"outcome="access_denied""#],
    );
    same(
        &region["quota"]["configured_per_second"]["creates"],
        "face_liveness_quota_rate_configured_per_second",
        &[r#"bound="creates""#],
    );
    assert_eq!(region["quota"]["permits"], 2);
    for span in ["last_minute", "since_start"] {
        let latency = &region["upstream"]["latency"][span];
        assert_eq!(latency["count"], 2, "{span}");
        assert!(latency["p99_seconds"].as_f64() > Some(0.0), "{span}");
        assert_eq!(region["quota"]["wait"][span]["count"], 2, "{span}");
    }
    let methods = status["calls"]["by_method"].as_array().unwrap();
    let create = methods
        .iter()
        .find(|method| method["method"] == CREATE[1..])
        .unwrap();
    assert_eq!(create["by_status"]["OK"], 1);
    assert_eq!(create["by_status"]["INTERNAL"], 1);
    assert_eq!(create["in_flight"], 0);
    assert_eq!(create["latency"]["last_minute"]["count"], 2);
    assert_eq!(status["callers"].as_array().unwrap().len(), 2);
    assert_eq!(status["callers"][0]["caller"], "_OTHER");
    assert_eq!(status["callers"][0]["share"], 1.0);
    assert_eq!(status["ready"], true);
    let readiness = get(gateway.admin, "/readyz").await.json();
    assert_eq!(status["checks"], readiness["checks"]);
    assert_eq!(status["config_digest"].as_str().unwrap().len(), 12);
    assert!(
        status["version"]
            .as_str()
            .unwrap()
            .starts_with(env!("CARGO_PKG_VERSION"))
    );
    let last = &status["last_refusals"][0];
    assert_eq!(last["reason"], "UPSTREAM_ACCESS_DENIED");
    assert_eq!(last["code"], "INTERNAL");
    assert_eq!(last["request_id"], "find-me");
    assert!(
        last["remedy"]
            .as_str()
            .unwrap()
            .contains("rekognition:CreateFaceLivenessSession")
    );
    assert!(!answer.body.contains("hush"), "{status:#}");
}

#[tokio::test]
async fn a_web_page_gets_nothing_through_a_browser() {
    let gateway = Running::over(&emulator().await).await;
    let rebound = "GET /status HTTP/1.1\r\nhost: evil.example:9464\r\n\r\n";
    let answer = send(gateway.admin, rebound).await;
    assert_eq!(answer.code, 421);
    assert!(answer.body.contains("localhost"), "{}", answer.body);
    let crossing = "GET /status HTTP/1.1\r\nhost: localhost\r\norigin: http://evil.example\r\n\r\n";
    let answer = send(gateway.admin, crossing).await;
    assert_eq!(answer.header("access-control-allow-origin"), None);

    let page = get(gateway.admin, "/").await;
    assert_eq!(page.code, 200);
    assert!(
        page.header("content-type")
            .unwrap()
            .starts_with("text/html")
    );
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
        ("x-frame-options", "DENY"),
    ] {
        assert_eq!(page.header(name), Some(value));
    }
}

#[tokio::test]
async fn only_what_there_is_can_be_got_and_nothing_be_posted() {
    let gateway = Running::over(&emulator().await).await;
    let unknown = get(gateway.admin, "/debug/pprof").await;
    assert_eq!(unknown.code, 404);
    assert!(unknown.body.contains("/readyz"), "{}", unknown.body);
    let paths = [
        "/",
        "/status",
        "/metrics",
        "/livez",
        "/readyz",
        "/config",
        "/log-level",
    ];
    for path in paths {
        let post = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(send(gateway.admin, &post).await.code, 405, "{path}");
    }
}

#[tokio::test]
async fn what_a_client_sends_is_bounded() {
    let gateway = Running::over(&emulator().await).await;
    let large = format!(
        "GET / HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n",
        "x".repeat(20 * 1024)
    );
    assert_eq!(send(gateway.admin, &large).await.code, 431);
    let many = format!(
        "GET / HTTP/1.1\r\nhost: localhost\r\n{}\r\n",
        "x: y\r\n".repeat(100)
    );
    assert_eq!(send(gateway.admin, &many).await.code, 431);
}

#[tokio::test]
async fn off_is_off() {
    let mut config = load(ONE_REGION, None).await;
    config.admin_listen = "off".parse().unwrap();
    let gateway = Gateway::bind(config).unwrap();
    assert_eq!(gateway.admin_addr().unwrap(), None);
}

/// Puts a body of this type to /log-level.
async fn put(gateway: &Running, kind: &str, body: &str) -> Answer {
    let length = body.len();
    let head = format!(
        "PUT /log-level HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n"
    );
    send(gateway.admin, &format!("{head}{body}")).await
}

#[tokio::test]
async fn the_level_of_the_log_can_be_read_and_put_by_what_no_web_page_may_send() {
    let config = config(&emulator().await, ONE_REGION).await;
    let (log, _subscriber) =
        Log::prepare(config.log, &config.otlp, std::io::stderr, false).unwrap();
    let bound = Gateway::bind(config).unwrap().with_log(log.handle());
    let gateway = Running::run(bound);
    let level = get(gateway.admin, "/log-level").await;
    assert_eq!(level.json()["filter"], "info");
    let changed = put(&gateway, "application/json", r#"{"filter": "debug"}"#).await;
    assert_eq!(
        (changed.code, &changed.json()["filter"]),
        (200, &"debug".into())
    );
    assert_eq!(log.handle().level().get().to_string(), "debug");

    let large = format!("{{\"filter\": \"{}\"}}", "x".repeat(2048));
    for (kind, body, code, told) in [
        (
            "text/plain",
            r#"{"filter": "trace"}"#,
            415,
            "application/json",
        ),
        (
            "application/json",
            r#"{"filter": "hyper=trace"}"#,
            400,
            "libraries stay at warn",
        ),
        (
            "application/json",
            r#"{"level": "trace"}"#,
            400,
            "send JSON such as",
        ),
        ("application/json", &large, 413, ""),
    ] {
        let refused = put(&gateway, kind, body).await;
        assert_eq!(refused.code, code, "{body}");
        assert!(refused.body.contains(told), "{}", refused.body);
    }
    assert_eq!(log.handle().level().get().to_string(), "debug");
}

#[tokio::test]
async fn a_log_that_is_not_the_gateways_is_told_as_such() {
    let gateway = Running::over(&emulator().await).await;
    assert_eq!(get(gateway.admin, "/log-level").await.code, 503);
}
