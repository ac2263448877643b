//! Mutual TLS with files that are renewed, and a bearer token.

use std::error::Error;
use std::time::Duration;

use face_liveness_client::testing::FakeGateway;
use face_liveness_client::{Client, Tls, v1::CreateSessionRequest};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "that is what this program is for")]
pub(crate) async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    // In place of the gateway, of the authority that both sides trust, and of the
    // files that a certificate manager keeps fresh.
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let (cert, key) = (issued.cert.pem(), issued.signing_key.serialize_pem());
    let gateway = FakeGateway::start_tls(&cert, &key, Some(&cert)).await?;
    let files = tempfile::tempdir()?;
    let (cert_file, key_file) = (files.path().join("tls.crt"), files.path().join("tls.key"));
    std::fs::write(&cert_file, &cert)?;
    std::fs::write(&key_file, &key)?;

    let client = Client::builder()
        .endpoint(gateway.endpoint())
        .tls(
            Tls::new()
                .ca_file(&cert_file)
                .identity_files(&cert_file, &key_file),
        )
        .bearer_token(|| async { Ok(fetch_token().await?) })
        .default_deadline(Some(Duration::from_secs(5)))
        .user_agent("checkout/2.1")
        .build()?;
    let session = client
        .create_session(CreateSessionRequest::default())
        .await?;
    println!("a session in {}, over mTLS", session.region);
    Ok(())
}

/// In place of a call to the identity provider; keep its answer until it expires.
async fn fetch_token() -> Result<String, std::io::Error> {
    Ok("header.payload.signature".to_owned())
}
