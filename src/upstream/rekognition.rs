//! The innermost part of the upstream stack: one call of the AWS SDK.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use aws_sdk_rekognition::Client;
use aws_sdk_rekognition::error::BuildError;
use aws_sdk_rekognition::operation::RequestId as _;
use aws_sdk_rekognition::types as aws;
use tower::Service;

use super::{Cause, Error, Request};
use crate::region::Region;
use crate::session::{
    Challenge, ChallengePreference, OutputConfig, Session, SessionId, SessionRequest,
};
use crate::telemetry::call;

/// The header with which AWS's services pass traces on. Signatures leave it out.
const TRACE_HEADER: &str = "x-amzn-trace-id";

/// Makes sessions with Amazon Rekognition, one client a region.
#[derive(Clone, Debug)]
pub struct Rekognition {
    clients: Arc<[(Region, Client)]>,
    /// Whether AWS is told the trace.
    trace_header: bool,
}

impl Rekognition {
    pub(super) fn new(
        clients: impl IntoIterator<Item = (Region, Client)>,
        trace_header: bool,
    ) -> Self {
        Self {
            trace_header,
            clients: clients.into_iter().collect(),
        }
    }

    async fn create(self, request: Request) -> Result<Session, Error> {
        let region = request.session.region.clone();
        let Some((_, client)) = self.clients.iter().find(|(served, _)| *served == region) else {
            return Err(Error::new(Cause::Rejected, None));
        };
        let settings = settings(&request.session).map_err(Error::unbuildable)?;
        let header = self.trace_header.then(call::aws_trace_header).flatten();
        let sending = request.first_sent.sending(SystemTime::now());
        let answer = client
            .create_face_liveness_session()
            .set_kms_key_id(
                request
                    .session
                    .kms_key_id
                    .as_ref()
                    .map(|key| key.as_str().to_owned()),
            )
            .set_settings(settings)
            .client_request_token(request.token.as_str())
            .customize()
            .mutate_request(move |request| {
                if let Some(header) = &header {
                    request.headers_mut().insert(TRACE_HEADER, header.clone());
                }
            })
            .send()
            .await
            .map_err(Error::from);
        if answer.as_ref().is_err_and(|error| !error.is_uncertain()) {
            sending.withdraw();
        }
        let output = answer?;
        let request_id = output.request_id().map(str::to_owned);
        let Ok(id) = SessionId::parse(output.session_id) else {
            return Err(Error::new(Cause::Malformed, request_id));
        };
        Ok(Session {
            id,
            region,
            create_time: sending.first(),
            request_id,
        })
    }
}

impl Service<Request> for Rekognition {
    type Response = Session;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Session, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        Box::pin(self.clone().create(request))
    }
}

/// Settings that say nothing are sent as none.
fn settings(
    request: &SessionRequest,
) -> Result<Option<aws::CreateFaceLivenessSessionRequestSettings>, BuildError> {
    if request.output.is_none()
        && request.audit_images_limit.is_none()
        && request.challenges.is_empty()
    {
        return Ok(None);
    }
    let challenges = request
        .challenges
        .iter()
        .map(challenge)
        .collect::<Result<Vec<_>, _>>()?;
    let settings = aws::CreateFaceLivenessSessionRequestSettings::builder()
        .set_output_config(request.output.as_ref().map(output_config).transpose()?)
        .set_audit_images_limit(
            request
                .audit_images_limit
                .map(|limit| i32::from(limit.get())),
        )
        .set_challenge_preferences((!challenges.is_empty()).then_some(challenges))
        .build();
    Ok(Some(settings))
}

fn output_config(output: &OutputConfig) -> Result<aws::LivenessOutputConfig, BuildError> {
    aws::LivenessOutputConfig::builder()
        .s3_bucket(output.bucket.as_str())
        .set_s3_key_prefix(
            output
                .key_prefix
                .as_ref()
                .map(|prefix| prefix.as_str().to_owned()),
        )
        .build()
}

fn challenge(preference: &ChallengePreference) -> Result<aws::ChallengePreference, BuildError> {
    let versions = (preference.minimum.is_some() || preference.maximum.is_some()).then(|| {
        aws::Versions::builder()
            .set_minimum(
                preference
                    .minimum
                    .as_ref()
                    .map(|version| version.as_str().to_owned()),
            )
            .set_maximum(
                preference
                    .maximum
                    .as_ref()
                    .map(|version| version.as_str().to_owned()),
            )
            .build()
    });
    aws::ChallengePreference::builder()
        .r#type(match preference.challenge {
            Challenge::FaceMovementAndLight => aws::ChallengeType::FaceMovementAndLightChallenge,
            Challenge::FaceMovement => aws::ChallengeType::FaceMovementChallenge,
        })
        .set_versions(versions)
        .build()
}
