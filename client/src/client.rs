//! The client: one call for one intent, whatever happens on the way.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Extensions, IntoRequest, Request, Status};

use crate::channel::{self, Channel, Failure};
use crate::codec;
use crate::error::{Error, ErrorKind};
use crate::retry::{Backoff, Hint, PREVIOUS_ATTEMPTS, RetryEvent, Throttle};
use crate::session::Session;
use crate::v1::CreateSessionRequest;
use crate::v1::face_liveness_service_client::FaceLivenessServiceClient;
use crate::{BuildError, Builder};

/// A user waits for this call in front of a camera. The gateway spends most of it
/// in the queue for the account's quota, when there is one.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);

/// Told of every retry.
pub(crate) type OnRetry = Arc<dyn Fn(&RetryEvent) + Send + Sync>;

/// Creates Face Liveness sessions at the gateway.
///
/// Make one and clone it: clones share the connections and the retry budget. It
/// must be used within a Tokio runtime that has I/O and time enabled.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use face_liveness_client::{Client, v1};
///
/// let client = Client::connect_lazy("https://gateway:50051")?;
/// let session = client.create_session(v1::CreateSessionRequest::default()).await?;
/// println!("stream to {} in {}", session.session_id, session.region);
/// # Ok(())
/// # }
/// ```
///
/// # Deadlines
/// A call ends by its deadline: [`DEFAULT_DEADLINE`], what
/// [`Builder::default_deadline`] says, or the call's own
/// ([`tonic::Request::set_timeout`]). It covers connecting, the bearer token, every
/// attempt and every wait; each attempt tells the gateway what is left.
///
/// # Retries
/// Attempts follow gRFC A6: after `UNAVAILABLE` and lost connections, and after
/// `RESOURCE_EXHAUSTED` if the gateway names a delay; as long as the gateway asks
/// (`grpc-retry-pushback-ms`, `google.rpc.RetryInfo`) or with jittered exponential
/// back-off; within attempts, deadline and retry budget. All attempts share one
/// `client_request_token`, so that they make one session.
///
/// # Trace context
/// With the feature `opentelemetry` every attempt carries the context that is
/// current where the call is awaited, in the format of the global propagator.
/// Without it, [`Builder::layer`] can add headers of any kind.
#[derive(Clone)]
pub struct Client {
    channel: Channel,
    policy: Arc<Policy>,
}

/// What bounds a call.
pub(crate) struct Policy {
    pub(crate) deadline: Option<Duration>,
    pub(crate) max_attempts: u32,
    pub(crate) backoff: Backoff,
    pub(crate) throttle: Throttle,
    pub(crate) on_retry: Option<OnRetry>,
}

impl Client {
    /// Sets up a client.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A client of one endpoint, with every default.
    ///
    /// # Errors
    /// When the endpoint is not one: see [`BuildError`].
    pub fn connect_lazy(endpoint: impl Into<String>) -> Result<Self, BuildError> {
        Self::builder().endpoint(endpoint).build()
    }

    pub(crate) fn new(channel: Channel, policy: Policy) -> Self {
        Self {
            channel,
            policy: Arc::new(policy),
        }
    }

    /// Creates a session, or gets the one that this `client_request_token` made
    /// within the last three minutes. Without a token a random one is made.
    ///
    /// Takes the message alone, or a [`tonic::Request`] with metadata and a
    /// time limit of its own. Dropping the future ends the call.
    ///
    /// ```no_run
    /// # async fn example(client: face_liveness_client::Client) -> Result<(), face_liveness_client::Error> {
    /// use std::time::Duration;
    /// use face_liveness_client::v1::CreateSessionRequest;
    ///
    /// let mut request = tonic::Request::new(CreateSessionRequest::default());
    /// request.set_timeout(Duration::from_secs(2));
    /// let session = client.create_session(request).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When no attempt made a session: see [`Error`].
    pub async fn create_session(
        &self,
        request: impl IntoRequest<CreateSessionRequest>,
    ) -> Result<Session, Error> {
        let intent = Intent::new(request.into_request(), self.policy.deadline);
        let (mut attempt, mut backoffs) = (1, 0);
        let mut last = None;
        loop {
            let error = match self.attempt(&intent, attempt, last.as_ref()).await {
                Ok(session) => {
                    self.policy.throttle.succeeded();
                    return Ok(session);
                }
                Err(error) => error.of_intent(intent.token(), attempt),
            };
            let Some(delay) = self.policy.delay(&error, attempt, &mut backoffs) else {
                return Err(error);
            };
            if intent.ends_within(delay) {
                return Err(error);
            }
            let error = self.policy.tell(attempt, delay, error);
            tokio::time::sleep(delay).await;
            attempt += 1;
            last = Some(error);
        }
    }

