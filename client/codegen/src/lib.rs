//! Generates what `face-liveness-client` commits: the Rust code of the
//! protobuf schema and its descriptor set. Pure Rust, no `protoc`.
//!
//! `cargo run -p face-liveness-codegen` writes into the client crate; this
//! crate's test regenerates into a temporary folder and compares the bytes.

use std::error::Error;
use std::path::{Path, PathBuf};

use prost::Message as _;

/// The schema, relative to the `proto` folder.
const SCHEMA: &str = "faceliveness/v1/face_liveness.proto";

/// The messages that carry a token, a key id or a session id.
const SECRETIVE: [&str; 2] = [
    "faceliveness.v1.CreateSessionRequest",
    "faceliveness.v1.CreateSessionResponse",
];

/// The name of the descriptor set among the generated files.
pub const DESCRIPTOR_SET: &str = "faceliveness.v1.bin";

/// The name of the Rust code among the generated files.
pub const CODE: &str = "faceliveness.v1.rs";

/// The repository's `proto` folder.
#[must_use]
pub fn proto_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto")
}

/// The folder of the client crate that holds its generated files.
#[must_use]
pub fn generated_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../src/generated")
}

/// Compiles the schema in `proto` and writes [`CODE`] and [`DESCRIPTOR_SET`]
/// into `out`, which must exist.
///
/// The descriptor set holds the imports and the comments, so that reflection
/// can show them.
///
/// # Errors
/// When the schema does not compile (the message points at the place), or `out`
/// cannot be written.
pub fn generate(proto: &Path, out: &Path) -> Result<(), Box<dyn Error + Send + Sync>> {
    let descriptors = protox::Compiler::new([proto])?
        .include_imports(true)
        .include_source_info(true)
        .open_file(SCHEMA)?
        .file_descriptor_set();
    std::fs::write(out.join(DESCRIPTOR_SET), descriptors.encode_to_vec())?;

    tonic_prost_build::configure()
        .out_dir(out)
        .build_transport(false)
        // Their `Debug` is written by hand, without what must stay secret.
        .skip_debug(SECRETIVE)
        .server_mod_attribute(".", "#[cfg(feature = \"server\")]")
        .compile_fds(descriptors)?;
    Ok(())
}
