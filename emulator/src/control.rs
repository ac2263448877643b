//! The control API under `/_emulator/`: journal, faults, clock, reset. No authentication.

use std::time::Duration;

use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::faults::{Fault, FaultStatus};
use crate::protocol::Answer;
use crate::state::Shared;

/// Where the control API begins.
pub(crate) const PREFIX: &str = "/_emulator/";

const ENDPOINTS: &str = "GET /_emulator/journal, GET|PUT|POST|DELETE /_emulator/faults, \
                         POST /_emulator/clock, POST /_emulator/reset";

/// What `GET` answers and `PUT` takes.
#[derive(Debug, Serialize)]
struct FaultsAnswer {
    seed: u64,
    faults: Vec<FaultStatus>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultsRequest {
    seed: Option<u64>,
    faults: Vec<Fault>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockRequest {
    advance_ms: u64,
}

/// Answers a request to the control API.
pub(crate) fn answer(shared: &Shared, method: &Method, path: &str, body: &[u8]) -> Answer {
    let endpoint = path.strip_prefix(PREFIX).unwrap_or_default();
    match (method.as_str(), endpoint) {
        ("GET", "journal") => shown(&shared.state().journal.read()),
        ("GET", "faults") => faults(shared),
        ("PUT", "faults") => parsed(body, |request: FaultsRequest| {
            shared.set_faults(request.faults, request.seed);
            faults(shared)
        }),
        ("POST", "faults") => parsed(body, |fault: Fault| {
            let mut all = shared.state().faults.faults();
            all.push(fault);
            shared.set_faults(all, None);
            faults(shared)
        }),
        ("DELETE", "faults") => {
            shared.set_faults(Vec::new(), None);
            faults(shared)
        }
        ("POST", "clock") => parsed(body, |request: ClockRequest| {
            shared
                .clock
                .advance(Duration::from_millis(request.advance_ms));
            done()
        }),
        ("POST", "reset") => {
            shared.reset();
            done()
        }
        _ => error(
            StatusCode::NOT_FOUND,
            &format!("there is no {method} {path}; there are {ENDPOINTS}"),
        ),
    }
}

fn faults(shared: &Shared) -> Answer {
    let plan = &shared.state().faults;
    shown(&FaultsAnswer {
        seed: plan.seed(),
        faults: plan.statuses(),
    })
}

fn parsed<T: for<'de> Deserialize<'de>>(body: &[u8], then: impl FnOnce(T) -> Answer) -> Answer {
    match serde_json::from_slice(body) {
        Ok(request) => then(request),
        Err(problem) => error(StatusCode::BAD_REQUEST, &problem.to_string()),
    }
}

fn shown(value: &impl Serialize) -> Answer {
    match serde_json::to_value(value) {
        Ok(value) => plain(StatusCode::OK, &value),
        Err(problem) => error(StatusCode::INTERNAL_SERVER_ERROR, &problem.to_string()),
    }
}

fn done() -> Answer {
    plain(StatusCode::OK, &json!({}))
}

fn error(status: StatusCode, problem: &str) -> Answer {
    plain(status, &json!({ "error": problem }))
}

/// The body of the control API is plain JSON, not a call of AWS's.
fn plain(status: StatusCode, body: &Value) -> Answer {
    Answer {
        content_type: "application/json",
        ..Answer::json(status, body)
    }
}
