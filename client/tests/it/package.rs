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
    let name = concat!("face-liveness-client-", env!("CARGO_PKG_VERSION"));
    let packages = target.join("package");
    assert!(packages.join(format!("{name}.crate")).exists());
    // What was built is unpacked beside it.
    for license in ["LICENSE-MIT", "LICENSE-APACHE"] {
        let packaged = std::fs::read_to_string(packages.join(name).join(license)).unwrap();
        let own = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(license);
        assert_eq!(packaged, std::fs::read_to_string(own).unwrap(), "{license}");
    }
}
