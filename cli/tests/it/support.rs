//! Runs the program against a gateway.

use std::path::Path;
use std::process::{Command, Output};

use face_liveness_client::testing::{Answer, FakeGateway};
use face_liveness_client::v1::CreateSessionResponse;

/// The session that the recorded answers hold.
pub(crate) const SESSION: &str = "6f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f9";

/// The program.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_face-liveness");

/// What a run left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// The last line of stderr, without spaces at its end.
    pub(crate) fn last_error(&self) -> &str {
        self.stderr.lines().last().unwrap_or_default().trim_end()
    }

    /// stdout of a run that must have succeeded.
    #[track_caller]
    pub(crate) fn good(self) -> String {
        assert_eq!(self.status, 0, "{}", self.stderr);
        assert_eq!(self.stderr, "");
        self.stdout
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().expect("it was not killed"),
            stdout: String::from_utf8(output.stdout).expect("it prints UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("it prints UTF-8"),
        }
    }
}

/// A run of the program with arguments, variables and files of its own.
#[derive(Debug)]
pub(crate) struct Program {
    command: Command,
    folder: tempfile::TempDir,
}

impl Program {
    /// Without any variable but those that name folders.
    pub(crate) fn new(program: &str) -> Self {
        let folder = tempfile::tempdir().expect("there is room");
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("HOME", folder.path())
            .current_dir(folder.path());
        Self { command, folder }
    }

    pub(crate) fn args<S: AsRef<std::ffi::OsStr>>(
        mut self,
        args: impl IntoIterator<Item = S>,
    ) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn at(self, gateway: &FakeGateway) -> Self {
        self.env("FACE_LIVENESS_ENDPOINT_URL", gateway.endpoint())
    }

    /// Puts a file into the working directory.
    pub(crate) fn file(self, name: &str, contents: &str) -> Self {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).expect("there is room");
        std::fs::write(path, contents).expect("there is room");
        self
    }

    /// Runs it, while the gateway of the same runtime can answer.
    pub(crate) async fn run(mut self) -> Ran {
        let output = tokio::task::spawn_blocking(move || self.command.output());
        let output = output.await.expect("it does not panic");
        output.expect("the program starts").into()
    }
}

/// The program with these arguments, offline.
pub(crate) async fn offline<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Ran {
    Program::new(BINARY).args(args).run().await
}

/// `face-liveness create` with these options.
pub(crate) async fn create(gateway: &FakeGateway, options: &[&str]) -> Ran {
    Program::new(BINARY)
        .at(gateway)
        .args(["create"])
        .args(options)
        .run()
        .await
}

pub(crate) async fn gateway() -> FakeGateway {
    FakeGateway::start().await.expect("there is a free port")
}

/// The session of the recorded answers.
pub(crate) fn recorded_session() -> Answer {
    let seconds = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    Answer::response(CreateSessionResponse {
        session_id: SESSION.to_owned(),
        region: "eu-west-1".to_owned(),
        create_time: seconds(1_790_000_000),
        expire_time: seconds(1_790_000_180),
        replayed: false,
    })
}
