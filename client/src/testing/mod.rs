//! A gateway for tests: it runs in the test's own process, on a port of its own,
//! answers what the test scripts, and remembers what it was asked.
//!
//! ```
//! use face_liveness_client::testing::{Answer, FakeGateway, Refusal};
//! use face_liveness_client::{Client, Reason, v1::CreateSessionRequest};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let gateway = FakeGateway::start().await?;
//! gateway.enqueue(Refusal::new(Reason::Overloaded));
//!
//! let client = Client::connect_lazy(gateway.endpoint())?;
//! let session = client.create_session(CreateSessionRequest::default()).await?;
//!
//! assert!(!session.replayed);
//! let attempts = gateway.requests();
//! assert_eq!(attempts.len(), 2);
//! assert_eq!(attempts[1].text("grpc-previous-rpc-attempts"), Some("1"));
//! # Ok(())
//! # }
//! ```

mod answer;
mod server;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::metadata::MetadataMap;

pub use answer::{Answer, Refusal};

use crate::v1::{CreateSessionRequest, CreateSessionResponse};

/// How many requests and sessions are remembered, the latest ones.
pub const MAX_REMEMBERED: usize = 10_000;

/// A gateway that answers what a test wants. It stops when it is dropped.
///
/// What is not scripted with [`enqueue`](Self::enqueue) is answered with a
/// session, and with the same one for the same `client_request_token`.
#[derive(Debug)]
pub struct FakeGateway {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

/// A call that reached the fake.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Received {
    /// The request.
    pub message: CreateSessionRequest,
    /// Its metadata.
    pub metadata: MetadataMap,
    /// The connection it came over; the first is 1.
    pub connection: usize,
    /// The client's certificate, as DER, if it showed one.
    pub client_certificate: Option<Vec<u8>>,
}

impl Received {
    /// The value of an ASCII metadata key.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.metadata.get(key)?.to_str().ok()
    }
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    script: VecDeque<Answer>,
    requests: VecDeque<Received>,
    sessions: HashMap<String, CreateSessionResponse>,
    connections: usize,
}

impl FakeGateway {
    /// Listens on a free port of the loopback, in plaintext.
    ///
    /// # Errors
    /// When the port cannot be bound.
    pub async fn start() -> io::Result<Self> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into()).await
    }

    /// Listens on an address of your choice, in plaintext.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start_at(address: SocketAddr) -> io::Result<Self> {
        Self::listen(address, "http", server::Security::plaintext()).await
    }

    /// Listens on a free port of the loopback, with TLS. With `client_ca` (PEM) the
    /// client must show a certificate of that authority.
    ///
    /// The endpoint is `https://localhost:…`: the certificate must be good for
    /// `localhost`.
    ///
    /// # Errors
    /// When the PEM is not valid, or the port cannot be bound.
    #[cfg(feature = "tls")]
    pub async fn start_tls(cert: &str, key: &str, client_ca: Option<&str>) -> io::Result<Self> {
        let security = server::Security::tls(cert, key, client_ca)?;
        Self::listen((Ipv4Addr::LOCALHOST, 0).into(), "https", security).await
    }

    async fn listen(
        address: SocketAddr,
        scheme: &'static str,
        security: server::Security,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let shared = Arc::new(Shared::default());
        Ok(Self {
            address: listener.local_addr()?,
            scheme,
            server: tokio::spawn(server::run(listener, security, Arc::clone(&shared))),
            shared,
        })
    }

    /// What [`Builder::endpoint`](crate::Builder::endpoint) takes.
    #[must_use]
    pub fn endpoint(&self) -> String {
        match self.scheme {
            "https" => format!("https://localhost:{}", self.address.port()),
            scheme => format!("{scheme}://{}", self.address),
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Adds an answer to the script: the next call that has none yet gets it.
    pub fn enqueue(&self, answer: impl Into<Answer>) {
        self.state().script.push_back(answer.into());
    }

    /// The calls so far, in the order in which they came.
    #[must_use]
    pub fn requests(&self) -> Vec<Received> {
        self.state().requests.iter().cloned().collect()
    }

    /// How many connections were opened so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.state().connections
    }

    /// Closes the port and every connection.
    pub async fn stop(mut self) {
        self.server.abort();
        // Cancelled, as it should be.
        let _ = (&mut self.server).await;
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        crate::lock(&self.shared.state)
    }
}

impl Drop for FakeGateway {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn connected(&self) -> usize {
        let mut state = crate::lock(&self.state);
        state.connections += 1;
        state.connections
    }

    /// Notes the call, and takes the answer that is next.
    fn receive(&self, received: Received) -> Answer {
        let mut state = crate::lock(&self.state);
        if state.requests.len() == MAX_REMEMBERED {
            state.requests.pop_front();
        }
        state.requests.push_back(received);
        state.script.pop_front().unwrap_or_else(Answer::session)
    }

    /// The session of the request's token, or a new one.
    fn session(&self, request: &CreateSessionRequest) -> CreateSessionResponse {
        let mut state = crate::lock(&self.state);
        let token = request.client_request_token.clone().unwrap_or_default();
        if let Some(earlier) = state.sessions.get(&token) {
            return CreateSessionResponse {
                replayed: true,
                ..earlier.clone()
            };
        }
        let session = new_session(request.region.as_deref().unwrap_or("us-east-1"));
        if !token.is_empty() && state.sessions.len() < MAX_REMEMBERED {
            state.sessions.insert(token, session.clone());
        }
        session
    }
}

/// A session made now.
fn new_session(region: &str) -> CreateSessionResponse {
    let now = SystemTime::now();
    CreateSessionResponse {
        session_id: uuid::Uuid::new_v4().to_string(),
        region: region.to_owned(),
        create_time: Some(now.into()),
        expire_time: Some((now + std::time::Duration::from_secs(180)).into()),
        replayed: false,
    }
}
