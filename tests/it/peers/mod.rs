//! Peers that misbehave: each is tried against a gateway in a process of its own,
//! whose memory is watched, while another caller calls all the time and is served.

#![expect(clippy::print_stdout, reason = "the figures are part of the result")]

mod age;
mod bounds;
mod caller;
mod compressed;
mod floods;
pub(crate) mod frames;
mod hang_ups;
mod idle;
mod slow;
mod unread;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rekognition_emulator::Emulator;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};

use self::caller::{Caller, Latencies};
use crate::http::get;
use crate::program::{Started, gateway};
use crate::support::{KEY, emulator, file};

/// Longer than anything here takes on any machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// What no attack may take of memory. Where the gateway keeps what a peer sends,
/// far more was sent.
const MOST_MEMORY: i64 = 96 << 20;

/// How many calls tell what is usual, and how many that others are served too.
const CALM: usize = 50;
const SOME: usize = 5;

/// No quota, and nothing kept of the other caller's sessions, of which there are many.
const UNLIMITED: &str = "
quota = { creates_per_second = 'off', concurrent_sessions = 'off' }
ledger = { entries = 1 }
";

/// A gateway in a process of its own, and another caller.
struct Besieged {
    /// Dropped before the gateway, which its caller would miss.
    aside: Aside,
    address: SocketAddr,
    admin: SocketAddr,
    emulator: Emulator,
    log: Arc<Mutex<String>>,
    caller: Caller,
    /// What it was before the attack.
    calm: Latencies,
    /// Bytes, before the attack.
    memory: i64,
    program: Started,
}

/// A thread for those who are attacked, so that what their calls take is not the
/// attackers' time.
struct Aside(Option<Runtime>);

impl Default for Aside {
    fn default() -> Self {
        let mut runtime = Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build();
        Self(Some(runtime.unwrap()))
    }
}

impl Aside {
    fn handle(&self) -> Handle {
        self.0.as_ref().unwrap().handle().clone()
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // Whatever runs there need not come to an end.
        self.0.take().unwrap().shutdown_background();
    }
}

impl Besieged {
    /// Starts it without quota and with these lines in `[server]`.
    async fn start(server: &str) -> Self {
        let toml = format!("{UNLIMITED}\n[server]\n{server}");
        Self::configured(&toml, plaintext).await
    }

    /// Starts it with this configuration, to which the other caller connects so.
    async fn configured(
        toml: &str,
        connect: impl FnOnce(SocketAddr) -> Channel + Send + 'static,
    ) -> Self {
        let aside = Aside::default();
        let runtime = aside.handle();
        let emulator = runtime.spawn(emulator()).await.unwrap();
        let (program, log) = serve(&emulator, toml).await;
        let told = log.lock().unwrap().clone();
        let after = |mark: &str| {
            let rest = told.split_once(mark).unwrap().1;
            let end = rest.find(['"', '/']).unwrap();
            rest[..end].parse().unwrap()
        };
        let (address, admin) = (after("address=\""), after("admin=\"http://"));
        let mut caller = Caller::start(&runtime, move || connect(address));
        caller.is_served(CALM).await;
        let mut besieged = Self {
            address,
            admin,
            emulator,
            log,
            calm: caller.latencies(),
            caller,
            memory: 0,
            program,
            aside,
        };
        besieged.memory = besieged.most_memory().await;
        besieged
    }

    /// The sum of a metric's series that have `label` in their labels.
    async fn labelled(&self, metric: &str, label: &str) -> i64 {
        let metrics = get(self.admin, "/metrics").await.body;
        metrics
            .lines()
            .filter(|line| line.starts_with(metric) && line.contains(label))
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
            .map(|value| value as i64)
            .sum()
    }

    /// The sum of a metric's series.
    async fn figure(&self, metric: &str) -> i64 {
        self.labelled(metric, "").await
    }

    /// How many connections the gateway ended for this reason.
    async fn closed(&self, reason: &str) -> i64 {
        let metric = "face_liveness_connections_closed_total";
        self.labelled(metric, &format!("\"{reason}\"")).await
    }

