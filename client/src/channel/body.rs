//! An answer on its way in, made safe for tonic.

use std::net::SocketAddr;
use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Frame, Incoming};
use tonic::Status;
use tonic::body::Body;
use tonic::metadata::MetadataMap;

use super::failure::Failure;
use super::target::Target;

const DETAILS: &str = "grpc-status-details-bin";

/// Refuses what is not gRPC, names what breaks in mid-answer, and drops details
/// that tonic would panic on.
pub(super) fn admit(
    mut response: Response<Incoming>,
    target: Arc<Target>,
    address: SocketAddr,
) -> Result<Response<Body>, Failure> {
    if !is_grpc(response.headers()) {
        return Err(Failure::NotGrpc {
            authority: target.authority.to_string(),
            address,
            status: response.status(),
        });
    }
    drop_broken_details(response.headers_mut());
    Ok(response.map(|body| {
        Body::new(body.map_frame(admit_frame).map_err(move |error| {
            Status::from(Failure::Broken {
                authority: target.authority.to_string(),
                address,
                error: Arc::new(error),
            })
        }))
    }))
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    content_type.is_some_and(|it| it.starts_with(b"application/grpc"))
        || headers.contains_key(Status::GRPC_STATUS)
}

fn admit_frame(frame: Frame<Bytes>) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            drop_broken_details(&mut trailers);
            Frame::trailers(trailers)
        }
        Err(frame) => frame,
    }
}

/// `Status::from_header_map` takes for granted that they are base64.
fn drop_broken_details(headers: &mut HeaderMap) {
    let Some(details) = headers.get(DETAILS) else {
        return;
    };
    let alone = HeaderMap::from_iter([(HeaderName::from_static(DETAILS), details.clone())]);
    let alone = MetadataMap::from_headers(alone);
    let broken = alone
        .get_bin(DETAILS)
        .is_some_and(|details| details.to_bytes().is_err());
    if broken {
        headers.remove(DETAILS);
    }
}
