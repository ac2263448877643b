//! `check-config --as`: what a caller may do, and what would become of a request
//! of its, without sending anything.

use std::fmt;

use face_liveness_client::v1::{CreateSessionRequest, FILE_DESCRIPTOR_SET};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};
use tonic::Status;
use tonic_types::StatusExt as _;

use crate::caller::{Caller, Rule};
use crate::config::Config;
use crate::policy::{Explained, challenge_name};
use crate::refusal::Refusal;
use crate::region::Region;
use crate::service;
use crate::session::SessionRequest;

/// The message that a request is.
const REQUEST: &str = "faceliveness.v1.CreateSessionRequest";

/// Why there is nothing to tell.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No caller has that name.
    #[error(
        "--as: must be {}, or that for callers who prove nothing",
        Caller::NAMES
    )]
    Caller,
    /// The request is not one.
    #[error("--request: not a {REQUEST} in protobuf's JSON: {0}")]
    Request(String),
    /// The schema is broken, which is a defect.
    #[error("the schema: {0}")]
    Schema(#[from] prost_reflect::DescriptorError),
}

/// What became of the trial. Its `Display` is for the operator; it shows no key.
#[derive(Debug)]
pub struct Trial {
    caller: Caller,
    rule: Rule,
    outcome: Option<Result<SessionRequest, Status>>,
}

impl Trial {
    /// Tries `request`, in protobuf's JSON, as the caller named `caller`.
    ///
    /// # Errors
    /// When one of them is none.
    pub fn run(config: &Config, caller: &str, request: Option<&str>) -> Result<Self, Error> {
        let caller = match caller {
            Caller::ANONYMOUS => Caller::Anonymous,
            name => Caller::named(name).ok_or(Error::Caller)?,
        };
        let rule = Rule::clone(config.callers.rule(&caller));
        let served: Vec<_> = config
            .regions
            .iter()
            .map(|entry| entry.region.clone())
            .collect();
        let request = request.map(parse).transpose()?;
        let outcome = request.map(|request| outcome(request, &caller, &rule, &served));
        Ok(Self {
            caller,
            rule,
            outcome,
        })
    }

    /// Whether the caller may call, and the request, if there is one, is allowed.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        let allowed = self.outcome.as_ref().is_none_or(Result::is_ok);
        self.rule.admitted && allowed
    }
}

impl Trial {
    /// What AWS would get, if the request is allowed.
    pub(crate) fn session(&self) -> Option<&SessionRequest> {
        self.outcome.as_ref()?.as_ref().ok()
    }
}

fn parse(json: &str) -> Result<CreateSessionRequest, Error> {
    let unreadable = |error: &dyn fmt::Display| Error::Request(error.to_string());
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET)?;
    let message = pool
        .get_message_by_name(REQUEST)
        .ok_or_else(|| unreadable(&"there is no such message"))?;
    let mut json = serde_json::Deserializer::from_str(json);
    let request =
        DynamicMessage::deserialize(message, &mut json).map_err(|error| unreadable(&error))?;
    json.end().map_err(|error| unreadable(&error))?;
    CreateSessionRequest::decode(&*request.encode_to_vec()).map_err(|error| unreadable(&error))
}

fn outcome(
    request: CreateSessionRequest,
    caller: &Caller,
    rule: &Rule,
    served: &[Region],
) -> Result<SessionRequest, Status> {
    if !rule.admitted {
        let caller = caller.clone();
        return Err(Refusal::NotAdmitted { caller }.into());
    }
    Ok(service::resolve(request, caller, rule, served)?)
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { caller, rule, .. } = self;
        write!(f, "{}", Explained { caller, rule })?;
        match &self.outcome {
            None => Ok(()),
            Some(Ok(session)) => allowed(f, session),
            Some(Err(status)) => refused(f, status),
        }
    }
}

fn allowed(f: &mut fmt::Formatter<'_>, session: &SessionRequest) -> fmt::Result {
    writeln!(f, "\nthe request is allowed; AWS would get")?;
    writeln!(f, "  region              {}", session.region)?;
    match &session.output {
        None => writeln!(f, "  output              none")?,
        Some(output) => {
            let prefix = output.key_prefix.as_ref().map_or("", |p| p.as_str());
            writeln!(
                f,
                "  output              {}/{prefix}",
                output.bucket.as_str()
            )?;
        }
    }
    let key = session.kms_key_id.as_ref().map_or("none", |_| "one");
    writeln!(f, "  KMS key             {key}")?;
    let images = session.audit_images_limit.map_or(0, |limit| limit.get());
    writeln!(f, "  audit images        {images}")?;
    let names = session.challenges.iter();
    let names: Vec<_> = names.map(|asked| challenge_name(asked.challenge)).collect();
    let names = if names.is_empty() {
        "AWS's default".to_owned()
    } else {
        names.join(", ")
    };
    writeln!(f, "  challenges          {names}")
}

fn refused(f: &mut fmt::Formatter<'_>, status: &Status) -> fmt::Result {
    let details = status.get_error_details();
    let reason = details.error_info().map_or("", |info| info.reason.as_str());
    writeln!(
        f,
        "\nthe request is refused: {:?} / {reason}",
        status.code()
    )?;
    let fields = details.bad_request().map(|bad| &*bad.field_violations);
    match fields.unwrap_or_default() {
        [] => writeln!(f, "  {}", status.message()),
        fields => fields
            .iter()
            .try_for_each(|broken| writeln!(f, "  {}: {}", broken.field, broken.description)),
    }
}
