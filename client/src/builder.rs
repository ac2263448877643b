//! How a client is set up.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response};
use tonic::body::Body;
use tower::{BoxError, Layer, Service};

use crate::channel::{
    Balancer, Channel, DEFAULT_CONNECT_TIMEOUT, DEFAULT_RESOLVE_INTERVAL, Dialer, Discovery, Dns,
    Headers, InvalidEndpoint, Resolve, Target, TokenSource,
};
use crate::client::{Client, DEFAULT_DEADLINE, OnRetry, Policy};
use crate::retry::{
    Backoff, DEFAULT_MAX_ATTEMPTS, DEFAULT_RETRY_TOKENS, DEFAULT_TOKEN_RATIO, RetryEvent, Throttle,
};
#[cfg(feature = "tls")]
use crate::tls::{Connector, Tls, TlsError};

/// What every call's user agent ends with.
const USER_AGENT: &str = concat!("face-liveness-client/", env!("CARGO_PKG_VERSION"));

/// Puts a layer around the connections.
type Wrap = Box<dyn FnOnce(Channel) -> Channel + Send>;

/// Why a client cannot be built. The message says which setting, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// There is no endpoint.
    #[error("no endpoint: call Builder::endpoint with http://HOST:PORT or https://HOST:PORT")]
    NoEndpoint,
    /// An endpoint is not one.
    #[error("endpoint {index}: {problem}")]
    Endpoint {
        /// Which: the first is 1. The text itself may hold a password.
        index: usize,
        /// What is wrong with it.
        #[source]
        problem: InvalidEndpoint,
    },
    /// An `https://` endpoint without the feature `tls`.
    #[error("an https:// endpoint needs the feature `tls` of face-liveness-client")]
    TlsDisabled,
    /// The TLS settings are of no use.
    #[cfg(feature = "tls")]
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A key of the constant metadata is not valid, or its value is not.
    #[error("metadata {key:?}: the key or the value is not valid ASCII metadata, or is reserved")]
    Metadata {
        /// The key.
        key: String,
    },
    /// The user agent has characters that a header cannot have.
    #[error("the user agent has characters that a header cannot have")]
    UserAgent,
}

/// Sets up a [`Client`]. Every setting has a default but the endpoint.
///
/// ```no_run
/// use std::time::Duration;
/// use face_liveness_client::Client;
///
/// # fn main() -> Result<(), face_liveness_client::BuildError> {
/// let client = Client::builder()
///     .endpoint("https://gateway:50051")
///     .bearer_token(|| async { Ok(std::fs::read_to_string("/run/token")?) })
///     .default_deadline(Some(Duration::from_secs(5)))
///     .user_agent("checkout/2.1")
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    endpoints: Vec<String>,
    resolver: Arc<dyn Resolve>,
    resolve_interval: Duration,
    connect_timeout: Option<Duration>,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
    token: Option<TokenSource>,
    user_agent: Option<String>,
    metadata: Vec<(String, String)>,
    layers: Vec<Wrap>,
    deadline: Option<Duration>,
    max_attempts: u32,
    backoff: Backoff,
    budget: (u32, f64),
    on_retry: Option<OnRetry>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            resolver: Arc::new(Dns),
            resolve_interval: DEFAULT_RESOLVE_INTERVAL,
            connect_timeout: Some(DEFAULT_CONNECT_TIMEOUT),
            #[cfg(feature = "tls")]
            tls: None,
            token: None,
            user_agent: None,
            metadata: Vec::new(),
            layers: Vec::new(),
            deadline: Some(DEFAULT_DEADLINE),
            max_attempts: DEFAULT_MAX_ATTEMPTS,
            backoff: Backoff::default(),
            budget: (DEFAULT_RETRY_TOKENS, DEFAULT_TOKEN_RATIO),
            on_retry: None,
        }
    }
}