    /// How many clients were turned away for this reason.
    async fn refused(&self, reason: &str) -> i64 {
        let metric = "face_liveness_connections_refused_total";
        self.labelled(metric, &format!("\"{reason}\"")).await
    }

    /// Waits until the gateway has ended so many connections for this reason.
    async fn until_closed(&self, reason: &str, times: i64) {
        let done = async { while self.closed(reason).await < times {} };
        timeout(PATIENCE, done).await.unwrap();
    }

    /// Waits until a metric is that low.
    async fn until_at_most(&self, metric: &str, most: i64) {
        let done = async { while self.figure(metric).await > most {} };
        timeout(PATIENCE, done).await.unwrap();
    }

    /// Waits until nobody is connected but the other caller, and no call is held but
    /// its own.
    async fn until_alone(&self) {
        for metric in [
            "face_liveness_connections_open",
            "face_liveness_calls_in_flight",
            "face_liveness_quota_queue_depth",
        ] {
            self.until_at_most(metric, 1).await;
        }
    }

    /// Asserts that the other caller is served, and memory has not grown by much.
    /// Prints how both are doing.
    async fn stands(&mut self) {
        self.caller.is_served(SOME).await;
        let grown = self.most_memory().await - self.memory;
        let besieged = self.caller.latencies().since(&self.calm);
        println!(
            "{}: memory at most {} KiB more; another caller's calls: {besieged}; before: {}",
            thread::current().name().unwrap_or_default(),
            grown >> 10,
            self.calm,
        );
        assert!(grown < MOST_MEMORY, "memory has grown by {grown} bytes");
    }

    /// The most bytes that the gateway ever had, or has now where the system does not
    /// remember.
    async fn most_memory(&self) -> i64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.program.0.id()));
        let most = status.ok().and_then(|status| {
            let (_, rest) = status.split_once("VmHWM:")?;
            rest.split_whitespace().next()?.parse::<i64>().ok()
        });
        match most {
            Some(kilobytes) => kilobytes << 10,
            None => self.figure("process_resident_memory_bytes").await,
        }
    }

    /// How many lines of the log have `mark` in them.
    fn told(&self, mark: &str) -> usize {
        let log = self.log.lock().unwrap();
        log.lines().filter(|line| line.contains(mark)).count()
    }
}

/// What the gateway said last tells why a test failed.
impl Drop for Besieged {
    fn drop(&mut self) {
        if thread::panicking()
            && let Ok(log) = self.log.lock()
        {
            let lines: Vec<_> = log.lines().rev().take(40).collect();
            lines.iter().rev().for_each(|line| println!("{line}"));
        }
    }
}

/// The program, as soon as it is ready, and its log, which is read all the time.
async fn serve(emulator: &Emulator, toml: &str) -> (Started, Arc<Mutex<String>>) {
    let toml = file(toml);
    let url = emulator.endpoint_url();
    let mut command = gateway(&["serve", "--listen", "127.0.0.1:0"]);
    command
        .args(["--region", "us-east-1", "--endpoint-url", &url])
        .args(["--config", toml.path().to_str().unwrap()])
        .env("AWS_ACCESS_KEY_ID", KEY)
        .env("AWS_SECRET_ACCESS_KEY", KEY);
    let mut started = Started(command.stderr(Stdio::piped()).spawn().unwrap());
    let lines = BufReader::new(started.0.stderr.take().unwrap()).lines();
    let log = Arc::new(Mutex::new(String::new()));
    let (ready, mut is_ready) = watch::channel(false);
    thread::spawn({
        let log = Arc::clone(&log);
        move || {
            for line in lines.map_while(Result::ok) {
                let mut log = log.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
                if line.contains("ready: serving") {
                    ready.send_replace(true);
                }
            }
        }
    });
    let begun = is_ready.wait_for(|ready| *ready);
    timeout(PATIENCE, begun).await.unwrap().unwrap();
    (started, log)
}

/// A channel whose connection is made with the first call.
fn plaintext(address: SocketAddr) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}"));
    endpoint.unwrap().connect_lazy()
}
