//! Tells the program its version, and generates the service trait of the gateway over the messages of
//! `face-liveness-client`, with a codec of the gateway's own. No message is
//! generated here.

use std::error::Error;
use std::path::Path;

const PROTO_DIR: &str = "proto";
const SCHEMA: &str = "faceliveness/v1/face_liveness.proto";

fn main() -> Result<(), Box<dyn Error>> {
    build_info();
    generate()
}

/// The version, with the source revision if whoever builds tells it.
fn build_info() {
    println!("cargo::rerun-if-env-changed=SOURCE_REVISION");
    let version = env!("CARGO_PKG_VERSION");
    let version = match std::env::var("SOURCE_REVISION") {
        Ok(revision) if !revision.is_empty() => format!("{version} ({revision})"),
        _ => version.to_owned(),
    };
    println!("cargo::rustc-env=GATEWAY_VERSION={version}");
}

fn generate() -> Result<(), Box<dyn Error>> {
    println!(
        "cargo::rerun-if-changed={}",
        Path::new(PROTO_DIR).join(SCHEMA).display()
    );
    let descriptors = protox::compile([SCHEMA], [PROTO_DIR])?;
    tonic_prost_build::configure()
        .build_client(false)
        .extern_path(".faceliveness.v1", "::face_liveness_client::v1")
        .codec_path("crate::inbound::codec::Codec")
        .compile_fds(descriptors)?;
    Ok(())
}
