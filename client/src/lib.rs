//! The client of the face liveness gateway: messages, service client and
//! descriptor set, generated from `faceliveness/v1/face_liveness.proto` and
//! committed, so that building this crate needs neither `protoc` nor a build
//! script.
//!
//! ```no_run
//! # #[cfg(feature = "transport")]
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use face_liveness_client::v1::CreateSessionRequest;
//! use face_liveness_client::v1::face_liveness_service_client::FaceLivenessServiceClient;
//! use tonic::transport::Endpoint;
//!
//! let channel = Endpoint::from_static("http://127.0.0.1:50051").connect_lazy();
//! let mut client = FaceLivenessServiceClient::new(channel);
//! let session = client
//!     .create_session(CreateSessionRequest {
//!         client_request_token: Some("4f1c2f0e-0d2b-4a7e-9b1e-8f3a6f0c9d21".to_owned()),
//!         ..Default::default()
//!     })
//!     .await?
//!     .into_inner();
//! println!("stream to {} in {}", session.session_id, session.region);
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//! - `transport` (default): tonic's HTTP/2 transport, to connect with.
//! - `server`: the service trait and its server, for fakes in tests.

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
