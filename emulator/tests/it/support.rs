//! Clients for the tests: the real SDK, and plain HTTP over a socket.

use std::io;
use std::net::SocketAddr;

use aws_sdk_rekognition::Client;
use aws_sdk_rekognition::config::retry::RetryConfig;
use aws_sdk_rekognition::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_rekognition::error::{ProvideErrorMetadata, SdkError};
use rekognition_emulator::{Builder, Clock, Emulator, Quota};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const CREATE: &str = "CreateFaceLivenessSession";
pub(crate) const GET: &str = "GetFaceLivenessSessionResults";

/// An emulator without quotas whose clock stands still.
pub(crate) fn emulator() -> Builder {
    Emulator::builder()
        .quota(Quota::UNLIMITED)
        .clock(Clock::frozen())
        .seed(1)
}

/// An emulator that answers unsigned requests, started.
pub(crate) async fn unsigned() -> Emulator {
    emulator().verify_signatures(false).start().await.unwrap()
}

pub(crate) fn sdk_config(
    emulator: &Emulator,
    region: &str,
) -> aws_sdk_rekognition::config::Builder {
    Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
        .endpoint_url(emulator.endpoint_url())
        .retry_config(RetryConfig::disabled())
}

/// The SDK with the right key pair, without retries.
pub(crate) fn sdk(emulator: &Emulator, region: &str) -> Client {
    Client::from_conf(sdk_config(emulator, region).build())
}

/// The error's code and HTTP status, as the SDK understood them.
pub(crate) fn refusal<T, E: ProvideErrorMetadata>(
    result: Result<T, SdkError<E>>,
) -> (Option<String>, Option<u16>) {
    let Err(error) = result else {
        return (None, None);
    };
    let status = error.raw_response().map(|raw| raw.status().as_u16());
    (error.code().map(str::to_owned), status)
}

/// An answer off the wire.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub(crate) fn error_type(&self) -> String {
        self.json()["__type"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

/// Sends bytes and reads until the connection ends.
pub(crate) async fn exchange(addr: SocketAddr, request: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8(answer).unwrap())
}

pub(crate) fn parse(answer: &str) -> Answer {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

/// A request's text; the connection is closed after it.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut text = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    text + "\r\n" + body
}

/// An unsigned call's text.
pub(crate) fn call_text(operation: &str, body: &str) -> String {
    let target = format!("RekognitionService.{operation}");
    let headers = [
        ("content-type", "application/x-amz-json-1.1"),
        ("x-amz-target", target.as_str()),
    ];
    request("POST", "/", &headers, body)
}

/// Makes an unsigned call.
pub(crate) async fn call(emulator: &Emulator, operation: &str, body: &str) -> Answer {
    let text = call_text(operation, body);
    parse(&exchange(emulator.addr(), &text).await.unwrap())
}

/// Calls the control API.
pub(crate) async fn control(emulator: &Emulator, method: &str, path: &str, body: &str) -> Answer {
    let path = format!("/_emulator/{path}");
    let text = request(method, &path, &[("content-type", "application/json")], body);
    parse(&exchange(emulator.addr(), &text).await.unwrap())
}