    /// The client that tonic generates: no retries, no token, no default deadline.
    #[must_use]
    pub fn raw(&self) -> FaceLivenessServiceClient<Channel> {
        FaceLivenessServiceClient::new(self.channel())
    }

    /// The connections, for other services of the same server, such as health and
    /// reflection.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    async fn attempt(
        &self,
        intent: &Intent,
        attempt: u32,
        last: Option<&Error>,
    ) -> Result<Session, Error> {
        let asked = Instant::now();
        let sending = codec::create_session(self.channel(), intent.request(attempt));
        let result = match intent.deadline {
            Some(deadline) => tokio::time::timeout_at(deadline, sending).await,
            None => Ok(sending.await),
        };
        match result {
            Ok(Ok(response)) => Session::parse(response, asked).map_err(Error::malformed),
            Ok(Err(status)) => Err(intent.failure(status, last)),
            Err(_) => Err(Error::deadline(intent.limit, last)),
        }
    }
}

impl Policy {
    /// How long to wait before the next attempt; none if there must be none.
    fn delay(&self, error: &Error, attempt: u32, backoffs: &mut u32) -> Option<Duration> {
        if !error.is_retryable() {
            return None;
        }
        let in_budget = self.throttle.failed();
        if !in_budget || attempt >= self.max_attempts {
            return None;
        }
        match error.hint() {
            Hint::Never => None,
            // The next back-off begins anew, as gRFC A6 has it.
            Hint::After(delay) => {
                *backoffs = 0;
                Some(delay)
            }
            Hint::Silent => {
                let delay = self.backoff.delay(*backoffs);
                *backoffs += 1;
                Some(delay)
            }
        }
    }

    fn tell(&self, attempt: u32, delay: Duration, error: Error) -> Error {
        tracing::debug!(attempt, ?delay, %error, "retrying");
        let Some(on_retry) = &self.on_retry else {
            return error;
        };
        let event = RetryEvent {
            attempt,
            delay,
            error,
        };
        on_retry(&event);
        event.error
    }
}

/// What all attempts of a call share.
struct Intent {
    metadata: MetadataMap,
    extensions: Extensions,
    message: CreateSessionRequest,
    /// The time limit, and when it is over; none for no limit.
    limit: Option<Duration>,
    deadline: Option<Instant>,
}

impl Intent {
    fn new(request: Request<CreateSessionRequest>, usual_limit: Option<Duration>) -> Self {
        let (metadata, extensions, mut message) = request.into_parts();
        message
            .client_request_token
            .get_or_insert_with(|| uuid::Uuid::new_v4().to_string());
        let limit = channel::timeout_of_metadata(&metadata).or(usual_limit);
        Self {
            deadline: limit.and_then(|limit| Instant::now().checked_add(limit)),
            limit,
            metadata,
            extensions,
            message,
        }
    }

    fn token(&self) -> &str {
        self.message.client_request_token.as_deref().unwrap_or("")
    }

    /// The request of an attempt; the first is 1.
    fn request(&self, attempt: u32) -> Request<CreateSessionRequest> {
        let mut request = Request::from_parts(
            self.metadata.clone(),
            self.extensions.clone(),
            self.message.clone(),
        );
        if attempt > 1 {
            let previous = MetadataValue::from(attempt - 1);
            request.metadata_mut().insert(PREVIOUS_ATTEMPTS, previous);
        }
        if let Some(deadline) = self.deadline {
            request.set_timeout(deadline.saturating_duration_since(Instant::now()));
        }
        request
    }

    /// Whether the deadline comes before the end of a wait.
    fn ends_within(&self, delay: Duration) -> bool {
        self.deadline
            .is_some_and(|deadline| deadline.saturating_duration_since(Instant::now()) <= delay)
    }

    fn failure(&self, status: Status, last: Option<&Error>) -> Error {
        let kind = match Failure::behind(&status) {
            Some(Failure::Deadline) => return Error::deadline(self.limit, last),
            Some(Failure::Token(_)) => ErrorKind::Token,
            Some(Failure::Malformed(_)) => ErrorKind::Malformed,
            Some(Failure::NotGrpc { .. }) => ErrorKind::Refused,
            Some(_) => ErrorKind::Transport,
            // Servers of tonic answer so when the deadline passes.
            None if status.code() == Code::Cancelled && self.ends_within(Duration::ZERO) => {
                return Error::deadline(self.limit, last);
            }
            None => ErrorKind::Refused,
        };
        Error::new(kind, status)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("deadline", &self.policy.deadline)
            .field("max_attempts", &self.policy.max_attempts)
            .field("backoff", &self.policy.backoff)
            .field("throttle", &self.policy.throttle)
            .finish_non_exhaustive()
    }
}
