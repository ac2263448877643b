//! One address of the gateway, and the HTTP/2 connection to it.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::rt::{Read, Write};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::body::Body;

use super::body;
use super::failure::Failure;
use super::target::Target;

/// TCP sends a lost first packet again after one second; this leaves room for
/// that and for the TLS handshake.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A peer that vanished without a word is noticed, with
/// [`DEFAULT_KEEP_ALIVE_TIMEOUT`], early enough for a retry elsewhere within the
/// default deadline. Pings are sent only while calls are in flight, and an answer
/// usually comes long before the first.
pub const DEFAULT_KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// Many times the longest round trip on Earth.
pub const DEFAULT_KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(2);

/// HTTP/2's own default: an answer has about 200 bytes.
pub const DEFAULT_STREAM_WINDOW: u32 = 65_535;

/// Sixteen full stream windows, so that no answer waits for another's window.
pub const DEFAULT_CONNECTION_WINDOW: u32 = 1 << 20;

/// The most bytes that an answer's headers or trailers may have: twice what
/// error details need, and hyper's own default.
const MAX_HEADER_LIST: u32 = 16 << 10;

/// An address that refused is left alone for this long after the first failure,
/// as long as there are others (gRPC's first connection back-off).
const FIRST_EJECTION: Duration = Duration::from_secs(1);

/// And at most for this long: a replica that is back has work within it.
const LAST_EJECTION: Duration = Duration::from_secs(32);

/// How connections are made.
pub(crate) struct Dialer {
    http2: Builder<TokioExecutor>,
    connect_timeout: Option<Duration>,
    #[cfg(feature = "tls")]
    tls: Option<crate::tls::Connector>,
}

impl Dialer {
    pub(crate) fn new(
        connect_timeout: Option<Duration>,
        #[cfg(feature = "tls")] tls: Option<crate::tls::Connector>,
    ) -> Self {
        let mut http2 = Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .initial_stream_window_size(DEFAULT_STREAM_WINDOW)
            .initial_connection_window_size(DEFAULT_CONNECTION_WINDOW)
            .keep_alive_interval(DEFAULT_KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(DEFAULT_KEEP_ALIVE_TIMEOUT)
            .max_header_list_size(MAX_HEADER_LIST);
        Self {
            http2,
            connect_timeout,
            #[cfg(feature = "tls")]
            tls,
        }
    }

    async fn dial(&self, target: &Target, address: SocketAddr) -> DialResult {
        let Some(limit) = self.connect_timeout else {
            return self.connect(target, address).await;
        };
        tokio::time::timeout(limit, self.connect(target, address))
            .await
            .unwrap_or_else(|_| {
                let problem = format!("no connection within {limit:?}");
                Err(Arc::new(io::Error::new(io::ErrorKind::TimedOut, problem)))
            })
    }

    async fn connect(&self, target: &Target, address: SocketAddr) -> DialResult {
        let tcp = TcpStream::connect(address).await.map_err(shared)?;
        // A call is one small write, which must not wait for the last one's ACK.
        tcp.set_nodelay(true).map_err(shared)?;
        #[cfg(feature = "tls")]
        if let (true, Some(tls)) = (target.is_tls(), &self.tls) {
            let tls = tls.connect(&target.host, tcp).await.map_err(shared)?;
            return self.handshake(TokioIo::new(tls)).await;
        }
        if target.is_tls() {
            let problem = "https needs the feature `tls`";
            return Err(shared(io::Error::new(io::ErrorKind::Unsupported, problem)));
        }
        self.handshake(TokioIo::new(tcp)).await
    }

    async fn handshake<T>(&self, io: T) -> DialResult
    where
        T: Read + Write + Unpin + Send + 'static,
    {
        let (sender, connection) = self.http2.handshake(io).await.map_err(shared)?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the gateway ended");
            }
        });
        Ok(sender)
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer").finish_non_exhaustive()
    }
}

type SharedError = Arc<dyn StdError + Send + Sync>;
type DialResult = Result<SendRequest<Body>, SharedError>;

fn shared(error: impl StdError + Send + Sync + 'static) -> SharedError {
    Arc::new(error)
}

/// How sending ended.
pub(super) enum Outcome {
    /// An answer, or a failure after which the call may have been carried out.
    Sent(Result<Response<Body>, Failure>),
    /// Nothing left this machine: the request is as it was.
    Unsent(Request<Body>, Failure),
}

/// What came of connecting, once that is known.
type Dialed = Option<Result<SendRequest<Body>, Failure>>;

/// One address, with at most one connection.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) target: Arc<Target>,
    pub(super) address: SocketAddr,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    sender: Option<SendRequest<Body>>,
    /// A connection on its way, which every caller waits for.
    dialing: Option<watch::Receiver<Dialed>>,
    /// How many times in a row connecting failed, and when the last time.
    failures: u32,
    failed: Option<Instant>,
}

