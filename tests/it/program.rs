//! The program as a user starts it.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio};

pub(crate) fn gateway(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_face-liveness-gateway"));
    command
        .args(args)
        .env_clear()
        .env("AWS_EC2_METADATA_DISABLED", "true");
    let serves = matches!(args.first(), Some(&("serve" | "dev")));
    if serves && !args.contains(&"--admin-listen") {
        command.args(["--admin-listen", "127.0.0.1:0"]);
    }
    command
}

/// The exit status, standard output and standard error.
pub(crate) fn run(args: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = gateway(args).output().unwrap();
    (
        status.code(),
        String::from_utf8(stdout).unwrap(),
        String::from_utf8(stderr).unwrap(),
    )
}

/// A program that is killed when the test ends.
pub(crate) struct Started(pub(crate) Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn start(args: &[&str]) -> Started {
    Started(
        gateway(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    )
}

/// Reads lines up to the one that contains `mark`.
pub(crate) fn lines_until(out: &mut BufReader<ChildStdout>, mark: &str) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        assert_ne!(
            out.read_line(&mut line).unwrap(),
            0,
            "ended before {mark:?}: {lines:?}"
        );
        lines.push(line);
        if lines.iter().any(|line| line.contains(mark)) {
            return lines;
        }
    }
}

/// A running `serve` under the eyes of a test: its log, and signals to it.
pub(crate) struct Program {
    started: Started,
    stderr: BufReader<ChildStderr>,
    log: String,
}

impl Program {
    /// `serve` with these arguments on a port of its own, as soon as it is ready.
    pub(crate) fn serve(args: &[&str]) -> Self {
        let mut command = gateway(&["serve", "--listen", "127.0.0.1:0", "--no-sign-request"]);
        let child = command.args(args).stderr(Stdio::piped()).spawn();
        let mut started = Started(child.unwrap());
        let stderr = BufReader::new(started.0.stderr.take().unwrap());
        let mut program = Self {
            started,
            stderr,
            log: String::new(),
        };
        program.until("ready: serving");
        program
    }

    /// Reads on until the log tells `mark` once more, and gives what came.
    pub(crate) fn until(&mut self, mark: &str) -> String {
        let begin = self.log.len();
        while !self.log[begin..].contains(mark) {
            let read = self.stderr.read_line(&mut self.log).unwrap();
            assert_ne!(read, 0, "ended before {mark:?}: {}", self.log);
        }
        self.log[begin..].to_owned()
    }

    /// Everything that was read of the log.
    pub(crate) fn log(&self) -> &str {
        &self.log
    }

    /// Where it serves, by its log.
    pub(crate) fn address(&self) -> SocketAddr {
        let after = self.log.split("address=\"").nth(1).unwrap();
        after.split('"').next().unwrap().parse().unwrap()
    }

    /// Sends a signal, such as `HUP`.
    pub(crate) fn signal(&self, name: &str) {
        let killed = Command::new("kill")
            .args(["-s", name, &self.started.0.id().to_string()])
            .status();
        assert!(killed.unwrap().success());
    }
}
