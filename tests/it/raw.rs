//! An HTTP/2 client that sends whatever it is told to, and minds no deadline.

use std::net::SocketAddr;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tonic::Status;

use crate::support::Running;

/// The path of the method.
pub(crate) const CREATE: &str = "/faceliveness.v1.FaceLivenessService/CreateSession";

/// The header that makes a request gRPC.
pub(crate) const GRPC: (&str, &str) = ("content-type", "application/grpc");

/// A message in gRPC's framing, with `length` in its header.
pub(crate) fn framed(length: u32, message: &[u8]) -> Bytes {
    let mut body = BytesMut::new();
    body.put_u8(0);
    body.put_u32(length);
    body.put_slice(message);
    body.freeze()
}

/// Posts `body` with these headers over a new connection.
pub(crate) async fn post(
    gateway: &Running,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Response<Incoming> {
    post_to(gateway.address, path, headers, body).await
}

async fn post_to(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Response<Incoming> {
    let stream = TcpStream::connect(address).await.unwrap();
    let io = TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .unwrap();
    tokio::spawn(connection);
    let uri = format!("http://{address}{path}");
    let request = headers.iter().fold(
        Request::post(uri).header("te", "trailers"),
        |request, (name, value)| request.header(*name, *value),
    );
    sender
        .send_request(request.body(Full::new(body)).unwrap())
        .await
        .unwrap()
}

/// The status of a call with these headers and this body that is refused.
pub(crate) async fn refusal(gateway: &Running, headers: &[(&str, &str)], body: Bytes) -> Status {
    refused_by(gateway.address, headers, body).await
}

/// The same by a gateway at this address.
pub(crate) async fn refused_by(
    address: SocketAddr,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Status {
    let answer = post_to(address, CREATE, &[&[GRPC], headers].concat(), body).await;
    Status::from_header_map(answer.headers()).unwrap()
}
