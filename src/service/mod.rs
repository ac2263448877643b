//! The RPC: protobuf → domain → policy → upstream → protobuf.

mod request;
mod said;

use std::sync::Arc;
use std::time::Instant;

use face_liveness_client::v1::{CreateSessionRequest, CreateSessionResponse};
use tonic::{Request, Response, Status};
use tower::{Service, ServiceExt as _};

use crate::caller::{Caller, Rule};
use crate::causes::Causes;
use crate::inbound::{Deadline, caller, rule};
use crate::refusal::{Refusal, insert_request_id};
use crate::region::Region;
use crate::session::SessionRequest;
use crate::telemetry::call;
use crate::telemetry::logs::Limit;
use crate::upstream::{self, Answer, Intent};
use said::Words;

/// The service trait that the build script generates over the messages of
/// `face-liveness-client`.
#[expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    unreachable_pub,
    unused_qualifications,
    reason = "generated code"
)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/faceliveness.v1.rs"));
}

pub(crate) use generated::face_liveness_service_server::{
    FaceLivenessService, FaceLivenessServiceServer,
};

/// The service, over any upstream that makes sessions.
#[derive(Clone, Debug)]
pub(crate) struct FaceLiveness<U> {
    upstream: U,
    /// Never empty; the first is the default.
    regions: Vec<Region>,
    failures: Arc<Limit>,
}

impl<U> FaceLiveness<U> {
    pub(crate) fn new(upstream: U, regions: Vec<Region>) -> Self {
        Self {
            upstream,
            regions,
            failures: Arc::default(),
        }
    }
}

/// What makes the sessions.
pub(crate) trait Upstream:
    Service<Intent, Response = Answer, Error = upstream::Error, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Upstream for S where
    S: Service<Intent, Response = Answer, Error = upstream::Error, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

#[tonic::async_trait]
impl<U: Upstream> FaceLivenessService for FaceLiveness<U> {
    async fn create_session(
        &self,
        request: Request<CreateSessionRequest>,
    ) -> Result<Response<CreateSessionResponse>, Status> {
        let deadline = Deadline::of(request.extensions());
        let caller = caller(request.extensions());
        let rule = rule(request.extensions())?;
        let session = resolve(request.into_inner(), &caller, &rule, &self.regions)?;
        call::note(|facts| facts.region = Some(session.region.clone()));
        let started = Instant::now();
        let words = Words::of(&session);
        let made = self
            .upstream
            .clone()
            .oneshot(Intent {
                session,
                caller,
                weight: rule.weight,
                deadline,
            })
            .await
            .map_err(|error| self.refuse(error, started, &words))?;
        call::note(|facts| {
            facts.aws_request_id = made.session.request_id.clone();
            facts.replayed = Some(made.replayed);
        });
        Ok(answer(made))
    }
}

impl<U> FaceLiveness<U> {
    /// Tells the log what the caller is not told.
    fn refuse(&self, error: upstream::Error, started: Instant, words: &Words) -> Refusal {
        call::note(|facts| facts.aws_request_id = error.request_id.clone());
        if error.concerns_operators()
            && let Some(suppressed) = self.failures.admit()
        {
            tracing::warn!(
                aws_request_id = error.request_id,
                elapsed = ?started.elapsed(),
                suppressed = (suppressed > 0).then_some(suppressed),
                "no session: {}",
                words.hidden_in(&Causes(&error).to_string())
            );
        }
        Refusal::Upstream(error)
    }
}

/// What `request` comes to under the caller's `rule`, its defaults filled in.
/// `served` are the gateway's regions, the default first.
///
/// # Errors
/// When it is no valid request, or asks for what the caller may not ask for.
pub(crate) fn resolve(
    request: CreateSessionRequest,
    caller: &Caller,
    rule: &Rule,
    served: &[Region],
) -> Result<SessionRequest, Refusal> {
    let default_region = rule.policy.default_region(served);
    let session = request::parse(request, served, default_region)?;
    let applied = rule.policy.apply(caller, session);
    applied.map_err(|violations| Refusal::Policy {
        caller: caller.clone(),
        rule: rule.name.clone(),
        violations,
    })
}

fn answer(made: Answer) -> Response<CreateSessionResponse> {
    let Answer { session, replayed } = made;
    let request_id = session.request_id.clone();
    let mut response = Response::new(CreateSessionResponse {
        create_time: Some(session.create_time.into()),
        expire_time: Some(session.expire_time().into()),
        session_id: session.id.as_str().to_owned(),
        region: session.region.to_string(),
        replayed,
    });
    insert_request_id(response.metadata_mut(), request_id.as_deref());
    response
}
