//! What one call of the API does, in AWS's order: who calls, what is asked, may they, do it.
//!
//! A call is processed at once and under one lock; waiting and spoiling come afterwards.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;
use serde_json::{Value, json};

use crate::faults::FaultKind;
use crate::journal::{MAX_JOURNALED_BODY, Outcome, RequestRecord};
use crate::protocol::{Answer, ApiError, Operation};
use crate::quota::Scope;
use crate::signature::SignatureState;
use crate::state::{Shared, State};
use crate::validate;

/// What goes back to the client, and how.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) latency: Duration,
    pub(crate) delivery: Delivery,
}

/// How an answer reaches the client, if it does.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// Whole.
    Answer(Answer),
    /// The second half never comes.
    CutShort(Answer),
    /// The connection is reset.
    Reset,
    /// Nothing ever comes.
    Hang,
}

impl Delivery {
    fn status(&self) -> Option<u16> {
        match self {
            Self::Answer(answer) => Some(answer.status.as_u16()),
            Self::CutShort(_) | Self::Reset | Self::Hang => None,
        }
    }
}

/// Processes one call: decides, records, and says what to send.
pub(crate) fn call(shared: &Shared, request_id: &str, request: &Parts, body: &Bytes) -> Reply {
    let (caller, verdict) = shared.verifier.identify(request, body, SystemTime::now());
    let parsed = serde_json::from_slice::<Value>(body).ok();
    let mut record = RequestRecord {
        access_key: caller.access_key,
        signature: caller.signature,
        body: parsed.clone().filter(|_| body.len() <= MAX_JOURNALED_BODY),
        ..RequestRecord::new(request_id, &caller.region, &request.headers)
    };
    let Some(operation) = record.operation else {
        // AWS looks up the operation before it looks at the signature.
        if record.signature != SignatureState::Absent {
            record.signature = SignatureState::Unverified;
        }
        return refuse(&mut shared.state(), record, ApiError::unknown_operation());
    };
    let mut state = shared.state();
    if let Err(refusal) = verdict {
        return refuse(&mut state, record, refusal);
    }
    let decision = state.faults.decide(operation);
    let mut call = Call {
        shared,
        state: &mut state,
        scope: Scope {
            account: caller.account,
            region: caller.region,
        },
        body: parsed,
    };
    let delivery = call.run(operation, decision.fault.as_ref(), &mut record);
    reply(&mut state, record, decision.latency, delivery)
}

/// Answers a call whose body is too large to be read.
pub(crate) fn refuse_too_large(shared: &Shared, request_id: &str, request: &Parts) -> Reply {
    let region = &shared.verifier.default_region;
    let record = RequestRecord::new(request_id, region, &request.headers);
    refuse(&mut shared.state(), record, ApiError::request_too_large())
}

fn refuse(state: &mut State, mut record: RequestRecord, refusal: ApiError) -> Reply {
    record.outcome = refused(&refusal);
    reply(
        state,
        record,
        Duration::ZERO,
        Delivery::Answer(refusal.into()),
    )
}

fn reply(
    state: &mut State,
    mut record: RequestRecord,
    latency: Duration,
    delivery: Delivery,
) -> Reply {
    record.latency_ms = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
    record.status = delivery.status();
    state.journal.push(record);
    Reply { latency, delivery }
}

fn refused(error: &ApiError) -> Outcome {
    Outcome::Refused {
        code: error.code.to_owned(),
    }
}

/// A call whose signature holds.
struct Call<'a> {
    shared: &'a Shared,
    state: &'a mut State,
    scope: Scope,
    body: Option<Value>,
}

