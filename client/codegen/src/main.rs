//! Regenerates the committed files of `face-liveness-client`.

use face_liveness_codegen::{generate, generated_dir, proto_dir};

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    std::fs::create_dir_all(generated_dir())?;
    generate(&proto_dir(), &generated_dir())
}
