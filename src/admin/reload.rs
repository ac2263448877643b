//! `/reload`: reads the configuration again, as SIGHUP does, and answers what came of
//! it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::json;

use super::Shared;
use super::routes::{is_json, json, refused};
use crate::config::Mistakes;
use crate::reload::Error;

/// How it is asked for.
const USAGE: &str = "post with content-type application/json; the body does not matter";

/// Reloads: 200 tells what is new, 422 every mistake, and then nothing has changed.
pub(super) async fn post(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if !is_json(&headers) {
        return refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, USAGE);
    }
    let reloaded = match &shared.admin.reload {
        Some(handle) => handle.reload().await,
        None => Err(Error::NotRunning),
    };
    match reloaded {
        Ok(report) => json(StatusCode::OK, &json!(report)),
        Err(Error::Mistakes(mistakes)) => unprocessable(&mistakes),
        Err(error @ Error::NotRunning) => {
            refused(StatusCode::SERVICE_UNAVAILABLE, &error.to_string())
        }
    }
}

fn unprocessable(mistakes: &Mistakes) -> Response {
    let told = mistakes.as_slice().iter();
    let told = told.map(|mistake| json!({ "place": mistake.place, "problem": mistake.problem }));
    let body = json!({ "mistakes": told.collect::<Vec<_>>() });
    json(StatusCode::UNPROCESSABLE_ENTITY, &body)
}
