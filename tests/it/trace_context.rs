//! A call belongs to its caller's trace, and AWS is told so if that is asked for.

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::collector::Collector;
use crate::support::{ONE_REGION, Running, config, emulator};
use crate::traces::{PARENT, TRACE, call, end, hex, of_kind, traced};

#[tokio::test]
async fn callers_traces_are_joined_unless_that_is_switched_off() {
    for (propagators, joined) in [("tracecontext,baggage", true), ("none", false)] {
        let collector = Collector::start().await;
        let emulator = emulator().await;
        let variables = [("OTEL_PROPAGATORS", propagators)];
        let gateway = traced(&emulator, &collector, &variables).await;
        let mut request = call(true);
        let state = "congo=hush,ot=th:c;p:hush".parse().unwrap();
        request.metadata_mut().insert("tracestate", state);
        gateway
            .client()
            .await
            .create_session(request)
            .await
            .unwrap();
        end(gateway).await;
        let spans = collector.spans();
        let [server] = of_kind(&spans, SpanKind::Server)[..] else {
            panic!("{spans:?}")
        };
        assert_eq!(hex(&server.trace_id) == TRACE, joined, "{propagators}");
        let kept = if joined { "ot=th:c" } else { "" };
        assert_eq!(server.trace_state, kept, "{propagators}");
        collector.assert_lacks(&["hush"]);
    }
}

#[tokio::test]
async fn a_sampler_that_does_not_ask_the_parent_keeps_its_trace() {
    let collector = Collector::start().await;
    let always_on = [("OTEL_TRACES_SAMPLER", "always_on")];
    let emulator = emulator().await;
    let gateway = traced(&emulator, &collector, &always_on).await;
    gateway
        .client()
        .await
        .create_session(call(false))
        .await
        .unwrap();
    end(gateway).await;
    let spans = collector.spans();
    assert_eq!(spans.len(), 2);
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE));
}

#[tokio::test]
async fn aws_is_told_the_trace_if_that_is_asked_for() {
    let asked_for = format!("{ONE_REGION}[telemetry]\naws_trace_header = true\n");
    for (toml, expected) in [
        (
            &*asked_for,
            Some(format!(
                "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent={PARENT};Sampled=0"
            )),
        ),
        (ONE_REGION, None),
    ] {
        let emulator = emulator().await;
        let aws = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut config = config(&emulator, toml).await;
        let url = format!("http://{}", aws.local_addr().unwrap());
        config.regions[0].endpoint_url = Some(url.parse().unwrap());
        let gateway = Running::start(config);
        let mut client = gateway.client().await;
        tokio::spawn(async move { client.create_session(call(false)).await });
        let (mut stream, _) = aws.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.windows(4).any(|window| window == b"\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut head).await.unwrap(), 0);
        }
        let head = String::from_utf8_lossy(&head);
        let header = head
            .lines()
            .find_map(|line| line.strip_prefix("x-amzn-trace-id: "));
        assert_eq!(header, expected.as_deref());
        assert!(
            !head
                .to_lowercase()
                .contains("signedheaders=x-amzn-trace-id")
        );
    }
}
