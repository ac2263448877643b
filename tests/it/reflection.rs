//! Reflection, v1 and v1alpha, knows every service on the port, with comments.

use prost::Message as _;
use prost_types::FileDescriptorProto;
use tonic_reflection::pb::{v1, v1alpha};

use crate::support::{Running, emulator};

const SERVICES: [&str; 4] = [
    "faceliveness.v1.FaceLivenessService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// Asks the reflection service of one version; the two differ in name only.
macro_rules! ask {
    ($version:ident, $gateway:expr, $question:ident($text:expr), $answer:ident) => {{
        use $version::server_reflection_client::ServerReflectionClient;
        use $version::server_reflection_request::MessageRequest;
        use $version::server_reflection_response::MessageResponse;
        let request = $version::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::$question($text.to_string())),
        };
        let mut client = ServerReflectionClient::new($gateway.connect().await);
        let answers = client
            .server_reflection_info(tokio_stream::once(request))
            .await
            .unwrap();
        match answers
            .into_inner()
            .message()
            .await
            .unwrap()
            .unwrap()
            .message_response
        {
            Some(MessageResponse::$answer(answer)) => answer,
            other => panic!("{other:?}"),
        }
    }};
}

#[tokio::test]
async fn both_versions_list_every_service() {
    let gateway = Running::over(&emulator().await).await;
    let names = ask!(v1, gateway, ListServices(""), ListServicesResponse)
        .service
        .into_iter()
        .map(|s| s.name);
    assert_eq!(names.collect::<Vec<_>>(), SERVICES);
    let names = ask!(v1alpha, gateway, ListServices(""), ListServicesResponse)
        .service
        .into_iter()
        .map(|s| s.name);
    assert_eq!(names.collect::<Vec<_>>(), SERVICES);
}

#[tokio::test]
async fn every_listed_service_and_every_error_detail_has_a_descriptor() {
    let gateway = Running::over(&emulator().await).await;
    let details = [
        "google.rpc.ErrorInfo",
        "google.rpc.BadRequest",
        "google.rpc.RetryInfo",
        "google.rpc.QuotaFailure",
    ];
    for symbol in SERVICES.iter().chain(&details) {
        let found = ask!(
            v1,
            gateway,
            FileContainingSymbol(symbol),
            FileDescriptorResponse
        );
        assert!(!found.file_descriptor_proto.is_empty(), "{symbol}");
    }
}

#[tokio::test]
async fn comments_survive() {
    let gateway = Running::over(&emulator().await).await;
    let symbol = "faceliveness.v1.CreateSessionRequest";
    let found = ask!(
        v1,
        gateway,
        FileContainingSymbol(symbol),
        FileDescriptorResponse
    );
    let comments: String = found
        .file_descriptor_proto
        .iter()
        .flat_map(|file| {
            FileDescriptorProto::decode(file.as_slice())
                .unwrap()
                .source_code_info
                .unwrap()
                .location
        })
        .filter_map(|location| location.leading_comments)
        .collect();
    assert!(
        comments.contains("Constraint: 1 to 64 letters, digits, `-` or `_`."),
        "{comments}"
    );
}
