//! The program as one of several replicas, with its log.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use rekognition_emulator::Emulator;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::redis_server::poll;

/// Without a limit on concurrent sessions.
pub(crate) const BY_THE_SECOND: (&str, &str) = ("QUOTA_CONCURRENT_SESSIONS", "off");

/// A gateway that is killed when its test ends.
pub(crate) struct Replica {
    process: Child,
    pub(crate) channel: Channel,
    log: Arc<Mutex<String>>,
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Replica {
    /// Starts one in us-east-1 with these variables; it serves when this returns.
    pub(crate) fn start(emulator: &Emulator, store: &str, variables: &[(&str, &str)]) -> Self {
        let variables = variables
            .iter()
            .map(|(name, value)| (format!("FACE_LIVENESS_{name}"), *value));
        let mut process = Command::new(env!("CARGO_BIN_EXE_face-liveness-gateway"))
            .args(["serve", "--region", "us-east-1"])
            .args(["--listen", "127.0.0.1:0", "--log-format", "json"])
            .args(["--admin-listen", "127.0.0.1:0"])
            .args(["--endpoint-url", &emulator.endpoint_url()])
            .args(["--quota-store", store])
            .env_clear()
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .envs(variables)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap());
        let mut begun = String::new();
        let address = loop {
            let mut line = String::new();
            assert_ne!(lines.read_line(&mut line).unwrap(), 0, "it ended: {begun}");
            begun.push_str(&line);
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            if let Some(address) = line["address"].as_str() {
                break address.to_owned();
            }
        };
        let log = Arc::new(Mutex::new(begun));
        let followed = Arc::clone(&log);
        // Its log is drained, so that it never waits to write.
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                followed.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        Self {
            process,
            channel: endpoint.connect_lazy(),
            log,
        }
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// In how many lines it has logged `mark`.
    pub(crate) fn logged(&self, mark: &str) -> usize {
        self.log()
            .lines()
            .filter(|line| line.contains(mark))
            .count()
    }

    /// Waits for a line that contains `mark`.
    pub(crate) async fn logs(&self, mark: &str) {
        poll(async || self.log().contains(mark)).await;
    }

    /// Whether it shares the quota now.
    pub(crate) async fn shares(&self) -> bool {
        let request = HealthCheckRequest {
            service: "quota-store.us-east-1".to_owned(),
        };
        let answer = HealthClient::new(self.channel.clone()).check(request).await;
        answer.is_ok_and(|answer| answer.get_ref().status() == ServingStatus::Serving)
    }
}
