//! A trace goes on at the gateway.

use std::sync::Once;

use face_liveness_client::Reason;
use face_liveness_client::testing::{FakeGateway, Refusal};
use opentelemetry::trace::{
    FutureExt as _, SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tower::util::MapRequestLayer;

use crate::support::{client_of, create, quick};

fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    });
}

#[tokio::test]
async fn every_attempt_carries_the_current_context() {
    install();
    let gateway = FakeGateway::start().await.unwrap();
    gateway.enqueue(Refusal::new(Reason::Draining));
    let span = SpanContext::new(
        TraceId::from_hex("0af7651916cd43dd8448eb211c80319c").unwrap(),
        SpanId::from_hex("b7ad6b7169203331").unwrap(),
        TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    );
    let context = opentelemetry::Context::new().with_remote_span_context(span);
    create(&client_of(&gateway))
        .with_context(context)
        .await
        .unwrap();
    let requests = gateway.requests();
    assert_eq!(requests.len(), 2);
    for request in requests {
        assert_eq!(
            request.text("traceparent"),
            Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        );
    }
}

#[tokio::test]
async fn a_call_without_a_context_carries_none() {
    install();
    let gateway = FakeGateway::start().await.unwrap();
    create(&client_of(&gateway)).await.unwrap();
    assert_eq!(gateway.requests()[0].text("traceparent"), None);
}

#[tokio::test]
async fn a_layer_sees_every_attempt_the_last_one_outermost() {
    let gateway = FakeGateway::start().await.unwrap();
    gateway.enqueue(Refusal::new(Reason::Draining));
    let add = |name: &'static str| {
        MapRequestLayer::new(move |mut request: http::Request<tonic::body::Body>| {
            let value = http::HeaderValue::from_static(name);
            request.headers_mut().append("x-layer", value);
            request
        })
    };
    let client = quick()
        .endpoint(gateway.endpoint())
        .layer(add("inner"))
        .layer(add("outer"))
        .build()
        .unwrap();
    create(&client).await.unwrap();
    let requests = gateway.requests();
    assert_eq!(requests.len(), 2);
    for request in requests {
        let layers: Vec<_> = request.metadata.get_all("x-layer").iter().collect();
        assert_eq!(layers, ["outer", "inner"]);
    }
}
