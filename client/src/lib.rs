//! The client of the face liveness gateway, which creates sessions with Amazon
//! Rekognition Face Liveness for services that have no AWS credentials.
//!
//! [`Client`] makes one session of one intent, whatever happens on the way: it
//! balances over the gateway's replicas, keeps the call's deadline, and retries as
//! the gateway asks. A [`Session`] is a checked answer; an [`Error`] says what to
//! do next.
//!
//! ```no_run
//! # #[cfg(feature = "transport")]
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use face_liveness_client::{Client, v1};
//!
//! let client = Client::connect_lazy("http://127.0.0.1:50051")?;
//! let session = client.create_session(v1::CreateSessionRequest::default()).await?;
//! println!("stream to {} in {}", session.session_id, session.region);
//! # Ok(())
//! # }
//! ```
//!
//! Below it lie the messages, the service client and the descriptor set ([`v1`]),
//! generated from `faceliveness/v1/face_liveness.proto` and committed, so that
//! building this crate needs neither `protoc` nor a build script.
//!
//! # Features
//! - `transport` (default): [`Client`]. Without it: the messages and the generated
//!   client alone.
//! - `tls` (default): `https://` endpoints, by rustls with aws-lc.
//! - `opentelemetry`: every call carries the current OpenTelemetry context.
//! - `testing`: a scripted gateway in the test's own process.
//! - `server`: the generated service trait and its server.

/// The messages, the client and (feature `server`) the server of the protobuf
/// package `faceliveness.v1`.
#[expect(
    clippy::allow_attributes_without_reason,
    unused_qualifications,
    reason = "generated code"
)]
#[cfg_attr(
    feature = "server",
    expect(clippy::allow_attributes, reason = "generated code")
)]
pub mod v1 {
    include!("generated/faceliveness.v1.rs");

    /// The full name of the service, as health checks and reflection use it.
    pub const SERVICE_NAME: &str = "faceliveness.v1.FaceLivenessService";

    /// The package's encoded `google.protobuf.FileDescriptorSet`, imports and
    /// comments included: what a reflection service serves.
    pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("generated/faceliveness.v1.bin");
}

mod redact;

#[cfg(feature = "transport")]
mod builder;
#[cfg(feature = "transport")]
mod channel;
#[cfg(feature = "transport")]
mod client;
#[cfg(feature = "transport")]
mod codec;
#[cfg(feature = "transport")]
mod error;
#[cfg(feature = "transport")]
mod reason;
#[cfg(feature = "transport")]
mod retry;
#[cfg(feature = "transport")]
mod session;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "transport")]
mod trace;

#[cfg(feature = "tls")]
pub use crate::tls::{Tls, TlsError};
#[cfg(feature = "transport")]
pub use crate::{
    builder::{BuildError, Builder},
    channel::{
        Channel, DEFAULT_CONNECT_TIMEOUT, DEFAULT_CONNECTION_WINDOW, DEFAULT_KEEP_ALIVE_INTERVAL,
        DEFAULT_KEEP_ALIVE_TIMEOUT, DEFAULT_RESOLVE_INTERVAL, DEFAULT_STREAM_WINDOW, Dns,
        InvalidEndpoint, Resolve, Resolving,
    },
    client::{Client, DEFAULT_DEADLINE},
    error::{Error, ErrorKind, FieldViolation},
    reason::{AWS_DOMAIN, GATEWAY_DOMAIN, Reason},
    retry::{
        DEFAULT_INITIAL_BACKOFF, DEFAULT_MAX_ATTEMPTS, DEFAULT_MAX_BACKOFF, DEFAULT_RETRY_TOKENS,
        DEFAULT_TOKEN_RATIO, RetryEvent,
    },
    session::Session,
};

#[cfg(all(doctest, feature = "tls"))]
#[doc = include_str!("../README.md")]
mod readme {}

/// What a mutex guards here is whole at every moment, so that a panic elsewhere
/// does not make it useless.
#[cfg(feature = "transport")]
fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
