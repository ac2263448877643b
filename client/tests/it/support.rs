//! What the tests share.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use face_liveness_client::testing::FakeGateway;
use face_liveness_client::v1::CreateSessionRequest;
use face_liveness_client::{Builder, Client, Error, RetryEvent, Session};

/// Longer than any test takes.
pub(crate) const LONG: Duration = Duration::from_secs(3600);

/// A client that hardly waits between attempts.
pub(crate) fn quick() -> Builder {
    Client::builder()
        .default_deadline(Some(LONG))
        .backoff(Duration::from_millis(1), Duration::from_millis(2))
}

pub(crate) fn client_of(gateway: &FakeGateway) -> Client {
    quick().endpoint(gateway.endpoint()).build().unwrap()
}

pub(crate) async fn create(client: &Client) -> Result<Session, Error> {
    client.create_session(CreateSessionRequest::default()).await
}

/// Collects what the client says of its retries.
pub(crate) type Events = Arc<Mutex<Vec<RetryEvent>>>;

pub(crate) fn watched(builder: Builder) -> (Builder, Events) {
    let events = Events::default();
    let sink = Arc::clone(&events);
    let builder = builder.on_retry(Arc::new(move |event: &RetryEvent| {
        sink.lock().unwrap().push(event.clone());
    }));
    (builder, events)
}
