//! The stack that every incoming RPC crosses.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use face_liveness_client::v1::FILE_DESCRIPTOR_SET;
use http::Response;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tonic::service::{LayerExt as _, Routes};
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::HealthService;
use tower::ServiceBuilder;
use tower::retry::RetryLayer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::timeout::RequestBodyTimeoutLayer;

use super::MAX_MESSAGE_BYTES;
use crate::config::Reflection;
use crate::health::Health;
use crate::inbound::{
    AccessLog, Admission, AdmissionLayer, Allowance, AllowanceLayer, DeadlineLayer,
    EndOnDrainLayer, FramingLayer, GrpcOnlyLayer, IdentityLayer, Methods, MetricsLayer,
    StreamLimitLayer, TraceLayer, drop_unfit_request_id,
};
use crate::refusal::Refusal;
use crate::region::Region;
use crate::server::HttpService;
use crate::service::{FaceLiveness, FaceLivenessServiceServer, Upstream};
use crate::services::{GrpcService, Services};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::traces::Traces;
use crate::upstream::{self, Aws, LedgerLayer, QuotaLayer, retry};

/// How long the next piece of a request may take. Requests are smaller than one
/// packet, and one that is being read holds a slot.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// What the services of all workers are made from.
#[derive(Debug)]
pub(super) struct Stack {
    pub(super) traces: Traces,
    pub(super) access_log: Arc<AccessLog>,
    pub(super) aws: Aws,
    pub(super) ledger: LedgerLayer,
    pub(super) retry: RetryLayer<retry::Policy>,
    pub(super) quota: QuotaLayer,
    pub(super) attempt_timeout: Duration,
    pub(super) regions: Vec<Region>,
    pub(super) guards: Guards,
    pub(super) reflection: Reflection,
    pub(super) health: Health,
    pub(super) metrics: Metrics,
    pub(super) drain: CancellationToken,
}

impl Stack {
    /// The service of one worker: what every incoming RPC crosses, outermost
    /// first.
    pub(super) fn service(&self) -> Result<impl HttpService, tonic_reflection::server::Error> {
        let (routes, methods) = self.routes()?;
        let trace = TraceLayer::new(self.traces.clone(), methods, Arc::clone(&self.access_log));
        let service = ServiceBuilder::new()
            // Names every call: keeps the caller's id if it is one…
            .map_request(drop_unfit_request_id)
            // …gives one to the others…
            .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
            // …and tells the caller.
            .layer(PropagateRequestIdLayer::x_request_id())
            // Turns away what is not gRPC.
            .layer(GrpcOnlyLayer)
            // Traces the call, and writes its line of the access log when it ends.
            .layer(trace)
            // Lets the layers further in have bodies of their own kind.
            .map_response(|answer: Response<_>| answer.map(Body::new))
            // Counts and times the call, and its refusal.
            .layer(MetricsLayer::new(self.metrics.rpc.clone()))
            // Completes the refusals that tonic makes itself.
            .layer(FramingLayer)
            .service(routes);
        Ok(service)
    }

    fn routes(&self) -> Result<(Routes, Methods), tonic_reflection::server::Error> {
        let upstream = upstream::stack(
            self.ledger.clone(),
            self.retry.clone(),
            self.quota.clone(),
            self.metrics.upstream.clone(),
            self.attempt_timeout,
            self.aws.rekognition(),
        );
        let service = FaceLiveness::new(upstream, self.regions.clone());
        let sessions = sessions(service, self.guards.clone());
        let until_drain = EndOnDrainLayer::new(self.drain.clone());
        let health = HealthServer::new(HealthService::from_health_reporter(self.health.reporter()))
            .max_decoding_message_size(MAX_MESSAGE_BYTES);
        let services = Services::new().add(sessions, FILE_DESCRIPTOR_SET).add(
            until_drain.named_layer(StreamLimitLayer.named_layer(health)),
            tonic_health::pb::FILE_DESCRIPTOR_SET,
        );
        match self.reflection {
            Reflection::Off => services.without_reflection(),
            Reflection::Open => services.with_reflection(&until_drain, None),
            Reflection::Authenticated => {
                services.with_reflection(&until_drain, Some(&self.guards.identity))
            }
        }
    }
}

/// What the layers around the session service need to know.
#[derive(Clone, Debug)]
pub(super) struct Guards {
    pub(super) identity: IdentityLayer,
    pub(super) allowance: Arc<Allowance>,
    pub(super) max_deadline: Duration,
    pub(super) admission: Arc<Admission>,
}

/// The session service and what only its calls cross, outermost first.
fn sessions<U: Upstream>(service: FaceLiveness<U>, guards: Guards) -> impl GrpcService {
    let Guards {
        identity,
        allowance,
        max_deadline,
        admission,
    } = guards;
    let service =
        FaceLivenessServiceServer::new(service).max_decoding_message_size(MAX_MESSAGE_BYTES);
    ServiceBuilder::new()
        // A defect costs one call, not the connection and its other calls.
        .layer(CatchPanicLayer::custom(panicked))
        // Bounds everything that waits.
        .layer(DeadlineLayer::new(max_deadline))
        // Says who calls, and under which rule.
        .layer(identity)
        // Holds each caller to its own rate.
        .layer(AllowanceLayer::new(allowance))
        // Sheds what would only wait.
        .layer(AdmissionLayer::new(admission))
        // Gives up on requests that do not go on arriving.
        .layer(RequestBodyTimeoutLayer::new(BODY_TIMEOUT))
        .named_layer(service)
}

/// The panic's message is in the log, by the panic hook.
fn panicked(_: Box<dyn Any + Send>) -> Response<Body> {
    Status::from(Refusal::Internal).into_http()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::Callers;
    use crate::inbound::{Identification, Identity};
    use axum::response::IntoResponse as _;
    use http::Request;
    use http_body_util::Full;
    use tonic::Code;
    use tonic_types::StatusExt as _;
    use tower::ServiceExt as _;

    #[tokio::test]
    async fn a_panic_is_an_internal_error_with_details() {
        let upstream = tower::service_fn(async |_| panic!("a defect"));
        let region = Region::parse("us-east-1").unwrap();
        let service = FaceLiveness::new(upstream, vec![region]);
        let guards = Guards {
            identity: IdentityLayer::new(Identification::new(
                Identity::Anonymous,
                Callers::default(),
            )),
            allowance: Arc::new(Allowance::new()),
            max_deadline: Duration::from_secs(1),
            admission: Arc::new(Admission::new(1)),
        };
        let sessions = sessions(service, guards);
        let empty_message: &[u8] = &[0; 5];
        let request = Request::post("/faceliveness.v1.FaceLivenessService/CreateSession")
            .body(Body::new(Full::from(empty_message)))
            .unwrap();
        let answer = sessions.oneshot(request).await.unwrap().into_response();
        let status = Status::from_header_map(answer.headers()).unwrap();
        assert_eq!(status.code(), Code::Internal);
        assert_eq!(status.get_details_error_info().unwrap().reason, "INTERNAL");
        assert_eq!(
            status.metadata().get("grpc-retry-pushback-ms").unwrap(),
            "-1"
        );
    }
}
