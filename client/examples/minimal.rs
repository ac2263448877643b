//! The least that works: one client for the program, one call for each session.

use std::error::Error;

use face_liveness_client::testing::FakeGateway;
use face_liveness_client::{Client, v1::CreateSessionRequest};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "that is what this program is for")]
pub(crate) async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    // In place of the gateway.
    let gateway = FakeGateway::start().await?;

    let client = Client::connect_lazy(gateway.endpoint())?;
    let request = CreateSessionRequest::default();
    let session = client.create_session(request).await?;
    println!(
        "a session in {}, good for another {} s",
        session.region,
        session.remaining().as_secs()
    );
    Ok(())
}