impl Builder {
    /// Adds an endpoint, `http://HOST:PORT` or `https://HOST:PORT`; the port is 80
    /// or 443 if it is left out. Can be repeated: calls take turns over all
    /// addresses of all endpoints. A name is resolved when it is first needed, and
    /// again at intervals.
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoints.push(endpoint.into());
        self
    }

    /// Finds addresses with this, not with the operating system's resolver.
    pub fn resolver(mut self, resolver: impl Resolve) -> Self {
        self.resolver = Arc::new(resolver);
        self
    }

    /// How long the addresses of a name hold. Default:
    /// [`DEFAULT_RESOLVE_INTERVAL`].
    pub fn resolve_interval(mut self, interval: Duration) -> Self {
        self.resolve_interval = interval;
        self
    }

    /// How long a connection may take, TLS included; none for no limit but the
    /// call's deadline. Default: [`DEFAULT_CONNECT_TIMEOUT`].
    pub fn connect_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How `https://` endpoints are reached. Default: the operating system's
    /// certificate authorities, no client certificate.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Sends `authorization: Bearer …` with what the callback returns, without
    /// the white space around it, such as the last line's end of a file. It is
    /// called for every attempt, within the call's deadline: keep the token in it
    /// until it expires. Over `http://` whoever is in between can read the token.
    pub fn bearer_token<F, Fut>(mut self, token: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, BoxError>> + Send + 'static,
    {
        self.token = Some(Arc::new(move || Box::pin(token())));
        self
    }

    /// Sends `authorization: Bearer …` with a token that never changes.
    pub fn static_bearer_token(self, token: impl Into<String>) -> Self {
        let token = token.into();
        self.bearer_token(move || std::future::ready(Ok(token.clone())))
    }

    /// Names the calling program, as `name/version`; the library adds itself.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = Some(user_agent.into());
        self
    }

    /// Sends this ASCII metadata with every call. Can be repeated.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.push((key.into(), value.into()));
        self
    }

    /// Puts a tower layer around the connections. Every attempt passes through it,
    /// before metadata and token are added. Can be repeated; the last is the
    /// outermost.
    ///
    /// ```
    /// use face_liveness_client::Client;
    /// use tower::util::MapRequestLayer;
    ///
    /// # fn main() -> Result<(), face_liveness_client::BuildError> {
    /// let client = Client::builder()
    ///     .endpoint("http://gateway:50051")
    ///     .layer(MapRequestLayer::new(|mut request: http::Request<tonic::body::Body>| {
    ///         let parent = http::HeaderValue::from_static(
    ///             "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ///         );
    ///         request.headers_mut().insert("traceparent", parent);
    ///         request
    ///     }))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn layer<L, B>(mut self, layer: L) -> Self
    where
        L: Layer<Channel> + Send + 'static,
        L::Service: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request<Body>>>::Error: Into<BoxError>,
        <L::Service as Service<Request<Body>>>::Future: Send + 'static,
        B: hyper::body::Body<Data = hyper::body::Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.layers
            .push(Box::new(move |channel| channel.wrap(&layer)));
        self
    }

    /// How long a call may take, all attempts and waits together; none, or longer
    /// than gRPC can say (99 999 999 hours), for no limit. A call's own
    /// `grpc-timeout` goes before it. Default: [`DEFAULT_DEADLINE`].
    pub fn default_deadline(mut self, deadline: Option<Duration>) -> Self {
        self.deadline = deadline;
        self
    }

    /// How many attempts a call makes at most; 0 counts as 1. Default:
    /// [`DEFAULT_MAX_ATTEMPTS`].
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts.max(1);
        self
    }

    /// How long to wait before a retry when the gateway names no delay: anything
    /// up to `initial`, up to twice that, and so on, never more than `max`.
    /// Defaults: [`DEFAULT_INITIAL_BACKOFF`](crate::DEFAULT_INITIAL_BACKOFF),
    /// [`DEFAULT_MAX_BACKOFF`](crate::DEFAULT_MAX_BACKOFF).
    pub fn backoff(mut self, initial: Duration, max: Duration) -> Self {
        self.backoff = Backoff { initial, max };
        self
    }

    /// The retry budget of all calls together (gRFC A6): every failure that may be
    /// retried takes one of `tokens`, every success gives `ratio` back, and there
    /// are no retries while half of them or fewer are left. Defaults:
    /// [`DEFAULT_RETRY_TOKENS`], [`DEFAULT_TOKEN_RATIO`].
    pub fn retry_budget(mut self, tokens: u32, ratio: f64) -> Self {
        self.budget = (tokens, ratio);
        self
    }

    /// Tells the callback of every retry, before the wait. It must not block.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use face_liveness_client::{Client, RetryEvent};
    ///
    /// let builder = Client::builder().on_retry(Arc::new(|event: &RetryEvent| {
    ///     eprintln!("attempt {} failed, next in {:?}: {}", event.attempt, event.delay, event.error);
    /// }));
    /// ```
    pub fn on_retry(mut self, callback: Arc<dyn Fn(&RetryEvent) + Send + Sync>) -> Self {
        self.on_retry = Some(callback);
        self
    }

    /// Makes the client. Nothing is connected or resolved until the first call, so
    /// that this works when the gateway is down.
    ///
    /// # Errors
    /// When a setting is of no use: see [`BuildError`].
    pub fn build(self) -> Result<Client, BuildError> {
        let targets = targets(&self.endpoints)?;
        let headers = Headers {
            user_agent: user_agent(self.user_agent.as_deref())?,
            constant: constant(&self.metadata)?,
            token: self.token,
        };
        let needs_tls = targets.iter().any(|target| target.is_tls());
        #[cfg(not(feature = "tls"))]
        if needs_tls {
            return Err(BuildError::TlsDisabled);
        }
        let dialer = Dialer::new(
            self.connect_timeout,
            #[cfg(feature = "tls")]
            needs_tls
                .then(|| Connector::new(self.tls.unwrap_or_default()))
                .transpose()?,
        );
        let discovery = Discovery {
            targets,
            resolver: self.resolver,
            interval: self.resolve_interval,
        };
        let mut channel = Channel::new(Balancer::new(discovery, dialer), headers);
        for wrap in self.layers {
            channel = wrap(channel);
        }
        let policy = Policy {
            deadline: self.deadline,
            max_attempts: self.max_attempts,
            backoff: self.backoff,
            throttle: Throttle::new(self.budget.0, self.budget.1),
            on_retry: self.on_retry,
        };
        Ok(Client::new(channel, policy))
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").finish_non_exhaustive()
    }
}

