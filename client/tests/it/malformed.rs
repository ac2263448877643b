//! What is no answer of the gateway's: a typed error, and never a panic.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use face_liveness_client::testing::{Answer, FakeGateway};
use face_liveness_client::v1::CreateSessionResponse;
use face_liveness_client::{Error, ErrorKind};
use http::Response;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tonic::Code;

use crate::support::{client_of, create, quick};

fn valid() -> CreateSessionResponse {
    let now = SystemTime::now();
    CreateSessionResponse {
        session_id: "4f1c2f0e-0d2b-4a7e-9b1e-8f3a6f0c9d21".to_owned(),
        region: "us-east-1".to_owned(),
        create_time: Some(now.into()),
        expire_time: Some((now + Duration::from_secs(180)).into()),
        replayed: false,
    }
}

#[tokio::test]
async fn an_answer_without_a_valid_session_is_an_error_that_says_what_is_wrong() {
    let gateway = FakeGateway::start().await.unwrap();
    let client = client_of(&gateway);
    gateway.enqueue(Answer::response(valid()));
    create(&client).await.unwrap();

    let id = valid().session_id;
    let with_id = |session_id: &str| CreateSessionResponse {
        session_id: session_id.to_owned(),
        ..valid()
    };
    let (created, expires) = (valid().create_time, valid().expire_time);
    for (answer, fault) in [
        (with_id(""), "session_id"),
        (with_id(&id.to_uppercase()), "session_id"),
        (with_id(&id.replace('-', "")), "session_id"),
        (with_id(&id[1..]), "session_id"),
        (
            CreateSessionResponse {
                region: String::new(),
                ..valid()
            },
            "region",
        ),
        (
            CreateSessionResponse {
                create_time: None,
                ..valid()
            },
            "create_time",
        ),
        (
            CreateSessionResponse {
                expire_time: None,
                ..valid()
            },
            "expire_time",
        ),
        (
            CreateSessionResponse {
                create_time: expires,
                expire_time: created,
                ..valid()
            },
            "expire_time is before create_time",
        ),
    ] {
        gateway.enqueue(Answer::response(answer));
        let error = create(&client).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{fault}");
        assert_eq!(error.code(), Code::Internal);
        assert!(!error.is_retryable());
        assert!(error.message().contains(fault), "{error}");
        assert!(!error.message().contains(&id), "{error}");
    }
}

/// A server that answers every call alike.
async fn always(
    status: u16,
    headers: &[(&str, &str)],
    body: &'static [u8],
    trailers: &[(&str, &str)],
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut answer = Response::builder().status(status);
    for (key, value) in headers {
        answer = answer.header(*key, *value);
    }
    let answer = answer.body(()).unwrap();
    let trailers: http::HeaderMap = trailers
        .iter()
        .map(|(key, value)| {
            (
                key.parse::<http::HeaderName>().unwrap(),
                value.parse().unwrap(),
            )
        })
        .collect();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (answer, trailers) = (answer.clone(), trailers.clone());
            let service = service_fn(move |request: http::Request<Incoming>| {
                let (answer, trailers) = (answer.clone(), trailers.clone());
                async move {
                    request.into_body().collect().await.unwrap();
                    let body = Full::new(Bytes::from_static(body))
                        .with_trailers(async { (!trailers.is_empty()).then_some(Ok(trailers)) });
                    Ok::<_, Infallible>(
                        answer.map(|()| body.map_frame(|frame: Frame<Bytes>| frame)),
                    )
                }
            });
            let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(tcp), service);
            tokio::spawn(serving);
        }
    });
    address
}

async fn error_of(address: SocketAddr) -> Error {
    let endpoint = format!("http://{address}");
    let client = quick().endpoint(endpoint).max_attempts(2).build().unwrap();
    create(&client).await.unwrap_err()
}

const GRPC: (&str, &str) = ("content-type", "application/grpc");

#[tokio::test]
async fn details_that_are_no_base64_are_passed_over() {
    let refusal = [
        ("grpc-status", "3"),
        ("grpc-message", "no"),
        ("grpc-status-details-bin", "%%%"),
    ];
    let headers_alone = always(200, &[&[GRPC], &refusal[..]].concat(), b"", &[]).await;
    let in_trailers = always(200, &[GRPC], b"", &refusal).await;
    for address in [headers_alone, in_trailers] {
        let error = error_of(address).await;
        assert_eq!(error.code(), Code::InvalidArgument, "{error}");
        assert_eq!(error.message(), "no");
        assert_eq!(error.reason(), None);
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_decoded_is_malformed() {
    let message = b"\0\0\0\0\x02\xff\xff";
    let error = error_of(always(200, &[GRPC], message, &[("grpc-status", "0")]).await).await;
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_refused() {
    const HUGE: &[u8] = &[0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0];
    let error = error_of(always(200, &[GRPC], HUGE, &[("grpc-status", "0")]).await).await;
    assert!(!error.is_retryable(), "{error}");
}

#[tokio::test]
async fn a_proxys_answer_becomes_the_code_that_grpc_gives_it() {
    let html = [("content-type", "text/html")];
    for (status, code, attempts) in [
        (401, Code::Unauthenticated, 1),
        (403, Code::PermissionDenied, 1),
        (404, Code::Unimplemented, 1),
        (503, Code::Unavailable, 2),
        (200, Code::Unknown, 1),
    ] {
        let error = error_of(always(status, &html, b"<html>", &[]).await).await;
        assert_eq!(error.code(), code, "{status}: {error}");
        assert_eq!(error.attempts(), attempts, "{status}");
        assert_eq!(error.reason(), None);
    }
}
