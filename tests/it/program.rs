//! The program under the eyes of a test: its log, and signals to it.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, Stdio};

/// A running `serve`, which is killed when the test ends.
pub(crate) struct Program {
    child: Child,
    stderr: BufReader<ChildStderr>,
    log: String,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    /// `serve` with these arguments on a port of its own, as soon as it is ready.
    pub(crate) fn serve(args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_face-liveness-gateway"))
            .args(["serve", "--listen", "127.0.0.1:0", "--no-sign-request"])
            .args(args)
            .env_clear()
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let mut program = Self {
            child,
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
            .args(["-s", name, &self.child.id().to_string()])
            .status();
        assert!(killed.unwrap().success());
    }
}
