//! Input that no client of ours sends gets a clear answer, and the gateway lives.

use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::raw::{CREATE, GRPC, framed, post, refusal};
use crate::support::{ONE_REGION, Running, assert_alive, emulator};

fn assert_invalid(status: &Status, words: &str) {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert_eq!(
        status.get_details_error_info().unwrap().reason,
        "INVALID_REQUEST"
    );
    assert_eq!(
        status.metadata().get("grpc-retry-pushback-ms").unwrap(),
        "-1"
    );
    assert!(status.message().contains(words), "{status:?}");
}

fn assert_unimplemented(status: &Status) {
    assert_eq!(status.code(), Code::Unimplemented, "{status:?}");
    let reason = status.get_details_error_info().unwrap().reason;
    assert_eq!(reason, "UNIMPLEMENTED");
    let pushback = status.metadata().get("grpc-retry-pushback-ms").unwrap();
    assert_eq!(pushback, "-1");
}

#[tokio::test]
async fn invalid_utf8_is_told_with_the_field() {
    let gateway = Running::over(&emulator().await).await;
    // Field 1, a string of two bytes that are not UTF-8.
    let status = refusal(&gateway, &[], framed(4, &[0x0a, 2, 0xff, 0xfe])).await;
    assert_invalid(&status, "kms_key_id");
    assert_alive(&gateway).await;
}

#[tokio::test]
async fn a_message_that_is_not_protobuf_is_invalid() {
    let gateway = Running::over(&emulator().await).await;
    assert_invalid(
        &refusal(&gateway, &[], framed(3, &[0xff, 0xff, 0xff])).await,
        "Protobuf",
    );
    assert_alive(&gateway).await;
}

#[tokio::test]
async fn a_message_above_the_limit_is_refused_before_it_is_read() {
    let gateway = Running::over(&emulator().await).await;
    assert_invalid(
        &refusal(&gateway, &[], framed(64 * 1024 + 1, &[])).await,
        "65536",
    );
    assert_alive(&gateway).await;
}

#[tokio::test]
async fn nor_is_it_read_by_services_that_ask_for_no_proof() {
    let gateway = Running::over(&emulator().await).await;
    // Well-formed: a long name of a service or host, and the wish for a list.
    let long = [
        &[0x0a, 0x80, 0x80, 0x04],
        [b'a'; 64 * 1024].as_slice(),
        &[0x3a, 0],
    ]
    .concat();
    let told = async |path: &str| {
        let body = framed(u32::try_from(long.len()).unwrap(), &long);
        let answer = post(&gateway, path, &[GRPC], body).await;
        let status = Status::from_header_map(answer.headers());
        let body = answer.into_body().collect().await.unwrap();
        let status = status.or_else(|| Status::from_header_map(body.trailers()?));
        (status.unwrap(), body.to_bytes())
    };
    for method in ["Check", "Watch"] {
        let (status, _) = told(&format!("/grpc.health.v1.Health/{method}")).await;
        assert_invalid(&status, "65536");
    }
    for version in ["v1", "v1alpha"] {
        let path = "ServerReflection/ServerReflectionInfo";
        let (_, answers) = told(&format!("/grpc.reflection.{version}.{path}")).await;
        // It ends the stream without a word.
        assert!(answers.is_empty(), "{answers:?}");
    }
}

#[tokio::test]
async fn a_truncated_frame_and_no_message_at_all_are_invalid() {
    let gateway = Running::over(&emulator().await).await;
    assert_invalid(&refusal(&gateway, &[], framed(100, &[0; 10])).await, "");
    assert_invalid(
        &refusal(&gateway, &[], Bytes::from_static(&[0, 0])).await,
        "",
    );
    assert_invalid(&refusal(&gateway, &[], Bytes::new()).await, "message");
    assert_alive(&gateway).await;
}

#[tokio::test]
async fn compression_that_is_not_spoken_is_unimplemented() {
    let gateway = Running::over(&emulator().await).await;
    let gzip = refusal(&gateway, &[("grpc-encoding", "gzip")], framed(0, &[])).await;
    assert_unimplemented(&gzip);
    // Flagged as compressed without saying how.
    let mut compressed = framed(4, &[0x0a, 2, b'o', b'k']).to_vec();
    compressed[0] = 1;
    assert_invalid(&refusal(&gateway, &[], compressed.into()).await, "compress");
    assert_alive(&gateway).await;
}

#[tokio::test]
async fn an_unknown_method_or_service_is_unimplemented() {
    let gateway = Running::over(&emulator().await).await;
    for path in [
        "/faceliveness.v1.FaceLivenessService/Destroy",
        "/no.Service/Method",
        "/",
    ] {
        let answer = post(&gateway, path, &[GRPC], framed(0, &[])).await;
        assert_unimplemented(&Status::from_header_map(answer.headers()).unwrap());
    }
    assert_alive(&gateway).await;
}

#[tokio::test]
async fn a_wrong_content_type_is_told_what_this_port_speaks() {
    let gateway = Running::over(&emulator().await).await;
    for content_type in [None, Some("application/json"), Some("application/grpc-web")] {
        let headers: Vec<_> = content_type
            .map(|value| ("content-type", value))
            .into_iter()
            .collect();
        let answer = post(&gateway, CREATE, &headers, framed(0, &[])).await;
        assert_eq!(
            answer.status(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "{content_type:?}"
        );
        let text = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(text.starts_with(b"this port speaks gRPC"), "{text:?}");
    }
    assert_alive(&gateway).await;
}

/// What a raw connection is answered before it is closed.
async fn answer(gateway: &Running, said: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    stream.write_all(said).await.unwrap();
    let mut answer = Vec::new();
    // Ends, whether the gateway closes or resets.
    let _ = stream.read_to_end(&mut answer).await;
    answer
}

#[tokio::test]
async fn http1_is_told_what_this_port_speaks() {
    let gateway = Running::over(&emulator().await).await;
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: gateway\r\n\r\n")
        .await
        .unwrap();
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 505");
    assert_alive(&gateway).await;
}

#[tokio::test]
async fn garbage_and_tls_are_hung_up_on() {
    let gateway = Running::over(&emulator().await).await;
    assert!(answer(&gateway, &[0, 1, 2, 3, 4, 5, 6, 7]).await.is_empty());
    assert!(
        answer(&gateway, &[0x16, 0x03, 0x01, 0x00, 0xff])
            .await
            .is_empty()
    );
    assert_alive(&gateway).await;
}

#[tokio::test]
async fn garbage_behind_the_preface_ends_the_connection() {
    let gateway = Running::over(&emulator().await).await;
    let said = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &[0xff; 64]].concat();
    answer(&gateway, &said).await;
    assert_alive(&gateway).await;
}

#[tokio::test]
async fn a_connection_that_says_nothing_or_too_little_is_hung_up_on() {
    let toml = format!("{ONE_REGION}handshake_timeout = '100ms'");
    let gateway = Running::configured(&emulator().await, &toml).await;
    assert!(answer(&gateway, b"").await.is_empty());
    assert!(answer(&gateway, b"PRI * HTTP/2.0").await.is_empty());
    assert_alive(&gateway).await;
}
