//! Every call that is sampled is told as a trace, which holds no secret; one that
//! is not costs nothing, and no collector can stand in a call's way.

use std::collections::HashMap;

use face_liveness_client::v1::CreateSessionRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use rekognition_emulator::{Emulator, Fault};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::collector::{Collector, attributes, settings_for};
use crate::metrics::Scrape;
use crate::redis_server::PATIENCE;
use crate::support::{ONE_REGION, Running, config, emulator};

const METHOD: &str = "faceliveness.v1.FaceLivenessService/CreateSession";
pub(crate) const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
pub(crate) const PARENT: &str = "00f067aa0ba902b7";

/// Without the account's quota, which these calls are not about.
const UNLIMITED: &str = "region = 'us-east-1'\n[quota]\ncreates_per_second = 'off'\nconcurrent_sessions = 'off'\n[server]\ndrain_delay = '0s'\n";

const TOKEN: &str = "hush-token-4711";
const KEY_ID: &str = "alias/hush-key-4711";

/// A gateway that is traced.
pub(crate) async fn traced(
    emulator: &Emulator,
    collector: &Collector,
    further: &[(&str, &str)],
) -> Running {
    let mut config = config(emulator, ONE_REGION).await;
    config.otlp = collector.settings(further);
    Running::start(config)
}

/// Ends the gateway, so that all spans have been sent.
pub(crate) async fn end(gateway: Running) {
    gateway.begin_shutdown();
    gateway.ended().await;
}

/// A call with secrets, in a trace of the caller's.
pub(crate) fn call(sampled: bool) -> Request<CreateSessionRequest> {
    let mut request = Request::new(CreateSessionRequest {
        client_request_token: Some(TOKEN.to_owned()),
        kms_key_id: Some(KEY_ID.to_owned()),
        ..Default::default()
    });
    let flags = if sampled { "01" } else { "00" };
    let parent = format!("00-{TRACE}-{PARENT}-{flags}");
    request
        .metadata_mut()
        .insert("traceparent", parent.parse().unwrap());
    request
}

