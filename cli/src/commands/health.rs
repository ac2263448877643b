//! `health`: the standard gRPC health check.

use serde_json::json;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::call_failed;
use crate::args::Health;
use crate::connection::{self, tell_of_waits};
use crate::failure::Failure;
use crate::settings::Settings;

/// The gateway answered that it does not serve.
const NOT_SERVING: u8 = 1;

pub(super) async fn run(options: &Health, settings: &Settings) -> Result<u8, Failure> {
    let client = connection::client(&settings.connection, tell_of_waits())?;
    let mut request = tonic::Request::new(HealthCheckRequest {
        service: options.service.clone(),
    });
    if let Some(timeout) = settings.connection.read_timeout {
        request.set_timeout(timeout);
    }
    let answer = HealthClient::new(client.channel()).check(request).await;
    let status = answer
        .map_err(|status| call_failed("Health.Check", &status))?
        .into_inner()
        .status();
    let answer = json!({"Service": options.service, "Status": status.as_str_name()});
    settings
        .style
        .print("Health", answer)
        .map_err(Failure::exception)?;
    Ok(if status == ServingStatus::Serving {
        0
    } else {
        NOT_SERVING
    })
}
