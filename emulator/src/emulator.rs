//! The emulator as a value: built, started, driven and stopped.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::credentials::Credentials;
use crate::faults::{Fault, FaultStatus, Plan};
use crate::journal::{DEFAULT_JOURNAL_SIZE, Journal, Recorder};
use crate::quota::{DEFAULT_SESSION_LENGTH, Quota, Usage};
use crate::region::{DEFAULT_REGION, REGIONS};
use crate::server;
use crate::sessions::Sessions;
use crate::signature::Verifier;
use crate::state::{Shared, State};

/// A running emulator of Amazon Rekognition Face Liveness.
///
/// Clones drive the same emulator, from any thread or runtime. It runs on the runtime that
/// started it and stops with [`shutdown`](Emulator::shutdown) or when the last clone is dropped.
///
/// ```
/// use rekognition_emulator::{Credentials, Emulator, Fault, Quota};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let emulator = Emulator::builder()
///     .credentials([Credentials::new("AKIDEXAMPLE", "secret")])
///     .quota(Quota::UNLIMITED)
///     .faults([Fault::throttling().on_call(1)])
///     .seed(42)
///     .start()
///     .await?;
///
/// // Point an SDK at emulator.endpoint_url(), make calls, and see what they did:
/// assert_eq!(emulator.journal().sessions_made, 0);
///
/// emulator.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Emulator {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    addr: SocketAddr,
    /// Says stop, or is dropped with the last clone, which says the same.
    stop: watch::Sender<bool>,
    /// Its sender lives as long as the server's task.
    stopped: watch::Receiver<()>,
}

impl Emulator {
    /// An emulator to be configured.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The bound address.
    pub fn addr(&self) -> SocketAddr {
        self.inner.addr
    }

    /// What SDKs take for an endpoint: `http://127.0.0.1:4580`.
    pub fn endpoint_url(&self) -> String {
        format!("http://{}", self.inner.addr)
    }

    /// What it saw and did since it started or was reset.
    pub fn journal(&self) -> Journal {
        self.inner.shared.state().journal.read()
    }

    /// Replaces the faults; they count calls from now, and draw from the seed anew.
    pub fn set_faults(&self, faults: impl IntoIterator<Item = Fault>) {
        let faults = faults.into_iter().collect();
        self.inner.shared.set_faults(faults, None);
    }

    /// The faults that are set, and how often they hit.
    pub fn faults(&self) -> Vec<FaultStatus> {
        self.inner.shared.state().faults.statuses()
    }

    /// The seed from which faults are drawn.
    pub fn seed(&self) -> u64 {
        self.inner.shared.state().faults.seed()
    }

    /// The quota of a region.
    pub fn quota(&self, region: &str) -> Quota {
        self.inner.shared.quota(region)
    }

    /// The clock by which sessions expire and quotas refill.
    pub fn clock(&self) -> &Clock {
        &self.inner.shared.clock
    }

    /// Forgets sessions, used quota and journal. The faults stay and count from anew.
    pub fn reset(&self) {
        self.inner.shared.reset();
    }

    /// Stops listening, drops every connection, and returns when that is done.
    pub async fn shutdown(&self) {
        self.inner.stop.send_replace(true);
        let mut stopped = self.inner.stopped.clone();
        // Nothing is ever sent: the error is the task's end.
        while stopped.changed().await.is_ok() {}
    }
}

/// Configures an [`Emulator`].
#[derive(Debug)]
pub struct Builder {
    addr: SocketAddr,
    listener: Option<std::net::TcpListener>,
    credentials: Vec<Credentials>,
    verify_signatures: bool,
    default_region: String,
    regions: BTreeSet<String>,
    quota: Option<Quota>,
    region_quotas: HashMap<String, Quota>,
    session_length: Duration,
    faults: Vec<Fault>,
    seed: Option<u64>,
    clock: Clock,
    journal_size: usize,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            listener: None,
            credentials: Vec::new(),
            verify_signatures: true,
            default_region: DEFAULT_REGION.into(),
            regions: REGIONS.map(str::to_owned).into(),
            quota: None,
            region_quotas: HashMap::new(),
            session_length: DEFAULT_SESSION_LENGTH,
            faults: Vec::new(),
            seed: None,
            clock: Clock::running(),
            journal_size: DEFAULT_JOURNAL_SIZE,
        }
    }
}