pub(crate) fn of_kind(spans: &[Span], kind: SpanKind) -> Vec<&Span> {
    spans.iter().filter(|span| span.kind() == kind).collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_error(span: &Span) -> bool {
    span.status
        .as_ref()
        .is_some_and(|status| status.code() == StatusCode::Error)
}

/// An event's attributes.
fn event(span: &Span, name: &str) -> HashMap<String, String> {
    let event = span.events.iter().find(|event| event.name == name);
    attributes(
        &event
            .unwrap_or_else(|| panic!("no {name} in {span:?}"))
            .attributes,
    )
}

#[tokio::test]
async fn a_call_is_a_server_span_and_each_attempt_a_client_span_below_it() {
    let collector = Collector::start().await;
    let emulator = emulator().await;
    emulator.set_faults([Fault::throttling().on_call(1)]);
    let gateway = traced(&emulator, &collector, &[]).await;
    let answer = gateway
        .client()
        .await
        .create_session(call(true))
        .await
        .unwrap();
    end(gateway).await;

    let spans = collector.spans();
    let [server] = of_kind(&spans, SpanKind::Server)[..] else {
        panic!("{spans:?}")
    };
    assert_eq!(
        (
            hex(&server.trace_id).as_str(),
            hex(&server.parent_span_id).as_str()
        ),
        (TRACE, PARENT)
    );
    assert_eq!(server.name, METHOD);
    assert!(!is_error(server));
    let told = attributes(&server.attributes);
    let aws_request_id = answer
        .metadata()
        .get("x-amzn-requestid")
        .unwrap()
        .to_str()
        .unwrap();
    for (key, value) in [
        ("rpc.system.name", "grpc"),
        ("rpc.method", METHOD),
        ("rpc.response.status_code", "OK"),
        ("faceliveness.caller", "anonymous"),
        ("cloud.region", "us-east-1"),
        ("aws.request_id", aws_request_id),
        ("faceliveness.attempts", "2"),
        ("faceliveness.replayed", "false"),
    ] {
        assert_eq!(
            told.get(key).map(String::as_str),
            Some(value),
            "{key}: {told:?}"
        );
    }
    assert!(told.contains_key("faceliveness.queue_time"), "{told:?}");
    assert_eq!(
        event(server, "faceliveness.retry")["error.type"],
        "throttled"
    );
    assert_eq!(
        event(server, "faceliveness.queue")["faceliveness.queue.outcome"],
        "granted"
    );

    let [failed, made] = of_kind(&spans, SpanKind::Client)[..] else {
        panic!("{spans:?}")
    };
    for (attempt, number) in [(failed, "1"), (made, "2")] {
        assert_eq!(attempt.name, "Rekognition.CreateFaceLivenessSession");
        assert_eq!(attempt.parent_span_id, server.span_id);
        assert_eq!(attempt.trace_id, server.trace_id);
        let told = attributes(&attempt.attributes);
        assert_eq!(told["faceliveness.attempt"], number);
        assert_eq!(told["cloud.region"], "us-east-1");
        assert!(told.contains_key("faceliveness.queue_time"), "{told:?}");
        assert!(told.contains_key("aws.request_id"), "{told:?}");
    }
    assert_eq!((is_error(failed), is_error(made)), (true, false));
    assert_eq!(attributes(&failed.attributes)["error.type"], "throttled");
    assert_eq!(
        collector.resource()["service.name"],
        "face-liveness-gateway"
    );
    collector.assert_lacks(&[TOKEN, KEY_ID, &answer.get_ref().session_id]);
}

#[tokio::test]
async fn a_repeat_is_told_as_one_and_has_no_attempt() {
    let collector = Collector::start().await;
    let emulator = emulator().await;
    let gateway = traced(&emulator, &collector, &[]).await;
    let mut client = gateway.client().await;
    client.create_session(call(true)).await.unwrap();
    client.create_session(call(true)).await.unwrap();
    end(gateway).await;

    let spans = collector.spans();
    assert_eq!(of_kind(&spans, SpanKind::Client).len(), 1);
    let servers = of_kind(&spans, SpanKind::Server);
    let repeat = servers
        .iter()
        .find(|span| attributes(&span.attributes)["faceliveness.replayed"] == "true");
    let hit = event(repeat.unwrap(), "faceliveness.ledger.hit");
    assert_eq!(hit["faceliveness.ledger.found"], "session");
}

#[tokio::test]
async fn only_what_is_the_servers_fault_is_an_error_of_its_span() {
    let collector = Collector::start().await;
    let emulator = emulator().await;
    emulator.set_faults([Fault::access_denied()]);
    let gateway = traced(&emulator, &collector, &[]).await;
    let mut client = gateway.client().await;
    let invalid = CreateSessionRequest {
        region: Some("Europe".to_owned()),
        ..Default::default()
    };
    assert_eq!(
        client.create_session(invalid).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    assert_eq!(
        client.create_session(call(true)).await.unwrap_err().code(),
        Code::Internal
    );
    end(gateway).await;

    let spans = collector.spans();
    let ended: HashMap<_, _> = of_kind(&spans, SpanKind::Server)
        .iter()
        .map(|span| {
            (
                attributes(&span.attributes)["rpc.response.status_code"].clone(),
                *span,
            )
        })
        .collect();
    let invalid = ended["INVALID_ARGUMENT"];
    assert!(!is_error(invalid) && !attributes(&invalid.attributes).contains_key("error.type"));
    let internal = ended["INTERNAL"];
    assert!(is_error(internal));
    assert_eq!(attributes(&internal.attributes)["error.type"], "INTERNAL");
    assert_eq!(
        internal.status.as_ref().unwrap().message,
        "UPSTREAM_ACCESS_DENIED"
    );
}

#[tokio::test]
async fn a_method_that_there_is_not_becomes_no_name() {
    let collector = Collector::start().await;
    let emulator = emulator().await;
    let gateway = traced(&emulator, &collector, &[]).await;
    let channel = gateway.connect().await;
    HealthClient::new(channel.clone())
        .check(HealthCheckRequest::default())
        .await
        .unwrap();
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let path = http::uri::PathAndQuery::from_static("/made.Up/Method");
    let answer = grpc.unary(Request::new(()), path, codec).await;
    assert_eq!(answer.unwrap_err().code(), Code::Unimplemented);
    end(gateway).await;

    let spans = collector.spans();
    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let other = attributes(&named("grpc").attributes);
    assert_eq!(other["rpc.method"], "_OTHER");
    assert_eq!(other["rpc.method_original"], "made.Up/Method");
    assert_eq!(other["error.type"], "UNIMPLEMENTED");
    let health = attributes(&named("grpc.health.v1.Health/Check").attributes);
    assert_eq!(health["rpc.response.status_code"], "OK");
}

#[tokio::test]
async fn a_call_whose_client_hangs_up_is_cancelled() {
    let collector = Collector::start().await;
    let emulator = emulator().await;
    emulator.set_faults([Fault::hang()]);
    let gateway = traced(&emulator, &collector, &[]).await;
    let mut client = gateway.client().await;
    let given_up = tokio::spawn(async move { client.create_session(call(true)).await });
    while emulator.journal().requests_seen == 0 {
        tokio::task::yield_now().await;
    }
    given_up.abort();
    end(gateway).await;

    let spans = collector.spans();
    let [server] = of_kind(&spans, SpanKind::Server)[..] else {
        panic!("{spans:?}")
    };
    assert_eq!(
        attributes(&server.attributes)["rpc.response.status_code"],
        "CANCELLED"
    );
    assert!(!is_error(server));
    let [attempt] = of_kind(&spans, SpanKind::Client)[..] else {
        panic!("{spans:?}")
    };
    assert_eq!(attributes(&attempt.attributes)["error.type"], "cancelled");
}

#[tokio::test]
async fn a_call_that_is_given_up_in_the_queue_is_told_with_its_wait() {
    let collector = Collector::start().await;
    let emulator = emulator().await;
    let toml = "region = 'us-east-1'\n[quota]\ncreates_per_second = 'off'\nconcurrent_sessions = 1\nsession_length = '25s'\n[server]\ndrain_delay = '0s'\n";
    let mut config = config(&emulator, toml).await;
    config.otlp = collector.settings(&[]);
    let gateway = Running::start(config);
    let mut client = gateway.client().await;
    client
        .create_session(CreateSessionRequest::default())
        .await
        .unwrap();
    let waiting = tokio::spawn(async move { client.create_session(call(true)).await });
    let queue = "face_liveness_quota_queue_depth";
    while Scrape::of(&gateway).await.value(queue, &[]) == 0.0 {}
    waiting.abort();
    end(gateway).await;

    let spans = collector.spans();
    let servers = of_kind(&spans, SpanKind::Server);
    let given_up = servers.iter().find(|span| hex(&span.trace_id) == TRACE);
    let given_up = given_up.unwrap();
    let told = attributes(&given_up.attributes);
    assert_eq!(told["rpc.response.status_code"], "CANCELLED");
    assert!(told.contains_key("faceliveness.queue_time"), "{told:?}");
    let wait = event(given_up, "faceliveness.queue");
    assert_eq!(wait["faceliveness.queue.outcome"], "abandoned");
    assert!(wait.contains_key("faceliveness.queue_time"), "{wait:?}");
    assert_eq!(of_kind(&spans, SpanKind::Client).len(), 1);
}

#[tokio::test]
async fn calls_that_are_not_sampled_export_nothing() {
    let always_off = ("OTEL_TRACES_SAMPLER", "always_off");
    let none = [
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0"),
    ];
    for (variables, sampled) in [(&[][..], false), (&[always_off], true), (&none, true)] {
        let collector = Collector::start().await;
        let emulator = emulator().await;
        let gateway = traced(&emulator, &collector, variables).await;
        gateway
            .client()
            .await
            .create_session(call(sampled))
            .await
            .unwrap();
        end(gateway).await;
        assert_eq!(collector.spans(), [], "{variables:?}");
    }
}

#[tokio::test]
async fn a_collector_that_is_gone_or_never_answers_affects_no_call_and_not_the_end() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let urls =
        [&silent, &gone].map(|listener| format!("http://{}", listener.local_addr().unwrap()));
    drop(gone);
    for url in urls {
        let emulator = emulator().await;
        let mut config = config(&emulator, UNLIMITED).await;
        config.otlp = settings_for(&url, &[]);
        let gateway = Running::start(config);
        let mut client = gateway.client().await;
        for _ in 0..100 {
            client
                .create_session(CreateSessionRequest::default())
                .await
                .unwrap();
        }
        timeout(PATIENCE, end(gateway)).await.unwrap();
    }
}