impl Member {
    pub(super) fn new(target: Arc<Target>, address: SocketAddr) -> Self {
        Self {
            target,
            address,
            state: Mutex::default(),
        }
    }

    /// Until when the others go first; none if it is as good as they are.
    pub(super) fn ejected_until(&self, now: Instant) -> Option<Instant> {
        let state = crate::lock(&self.state);
        let doublings = state.failures.saturating_sub(1).min(5);
        let pause = (FIRST_EJECTION * (1 << doublings)).min(LAST_EJECTION);
        Some(state.failed? + pause).filter(|end| *end > now)
    }

    /// Sends the request over the connection, which is made first if need be.
    pub(super) async fn send(
        self: &Arc<Self>,
        dialer: &Arc<Dialer>,
        request: Request<Body>,
    ) -> Outcome {
        let (mut head, body) = request.into_parts();
        head.uri = self.target.uri(head.uri);
        let mut request = Request::from_parts(head, body);
        loop {
            let (mut sender, fresh) = match self.connection(dialer).await {
                Ok(connection) => connection,
                Err(failure) => return Outcome::Unsent(request, failure),
            };
            let mut error = match sender.try_send_request(request).await {
                Ok(response) => return Outcome::Sent(self.admit(response)),
                Err(error) => error,
            };
            let message = error.take_message();
            let failure = self.broken(error.into_error());
            match message {
                // The connection had ended meanwhile: a new one will do.
                Some(unsent) if !fresh => request = unsent,
                Some(unsent) => return Outcome::Unsent(unsent, failure),
                None => return Outcome::Sent(Err(failure)),
            }
        }
    }

    fn admit(&self, response: Response<Incoming>) -> Result<Response<Body>, Failure> {
        body::admit(response, Arc::clone(&self.target), self.address)
    }

    /// The connection, and whether it was made for this call.
    async fn connection(
        self: &Arc<Self>,
        dialer: &Arc<Dialer>,
    ) -> Result<(SendRequest<Body>, bool), Failure> {
        let mut dialing = {
            let mut state = crate::lock(&self.state);
            if let Some(sender) = state.open() {
                return Ok((sender, false));
            }
            let dialing = match state.dialing() {
                Some(dialing) => dialing,
                None => self.dial(dialer),
            };
            state.dialing = Some(dialing.clone());
            dialing
        };
        let Ok(dialed) = dialing.wait_for(Option::is_some).await else {
            return Err(self.refused(shared(io::Error::other("its runtime has shut down"))));
        };
        match &*dialed {
            Some(Ok(sender)) => Ok((sender.clone(), true)),
            Some(Err(failure)) => Err(failure.clone()),
            // `wait_for` does not return with it.
            None => Err(self.refused(shared(io::Error::other("no outcome")))),
        }
    }

    /// Connects in a task of its own: it goes on when the caller's deadline
    /// passes, or else an address that swallows packets would never be noticed.
    fn dial(self: &Arc<Self>, dialer: &Arc<Dialer>) -> watch::Receiver<Dialed> {
        let (report, dialing) = watch::channel(None);
        let (member, dialer) = (Arc::clone(self), Arc::clone(dialer));
        tokio::spawn(async move {
            let dialed = dialer.dial(&member.target, member.address).await;
            let dialed = dialed.map_err(|error| member.refused(error));
            crate::lock(&member.state).note(&dialed);
            report.send_replace(Some(dialed));
        });
        dialing
    }

    fn refused(&self, error: SharedError) -> Failure {
        Failure::Connect {
            authority: self.target.authority.to_string(),
            address: self.address,
            error,
        }
    }

    fn broken(&self, error: hyper::Error) -> Failure {
        Failure::Broken {
            authority: self.target.authority.to_string(),
            address: self.address,
            error: Arc::new(error),
        }
    }
}

impl State {
    fn open(&self) -> Option<SendRequest<Body>> {
        self.sender.clone().filter(|sender| !sender.is_closed())
    }

    /// The connection on its way, unless its task went down with a runtime.
    fn dialing(&self) -> Option<watch::Receiver<Dialed>> {
        self.dialing
            .clone()
            .filter(|dialing| dialing.has_changed().is_ok())
    }

    fn note(&mut self, dialed: &Result<SendRequest<Body>, Failure>) {
        *self = match dialed {
            Ok(sender) => Self {
                sender: Some(sender.clone()),
                ..Self::default()
            },
            Err(_) => Self {
                failures: self.failures.saturating_add(1),
                failed: Some(Instant::now()),
                ..Self::default()
            },
        };
    }
}
