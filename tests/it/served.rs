//! The built program over an emulator, under the eyes of a test: its log, its
//! ports, and calls to it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{ChildStderr, Stdio};

use face_liveness_client::v1::face_liveness_service_client::FaceLivenessServiceClient;
use rekognition_emulator::Emulator;
use tonic::transport::{Channel, Endpoint};

use crate::program::{Started, gateway};

/// The program, and its log.
pub(crate) struct Served {
    pub(crate) program: Started,
    log: BufReader<ChildStderr>,
    pub(crate) lines: Vec<String>,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Served {
    /// Starts it with further arguments and variables.
    pub(crate) fn start(
        emulator: &Emulator,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        Self::start_for(&emulator.endpoint_url(), arguments, variables)
    }

    /// The same, with another AWS.
    pub(crate) fn start_for(url: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let always = [
            "serve",
            "--region",
            "us-east-1",
            "--listen",
            "127.0.0.1:0",
            "--admin-listen",
            "127.0.0.1:0",
            "--endpoint-url",
            url,
        ];
        let mut command = gateway(&[&always, arguments].concat());
        command
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("FACE_LIVENESS_SERVER_DRAIN_DELAY", "0s")
            .env("FACE_LIVENESS_QUOTA_CREATES_PER_SECOND", "off")
            .env("FACE_LIVENESS_QUOTA_CONCURRENT_SESSIONS", "off")
            .envs(variables.iter().copied());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut program = Started(command.spawn().unwrap());
        let log = BufReader::new(program.0.stderr.take().unwrap());
        let nowhere = SocketAddr::from(([0; 4], 0));
        let mut served = Self {
            program,
            log,
            lines: Vec::new(),
            address: nowhere,
            admin: nowhere,
        };
        served.until("ready: serving");
        served.address = served.logged("address").parse().unwrap();
        let admin = served.logged("admin");
        let admin = admin.trim_start_matches("http://").trim_end_matches('/');
        served.admin = admin.parse().unwrap();
        served
    }

    /// The first value of a field in the log.
    fn logged(&self, field: &str) -> String {
        let log = self.lines.join("\n");
        let json = format!("\"{field}\":\"");
        let text = format!("{field}=\"");
        let found = log.split(&json).nth(1).or_else(|| log.split(&text).nth(1));
        found.unwrap().split('"').next().unwrap().to_owned()
    }

    /// Reads on up to the line that contains `mark`, which it gives.
    pub(crate) fn until(&mut self, mark: &str) -> String {
        loop {
            let mut line = String::new();
            let read = self.log.read_line(&mut line).unwrap();
            assert_ne!(read, 0, "ended before {mark:?}: {:#?}", self.lines);
            self.lines.push(line.trim_end().to_owned());
            if line.contains(mark) {
                return line;
            }
        }
    }

    pub(crate) fn client(&self) -> FaceLivenessServiceClient<Channel> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        FaceLivenessServiceClient::new(endpoint.connect_lazy())
    }

    /// All that it wrote to standard output, when it has ended.
    pub(crate) fn stdout(&mut self) -> String {
        let mut written = String::new();
        let stdout = self.program.0.stdout.as_mut().unwrap();
        stdout.read_to_string(&mut written).unwrap();
        written
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) {
        let pid = self.program.0.id().to_string();
        let told = std::process::Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap();
        assert!(told.success());
    }

    /// Asks it to end, and reads all that it still writes.
    pub(crate) fn end(&mut self) {
        self.terminate();
        self.until("shut down:");
        let mut line = String::new();
        while self.log.read_line(&mut line).unwrap() > 0 {
            self.lines
                .push(std::mem::take(&mut line).trim_end().to_owned());
        }
    }
}