impl Call<'_> {
    fn run(
        &mut self,
        operation: Operation,
        fault: Option<&FaultKind>,
        record: &mut RequestRecord,
    ) -> Delivery {
        record.fault = fault.map(|kind| kind.name().to_owned());
        match fault {
            Some(FaultKind::Reset) => return Delivery::Reset,
            Some(FaultKind::Hang) => return Delivery::Hang,
            _ => {}
        }
        if let Some(refusal) = fault.and_then(FaultKind::refusal) {
            record.outcome = refused(&refusal);
            return Delivery::Answer(refusal.into());
        }
        match self.process(operation) {
            Ok((outcome, body)) => {
                record.outcome = outcome;
                deliver(fault, body)
            }
            Err(refusal) => {
                // There is no good answer that the fault could spoil.
                record.fault = None;
                record.outcome = refused(&refusal);
                Delivery::Answer(refusal.into())
            }
        }
    }

    fn process(&mut self, operation: Operation) -> Result<(Outcome, Value), ApiError> {
        if !self.shared.serves(&self.scope.region) {
            return Err(ApiError::access_denied());
        }
        self.admit_call(operation)?;
        let body = self
            .body
            .take()
            .ok_or_else(|| ApiError::serialization(None))?;
        match operation {
            Operation::CreateFaceLivenessSession => self.create(&body),
            Operation::GetFaceLivenessSessionResults => self.get_results(&body),
        }
    }

    fn admit_call(&mut self, operation: Operation) -> Result<(), ApiError> {
        let quota = self.shared.quota(&self.scope.region);
        let now = self.shared.clock.now();
        if self
            .state
            .usage
            .admit_call(&self.scope, operation, &quota, now)
        {
            return Ok(());
        }
        self.state.journal.throttled();
        Err(ApiError::provisioned_throughput_exceeded(
            "Provisioned rate exceeded",
        ))
    }

    fn create(&mut self, body: &Value) -> Result<(Outcome, Value), ApiError> {
        let token = validate::create(body)?.client_request_token;
        let now = self.shared.clock.now();
        let earlier = token
            .as_deref()
            .and_then(|token| self.state.sessions.of_token(&self.scope, token, now));
        if let Some(session_id) = earlier {
            let answer = json!({ "SessionId": session_id });
            return Ok((Outcome::SessionReplayed { session_id }, answer));
        }
        self.admit_session(now)?;
        let session_id = self
            .state
            .sessions
            .create(&self.scope, token.as_deref(), now);
        self.state.journal.session_made(token.is_some());
        let answer = json!({ "SessionId": session_id });
        Ok((Outcome::SessionMade { session_id }, answer))
    }

    fn admit_session(&mut self, now: Duration) -> Result<(), ApiError> {
        let quota = self.shared.quota(&self.scope.region);
        let length = self.shared.session_length;
        if self
            .state
            .usage
            .admit_session(&self.scope, &quota, length, now)
        {
            return Ok(());
        }
        self.state.journal.throttled();
        Err(ApiError::provisioned_throughput_exceeded(
            "Concurrent sessions exceeded",
        ))
    }

    fn get_results(&mut self, body: &Value) -> Result<(Outcome, Value), ApiError> {
        let session_id = validate::get_results(body)?;
        let now = self.shared.clock.now();
        if !self.state.sessions.contains(&self.scope, &session_id, now) {
            return Err(ApiError::session_not_found());
        }
        let answer = json!({ "SessionId": session_id, "Status": "CREATED" });
        Ok((Outcome::ResultsReturned { session_id }, answer))
    }
}

/// Sends a good answer, or what an answer fault makes of it.
fn deliver(fault: Option<&FaultKind>, mut body: Value) -> Delivery {
    match fault {
        Some(FaultKind::ResetAfterCreate) => return Delivery::Reset,
        Some(FaultKind::CutShort) => {
            return Delivery::CutShort(Answer::json(StatusCode::OK, &body));
        }
        Some(FaultKind::NotJson) => return Delivery::Answer(Answer::not_json()),
        Some(FaultKind::NoSessionId) => {
            if let Some(members) = body.as_object_mut() {
                members.remove("SessionId");
            }
        }
        Some(FaultKind::MalformedSessionId(id)) => {
            if let Some(members) = body.as_object_mut() {
                members.insert("SessionId".into(), id.clone().into());
            }
        }
        _ => {}
    }
    Delivery::Answer(Answer::json(StatusCode::OK, &body))
}
