//! The committed files of the client crate are those that the schema gives.

use face_liveness_codegen::{CODE, DESCRIPTOR_SET, generate, generated_dir, proto_dir};

#[test]
fn committed_files_equal_what_the_schema_generates() {
    let fresh = tempfile::tempdir().unwrap();
    generate(&proto_dir(), fresh.path()).unwrap();
    for name in [CODE, DESCRIPTOR_SET] {
        let committed = std::fs::read(generated_dir().join(name)).unwrap();
        let generated = std::fs::read(fresh.path().join(name)).unwrap();
        assert!(
            committed == generated,
            "{name} is stale: run `cargo run -p face-liveness-codegen` and commit the result"
        );
    }
    let files = std::fs::read_dir(fresh.path()).unwrap().count();
    assert_eq!(files, 2, "a generated file is not compared");
}
