//! How a service that uses the client tests itself: against a gateway of its own
//! that answers what the test scripts.

use std::error::Error;
use std::time::Duration;

use face_liveness_client::testing::{Answer, FakeGateway, Refusal};
use face_liveness_client::{Client, Reason, v1::CreateSessionRequest};

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let gateway = FakeGateway::start().await?;
    let service = Service {
        client: Client::connect_lazy(gateway.endpoint())?,
    };

    // The quota is used up for a while: the client waits, and tries again.
    let delay = Duration::from_millis(20);
    gateway.enqueue(Refusal::new(Reason::AccountQuota).retry_after(delay));
    // The connection is lost in mid-call: the client makes another.
    gateway.enqueue(Answer::drop_connection());
    assert_eq!(service.begin("order-7").await, "ok");

    // All of it was one session of one intent.
    let attempts = gateway.requests();
    assert_eq!(attempts.len(), 3);
    for attempt in &attempts {
        let token = attempt.message.client_request_token.as_deref();
        assert_eq!(token, Some("order-7"));
    }

    gateway.enqueue(Refusal::new(Reason::Policy));
    assert_eq!(service.begin("order-8").await, "not allowed");
    Ok(())
}

/// The service under test.
struct Service {
    client: Client,
}

impl Service {
    async fn begin(&self, order: &str) -> &'static str {
        let request = CreateSessionRequest {
            client_request_token: Some(order.to_owned()),
            ..Default::default()
        };
        match self.client.create_session(request).await {
            Ok(_) => "ok",
            Err(error) if error.reason() == Some(&Reason::Policy) => "not allowed",
            Err(_) => "try again later",
        }
    }
}
