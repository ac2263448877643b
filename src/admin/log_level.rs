//! `/log-level`: reads and changes which lines are written, until the process
//! ends.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::Shared;
use super::routes::{is_json, json, refused};
use crate::telemetry::logs::{Filter, LevelHandle, NotInCharge};

/// The longest body that is read, in bytes.
pub(super) const MAX_BODY: usize = 1024;

/// How the level is set.
const USAGE: &str = "send JSON such as {\"filter\": \"debug\"}, with content-type application/json";

/// What is sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    filter: String,
}

/// Tells the filter.
pub(super) async fn get(State(shared): State<Arc<Shared>>) -> Response {
    match &shared.admin.log_level {
        Some(level) => told(level),
        None => refused(StatusCode::SERVICE_UNAVAILABLE, &NotInCharge.to_string()),
    }
}

/// Changes the filter, and tells the new one.
pub(super) async fn put(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(level) = &shared.admin.log_level else {
        return refused(StatusCode::SERVICE_UNAVAILABLE, &NotInCharge.to_string());
    };
    if !is_json(&headers) {
        return refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, USAGE);
    }
    let Ok(change) = serde_json::from_slice::<Change>(&body) else {
        return refused(StatusCode::BAD_REQUEST, USAGE);
    };
    let filter: Filter = match change.filter.parse() {
        Ok(filter) => filter,
        Err(invalid) => return refused(StatusCode::BAD_REQUEST, &format!("filter: {invalid}")),
    };
    let before = level.get();
    match level.set(filter) {
        Ok(()) => {
            tracing::warn!(%before, now = %level.get(), "the log's level was changed on the admin port");
            told(level)
        }
        Err(problem) => refused(StatusCode::SERVICE_UNAVAILABLE, &problem.to_string()),
    }
}

fn told(level: &LevelHandle) -> Response {
    json(
        StatusCode::OK,
        &json!({ "filter": level.get().to_string() }),
    )
}
