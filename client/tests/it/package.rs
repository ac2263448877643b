//! What would be published builds alone.

use std::path::Path;
use std::process::Command;

#[test]
fn the_packaged_crate_builds_on_its_own() {
    // …/target/debug/deps/it-…: what is compiled already need not be again.
    let exe = std::env::current_exe().unwrap();
    let target = exe.ancestors().nth(3).unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["package", "--allow-dirty", "--offline", "--quiet"])
        .args(["--features", "opentelemetry,testing", "--target-dir"])
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let name = concat!("face-liveness-client-", env!("CARGO_PKG_VERSION"), ".crate");
    assert!(Path::new(target).join("package").join(name).exists());
}
