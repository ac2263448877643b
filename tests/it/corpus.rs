//! What once was looked for in random input holds for all that was kept of it: the
//! corpus of each target in `fuzz/`.

#![expect(clippy::print_stdout, reason = "names the input that panics")]

use std::collections::BTreeSet;
use std::path::PathBuf;

use face_liveness_gateway::fuzzing;

fn corpus() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus"))
}

/// Runs a target on each input that was kept for it.
fn replay(target: &str, run: fn(&[u8])) {
    let mut inputs = 0;
    for entry in std::fs::read_dir(corpus().join(target)).unwrap() {
        let path = entry.unwrap().path();
        // Names the input if it panics.
        println!("{}", path.display());
        run(&std::fs::read(path).unwrap());
        inputs += 1;
    }
    assert!(inputs > 0, "there is no corpus for {target}");
}

#[test]
fn requests() {
    replay("request", fuzzing::request);
}

#[test]
fn policies() {
    replay("policy", fuzzing::policy);
}

#[test]
fn configurations() {
    replay("config", fuzzing::config);
}

#[test]
fn requests_to_the_emulator() {
    replay("emulator", rekognition_emulator::fuzzing::http);
}

#[test]
fn every_target_is_replayed() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/fuzz_targets");
    let names = |directory: PathBuf| -> BTreeSet<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
        entries.map(|entry| stem(entry.unwrap().path())).collect()
    };
    let replayed = ["config", "emulator", "policy", "request"].map(str::to_owned);
    assert_eq!(names(root.into()), replayed.into());
    assert_eq!(names(corpus()), names(root.into()));
}