impl Builder {
    /// The address to listen on: by default a free port of 127.0.0.1.
    #[must_use]
    pub fn listen(mut self, addr: SocketAddr) -> Self {
        self.addr = addr;
        self
    }

    /// A bound listener to serve in place of an address.
    #[must_use]
    pub fn listener(mut self, listener: std::net::TcpListener) -> Self {
        self.listener = Some(listener);
        self
    }

    /// The key pairs whose signatures are accepted: by default `test` with the secret `test`.
    #[must_use]
    pub fn credentials(mut self, credentials: impl IntoIterator<Item = Credentials>) -> Self {
        self.credentials = credentials.into_iter().collect();
        self
    }

    /// Whether signatures are verified; they are by default. If not, unsigned requests are
    /// answered too.
    #[must_use]
    pub fn verify_signatures(mut self, verify: bool) -> Self {
        self.verify_signatures = verify;
        self
    }

    /// The region of requests without a signature: by default [`DEFAULT_REGION`].
    #[must_use]
    pub fn default_region(mut self, region: impl Into<String>) -> Self {
        self.default_region = region.into();
        self
    }

    /// The regions that have Face Liveness: by default [`REGIONS`]. The others answer
    /// `AccessDeniedException`.
    #[must_use]
    pub fn regions(mut self, regions: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.regions = regions.into_iter().map(Into::into).collect();
        self
    }

    /// The quota of every region, in place of AWS's defaults ([`Quota::of_region`]).
    #[must_use]
    pub fn quota(mut self, quota: Quota) -> Self {
        self.quota = Some(quota);
        self
    }

    /// The quota of one region, whatever the others have.
    #[must_use]
    pub fn region_quota(mut self, region: impl Into<String>, quota: Quota) -> Self {
        self.region_quotas.insert(region.into(), quota);
        self
    }

    /// How long a session counts as concurrent: by default [`DEFAULT_SESSION_LENGTH`].
    #[must_use]
    pub fn session_length(mut self, length: Duration) -> Self {
        self.session_length = length;
        self
    }

    /// The faults to begin with.
    #[must_use]
    pub fn faults(mut self, faults: impl IntoIterator<Item = Fault>) -> Self {
        self.faults = faults.into_iter().collect();
        self
    }

    /// The seed of what is random about faults: by default a random one.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The clock by which sessions expire and quotas refill: by default one that runs.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// How many requests the journal remembers: by default [`DEFAULT_JOURNAL_SIZE`].
    #[must_use]
    pub fn journal_size(mut self, requests: usize) -> Self {
        self.journal_size = requests;
        self
    }

    /// Binds the address and serves it on this runtime, which must have I/O and time enabled.
    ///
    /// # Errors
    ///
    /// The address cannot be bound; the error names it.
    pub async fn start(mut self) -> io::Result<Emulator> {
        let listener = self.bind().await?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(self.into_shared());
        let (stop, stop_requested) = watch::channel(false);
        let (running, stopped) = watch::channel(());
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            server::serve(listener, serving, stop_requested).await;
            drop(running);
        });
        Ok(Emulator {
            inner: Arc::new(Inner {
                shared,
                addr,
                stop,
                stopped,
            }),
        })
    }

    async fn bind(&mut self) -> io::Result<TcpListener> {
        let Some(listener) = self.listener.take() else {
            let addr = self.addr;
            return TcpListener::bind(addr).await.map_err(|error| {
                io::Error::new(error.kind(), format!("cannot listen on {addr}: {error}"))
            });
        };
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    }

    pub(crate) fn into_shared(mut self) -> Shared {
        if self.credentials.is_empty() {
            self.credentials.push(Credentials::default());
        }
        let by_key = |pair: Credentials| (pair.access_key().to_owned(), pair);
        let seed = self.seed.unwrap_or_else(|| fastrand::u64(..));
        Shared {
            verifier: Verifier {
                credentials: self.credentials.into_iter().map(by_key).collect(),
                verify: self.verify_signatures,
                default_region: self.default_region,
            },
            clock: self.clock,
            regions: self.regions,
            quota: self.quota,
            region_quotas: self.region_quotas,
            session_length: self.session_length,
            state: Mutex::new(State {
                sessions: Sessions::default(),
                usage: Usage::default(),
                faults: Plan::new(self.faults, seed),
                journal: Recorder::new(self.journal_size),
            }),
        }
    }
}