fn targets(endpoints: &[String]) -> Result<Vec<Arc<Target>>, BuildError> {
    if endpoints.is_empty() {
        return Err(BuildError::NoEndpoint);
    }
    let targets = endpoints.iter().enumerate().map(|(index, endpoint)| {
        let index = index + 1;
        let target = Target::parse(endpoint);
        target
            .map(Arc::new)
            .map_err(|problem| BuildError::Endpoint { index, problem })
    });
    targets.collect()
}

fn user_agent(own: Option<&str>) -> Result<HeaderValue, BuildError> {
    let value = match own {
        Some(own) => format!("{own} {USER_AGENT}"),
        None => USER_AGENT.to_owned(),
    };
    value.try_into().map_err(|_| BuildError::UserAgent)
}

fn constant(metadata: &[(String, String)]) -> Result<HeaderMap, BuildError> {
    let mut headers = HeaderMap::with_capacity(metadata.len());
    for (key, value) in metadata {
        let invalid = || BuildError::Metadata { key: key.clone() };
        let name = HeaderName::try_from(key.as_str()).map_err(|_| invalid())?;
        let value = HeaderValue::try_from(value.as_str()).map_err(|_| invalid())?;
        if is_reserved(name.as_str()) {
            return Err(invalid());
        }
        headers.append(name, value);
    }
    Ok(headers)
}

/// Binary metadata is not text, and what the protocol sets is not the user's.
fn is_reserved(name: &str) -> bool {
    let protocol = ["content-type", "te", "user-agent", "host", "connection"];
    name.ends_with("-bin") || name.starts_with("grpc-") || protocol.contains(&name)
}
