//! An answer on its way in, made safe for tonic.

use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderMap, Response};
use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Frame, Incoming};
use tonic::Status;
use tonic::body::Body;
use tonic::metadata::{Binary, MetadataValue};

use super::failure::Failure;
use super::target::Target;

const DETAILS: &str = "grpc-status-details-bin";

/// Names what breaks in mid-answer, and drops details that tonic would panic on.
pub(super) fn admit(
    mut response: Response<Incoming>,
    target: Arc<Target>,
    address: SocketAddr,
) -> Response<Body> {
    drop_broken_details(response.headers_mut());
    response.map(|body| {
        Body::new(body.map_frame(admit_frame).map_err(move |error| {
            Status::from(Failure::Broken {
                authority: target.authority.to_string(),
                address,
                error: Arc::new(error),
            })
        }))
    })
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
    let broken = headers.get(DETAILS).is_some_and(|details| {
        MetadataValue::<Binary>::try_from(details.as_bytes())
            .is_ok_and(|value| value.to_bytes().is_err())
    });
    if broken {
        headers.remove(DETAILS);
    }
}
