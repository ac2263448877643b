//! What to do with a failure: the reason decides, then whether it can be retried.

use std::error::Error as StdError;

use face_liveness_client::testing::{FakeGateway, Refusal};
use face_liveness_client::{Client, Error, Reason, v1::CreateSessionRequest};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "that is what this program is for")]
pub(crate) async fn main() -> Result<(), Box<dyn StdError + Send + Sync>> {
    // In place of the gateway.
    let gateway = FakeGateway::start().await?;
    let bucket = "settings.output_config.s3_bucket";
    gateway.enqueue(Refusal::new(Reason::InvalidRequest).violation(bucket, "is required"));
    gateway.enqueue(Refusal::new(Reason::TokenReused));
    gateway.enqueue(Refusal::new(Reason::UpstreamAccessDenied));

    let client = Client::connect_lazy(gateway.endpoint())?;
    for _ in 0..4 {
        let request = CreateSessionRequest::default();
        match client.create_session(request).await {
            Ok(session) => println!("a session in {}", session.region),
            Err(error) => println!("{}", advice(&error)),
        }
    }
    Ok(())
}

fn advice(error: &Error) -> String {
    match error.reason() {
        Some(Reason::InvalidRequest) => {
            let violations = error.field_violations().iter();
            let lines = violations.map(|it| format!("{} {}", it.field, it.description));
            format!(
                "correct the request: {}",
                lines.collect::<Vec<_>>().join("; ")
            )
        }
        Some(Reason::TokenReused | Reason::SessionExpiring) => {
            "make a new client_request_token for a new session".to_owned()
        }
        // The client has retried as often as the deadline allows.
        _ if error.is_retryable() => match error.retry_after() {
            Some(delay) => format!("tell the user to come back in {delay:?}"),
            None => "tell the user to come back later".to_owned(),
        },
        _ => format!(
            "tell the gateway's operator: {error} (request {})",
            error.request_id().unwrap_or("never arrived")
        ),
    }
}
