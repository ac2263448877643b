//! From the settings to a client of the gateway.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use face_liveness_client::{Client, DEFAULT_MAX_ATTEMPTS, RetryEvent, Tls};

use crate::debug::LogLayer;
use crate::failure::Failure;
use crate::settings::Connection;

/// Shorter waits are over before anyone has read of them.
pub(crate) const NOTICEABLE: Duration = Duration::from_secs(1);

/// Told of every retry.
pub(crate) type OnRetry = Arc<dyn Fn(&RetryEvent) + Send + Sync>;

/// A client that is not connected yet.
///
/// # Errors
/// An endpoint that is none, files that hold no certificate or key.
pub(crate) fn client(connection: &Connection, on_retry: OnRetry) -> Result<Client, Failure> {
    let mut builder = Client::builder()
        .endpoint(&connection.endpoint)
        .default_deadline(connection.read_timeout)
        .connect_timeout(connection.connect_timeout)
        .user_agent(concat!("face-liveness-cli/", env!("CARGO_PKG_VERSION")))
        .on_retry(on_retry)
        .layer(LogLayer);
    if connection
        .endpoint
        .to_ascii_lowercase()
        .starts_with("https:")
    {
        builder = builder.tls(tls(connection));
    }
    if let Some(token) = &connection.token {
        builder = builder.static_bearer_token(token);
    }
    // The endpoint itself stays out of the message: it may hold a password.
    let client = builder.build().map_err(|error| {
        Failure::exception(format_args!("Cannot set up the connection: {error}"))
    })?;
    tracing::debug!(
        endpoint = connection.endpoint,
        token = connection.token.is_some(),
        client_certificate = connection.identity.is_some(),
        "the gateway"
    );
    Ok(client)
}

fn tls(connection: &Connection) -> Tls {
    let mut tls = Tls::new();
    if let Some(file) = &connection.ca_bundle {
        tls = tls.ca_file(file);
    }
    if let Some((certificate, key)) = &connection.identity {
        tls = tls.identity_files(certificate, key);
    }
    if !connection.verify {
        tls = tls.danger_accept_any_certificate();
    }
    tls
}

/// Tells of long waits, where somebody sits in front of a terminal.
pub(crate) fn tell_of_waits() -> OnRetry {
    let is_watched = io::stderr().is_terminal();
    Arc::new(move |event| {
        if is_watched && event.delay > NOTICEABLE {
            tell(&wait(event));
        }
    })
}

/// A line for whoever watches.
pub(crate) fn tell(line: &str) {
    // Without stderr there is nobody to tell.
    let _ = writeln!(io::stderr(), "face-liveness: {line}");
}

fn wait(event: &RetryEvent) -> String {
    format!(
        "waiting {:.1} s before attempt {} of {DEFAULT_MAX_ATTEMPTS}: {}",
        event.delay.as_secs_f64(),
        event.attempt + 1,
        event.error
    )
}
