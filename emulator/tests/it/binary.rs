//! The program says what is in force, and what is wrong.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_rekognition-emulator"))
}

#[test]
fn the_start_says_what_is_in_force_and_no_secret() {
    let mut child = program()
        .args(["--listen", "127.0.0.1:0", "--credentials", "AKID:hunter2"])
        .args(["--region", "eu-west-1", "--tps", "off", "--seed", "42"])
        .args(["--fault", "throttling=0.1", "--latency", "10ms..50ms"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = String::new();
    for line in lines {
        said += &(line.unwrap() + "\n");
        if said.contains("/_emulator/journal") {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    for expected in [
        env!("CARGO_PKG_VERSION"),
        "http://127.0.0.1:",
        "verified for AKID",
        "eu-west-1: unlimited creates/s, unlimited gets/s, 15 concurrent sessions",
        "throttling=0.1, any/latency:10ms..50ms (seed 42)",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn a_taken_port_names_the_address_and_the_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let output = program().args(["--listen", &addr]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(&addr) && said.contains("--listen"), "{said}");
}

#[test]
fn variables_stand_for_flags() {
    let output = program()
        .env("REKOGNITION_EMULATOR_FAULT", "throttling=0.1;nonsense")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("nonsense") && said.contains("reset-after-create"),
        "{said}"
    );
}

#[test]
fn the_help_names_every_fault() {
    let output = program().arg("--help").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    for name in [
        "throttling",
        "reset-after-create",
        "malformed-session-id",
        "cut-short",
        "hang",
    ] {
        assert!(said.contains(name), "{name}: {said}");
    }
}

#[test]
fn a_key_pair_that_cannot_be_read_is_not_repeated() {
    let output = program()
        .args(["--credentials", "KEY:hunter2:"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("--credentials"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}
