//! The examples run.

#[path = "../../examples/errors.rs"]
mod errors;
#[path = "../../examples/minimal.rs"]
mod minimal;
#[path = "../../examples/testing.rs"]
mod testing;
#[path = "../../examples/tls_and_token.rs"]
mod tls_and_token;

#[test]
fn minimal_runs() {
    minimal::main().unwrap();
}

#[test]
fn tls_and_token_runs() {
    tls_and_token::main().unwrap();
}

#[test]
fn errors_runs() {
    errors::main().unwrap();
}

#[test]
fn testing_runs() {
    testing::main().unwrap();
}

#[test]
fn every_example_is_run_here() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 4);
}
