//! What every call crosses on its way out: trace context, metadata, token,
//! deadline, then a connection to one of the gateway's addresses.

mod balance;
mod body;
mod connection;
mod failure;
mod resolve;
mod target;
mod timeout;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{AUTHORIZATION, HeaderMap, HeaderValue, USER_AGENT};
use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Layer, Service, ServiceExt as _};

pub use balance::DEFAULT_RESOLVE_INTERVAL;
pub(crate) use balance::{Balancer, Discovery};
pub(crate) use connection::Dialer;
pub use connection::{
    DEFAULT_CONNECT_TIMEOUT, DEFAULT_CONNECTION_WINDOW, DEFAULT_KEEP_ALIVE_INTERVAL,
    DEFAULT_KEEP_ALIVE_TIMEOUT, DEFAULT_STREAM_WINDOW,
};
pub(crate) use failure::Failure;
pub use resolve::{Dns, Resolve, Resolving};
pub use target::InvalidEndpoint;
pub(crate) use target::Target;
pub(crate) use timeout::{LONGEST as LONGEST_TIMEOUT, of_metadata as timeout_of_metadata};

/// What a call's answer is awaited in.
type ResponseFuture = Pin<Box<dyn Future<Output = Result<Response<Body>, Status>> + Send>>;

/// Gives a fresh bearer token.
pub(crate) type TokenSource =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<String, BoxError>> + Send>> + Send + Sync>;

/// Connections to the gateway, for any client that tonic generates.
///
/// Calls are spread over all addresses of all endpoints, and carry the client's
/// metadata, bearer token and trace context. They obey their `grpc-timeout`. They
/// are **not** retried: [`Client::create_session`](crate::Client::create_session)
/// does that, since it knows that the call may be repeated.
///
/// ```no_run
/// # fn example(client: &face_liveness_client::Client) {
/// use face_liveness_client::v1::face_liveness_service_client::FaceLivenessServiceClient;
///
/// let raw = FaceLivenessServiceClient::new(client.channel());
/// # }
/// ```
#[derive(Clone)]
pub struct Channel {
    inner: BoxCloneSyncService<Request<Body>, Response<Body>, Status>,
}

impl Channel {
    pub(crate) fn new(balancer: Balancer, headers: Headers) -> Self {
        let inner = Connections(Arc::new(Shared { balancer, headers }));
        Self {
            inner: BoxCloneSyncService::new(inner),
        }
    }

    /// Puts a layer around it.
    pub(crate) fn wrap<L, B>(self, layer: &L) -> Self
    where
        L: Layer<Self>,
        L::Service: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request<Body>>>::Error: Into<BoxError>,
        <L::Service as Service<Request<Body>>>::Future: Send + 'static,
        B: hyper::body::Body<Data = hyper::body::Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let service = layer
            .layer(self)
            .map_response(|response| response.map(Body::new))
            .map_err(|error| Status::from_error(error.into()));
        Self {
            inner: BoxCloneSyncService::new(service),
        }
    }
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Body>;
    type Error = Status;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> ResponseFuture {
        self.inner.call(request)
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").finish_non_exhaustive()
    }
}

/// What is added to every call.
pub(crate) struct Headers {
    pub(crate) user_agent: HeaderValue,
    pub(crate) constant: HeaderMap,
    pub(crate) token: Option<TokenSource>,
}

impl Headers {
    async fn add_to(&self, headers: &mut HeaderMap) -> Result<(), Failure> {
        headers.insert(USER_AGENT, self.user_agent.clone());
        for (name, value) in &self.constant {
            headers.append(name, value.clone());
        }
        if let Some(token) = &self.token {
            let token = token().await.map_err(Failure::token)?;
            headers.insert(AUTHORIZATION, bearer(token.trim())?);
        }
        Ok(())
    }
}

fn bearer(token: &str) -> Result<HeaderValue, Failure> {
    if token.is_empty() {
        return Err(Failure::token("the token is empty".into()));
    }
    let mut value = HeaderValue::try_from(format!("Bearer {token}"))
        .map_err(|_| Failure::token("the token is not fit for a header".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

struct Shared {
    balancer: Balancer,
    headers: Headers,
}

impl Shared {
    async fn send(&self, mut request: Request<Body>) -> Result<Response<Body>, Failure> {
        self.headers.add_to(request.headers_mut()).await?;
        self.balancer.send(request).await
    }
}

/// The innermost service.
#[derive(Clone)]
struct Connections(Arc<Shared>);

impl Service<Request<Body>> for Connections {
    type Response = Response<Body>;
    type Error = Status;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> ResponseFuture {
        // Here and not in the future: the caller's context is current now.
        crate::trace::inject(request.headers_mut());
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            match timeout::of(request.headers()) {
                Some(timeout) => tokio::time::timeout(timeout, shared.send(request))
                    .await
                    .unwrap_or(Err(Failure::Deadline)),
                None => shared.send(request).await,
            }
            .map_err(Status::from)
        })
    }
}
