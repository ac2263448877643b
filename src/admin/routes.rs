//! The endpoints.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use prometheus::TEXT_FORMAT;
use serde_json::{Value, json};

use super::page::PAGE;
use super::{Shared, log_level, reload, status};
use crate::readiness::Check;
use crate::telemetry::metrics::Figures;

/// The answer to an unknown path.
const NOT_FOUND: &str = "there is no such page; there are / /status /metrics /livez /readyz /config /log-level /reload\n";

pub(super) fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(Html(PAGE)))
        .route("/status", get(status))
        .route("/metrics", get(metrics))
        .route("/livez", get("alive\n"))
        .route("/readyz", get(readyz))
        .route("/config", get(config))
        .route("/log-level", get(log_level::get).put(log_level::put))
        .route("/reload", post(reload::post))
        .layer(DefaultBodyLimit::max(log_level::MAX_BODY))
        .fallback((StatusCode::NOT_FOUND, NOT_FOUND))
        .with_state(shared)
}

async fn status(State(shared): State<Arc<Shared>>) -> Response {
    match figures(&shared).await {
        Ok(figures) => json(StatusCode::OK, &status::document(&shared, &figures)),
        Err(refusal) => refusal,
    }
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let text = figures(&shared).await.map(|figures| figures.text());
    match text {
        Ok(Ok(text)) => ([(CONTENT_TYPE, TEXT_FORMAT)], text).into_response(),
        Ok(Err(error)) => failed(&error.to_string()),
        Err(refusal) => refusal,
    }
}

async fn figures(shared: &Shared) -> Result<Figures, Response> {
    let figures = shared.figures().await;
    figures.map_err(|error| failed(&error.to_string()))
}

fn failed(error: &str) -> Response {
    let problem = format!("cannot read the metrics: {error}\n");
    (StatusCode::INTERNAL_SERVER_ERROR, problem).into_response()
}

async fn readyz(State(shared): State<Arc<Shared>>) -> Response {
    let readiness = &shared.admin.readiness;
    let ready = readiness.is_ready();
    let code = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let checks: Vec<_> = readiness.checks().iter().map(check).collect();
    json(code, &json!({ "ready": ready, "checks": checks }))
}

/// A check as JSON.
pub(super) fn check(check: &Check) -> Value {
    json!({
        "name": check.name,
        "ready": check.ready,
        "required": check.required,
        "reason": check.reason,
    })
}

async fn config(State(shared): State<Arc<Shared>>) -> String {
    shared.admin.shown.get().text.to_string()
}

/// The answer to what cannot be done.
pub(super) fn refused(code: StatusCode, problem: &str) -> Response {
    (code, format!("{problem}\n")).into_response()
}

/// Whether the body is said to be JSON. A browser asks before it lets a page of
/// another origin send that, and is not answered.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next());
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// An answer in JSON, for people to read too.
pub(super) fn json(code: StatusCode, value: &Value) -> Response {
    let body = format!("{value:#}\n");
    (code, [(CONTENT_TYPE, "application/json")], body).into_response()
}
