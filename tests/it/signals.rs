//! A signal ends the program, a second one at once.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Command;

use crate::program::{Started, lines_until, start};

#[test]
fn a_signal_ends_in_good_order() {
    let mut dev = start(&[
        "dev",
        "--listen",
        "127.0.0.1:0",
        "--emulator-listen",
        "127.0.0.1:0",
    ]);
    let mut out = BufReader::new(dev.0.stdout.take().unwrap());
    lines_until(&mut out, "Ctrl-C");
    let killed = Command::new("kill")
        .arg(dev.0.id().to_string())
        .status()
        .unwrap();
    assert!(killed.success());
    let mut log = String::new();
    dev.0
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut log)
        .unwrap();
    assert!(log.contains("shut down: every call has finished"), "{log}");
    assert_eq!(dev.0.wait().unwrap().code(), Some(0));
}

#[test]
fn a_second_signal_ends_at_once() {
    let mut dev = start(&[
        "serve",
        "--region",
        "us-east-1",
        "--listen",
        "127.0.0.1:0",
        "--no-sign-request",
    ]);
    let mut err = BufReader::new(dev.0.stderr.take().unwrap());
    let mut log = String::new();
    let signal = |process: &Started| {
        let killed = Command::new("kill")
            .arg(process.0.id().to_string())
            .status();
        assert!(killed.unwrap().success());
    };
    // The first begins the drain delay of five seconds, which the second cuts.
    for (mark, again) in [
        ("ready: serving", true),
        ("a second signal ends at once", true),
        ("ended at once", false),
    ] {
        while !log.contains(mark) {
            assert_ne!(err.read_line(&mut log).unwrap(), 0, "{log}");
        }
        if again {
            signal(&dev);
        }
    }
    assert_eq!(dev.0.wait().unwrap().code(), Some(130));
}
