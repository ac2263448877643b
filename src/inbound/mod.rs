//! What every incoming RPC crosses. Knows nothing of AWS.
//!
//! Every layer here answers instead of failing (its error type is
//! `Infallible`), because a gRPC refusal is an answer.

mod access_log;
mod admission;
mod allowance;
pub(crate) mod codec;
mod deadline;
mod drain;
mod framing;
mod identity;
mod method;
mod metrics;
mod protocol;
mod request_id;
mod stream_limit;
mod trace;

use http::Response;
use tonic::Status;

use crate::refusal::Refusal;

pub(crate) use access_log::AccessLog;
pub(crate) use admission::{Admission, AdmissionLayer};
pub(crate) use allowance::{Allowance, AllowanceLayer};
pub(crate) use deadline::{Deadline, DeadlineLayer};
pub(crate) use drain::EndOnDrainLayer;
pub(crate) use framing::FramingLayer;
pub(crate) use identity::{Identification, IdentityLayer, Peer, caller, rule};
pub use identity::{Identity, Proofs, Tokens, jwt, keys};
pub(crate) use method::Methods;
pub(crate) use metrics::MetricsLayer;
pub(crate) use protocol::GrpcOnlyLayer;
pub(crate) use request_id::{drop_unfit as drop_unfit_request_id, request_id};
pub(crate) use stream_limit::{StreamLimitLayer, StreamPlaces};
pub(crate) use trace::TraceLayer;

/// A refusal as a trailers-only answer, which is what clients may retry.
fn refuse<B: Default>(refusal: Refusal) -> Response<B> {
    Status::from(refusal).into_http()
}
