//! Connections: accepting, reading requests, and ending the way a fault wants it.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use crate::api::{self, Delivery, Reply};
use crate::control;
use crate::protocol::{self, Answer};
use crate::state::Shared;

/// Connections served at once; others wait in the listener's backlog. It stays below the usual
/// limit of 1024 open files.
pub const MAX_CONNECTIONS: usize = 900;

/// The largest body that is read. The largest valid request has a few kilobytes.
pub const MAX_BODY: usize = 1024 * 1024;

/// How long a request's headers may take, and so how long a connection may idle.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a request's body may take.
const BODY_READ_TIMEOUT: Duration = Duration::from_secs(30);

/// A rest after a failed accept, such as for want of file descriptors, before the next.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// Serves until `stop` says so or its sender is gone; then drops every connection.
pub(crate) async fn serve(
    listener: TcpListener,
    shared: Arc<Shared>,
    mut stop: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            biased;
            _ = stop.wait_for(|stopped| *stopped) => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &places) => accepted,
        };
        match stream {
            Ok((stream, place)) => {
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    connection(stream, shared).await;
                    drop(place);
                });
            }
            Err(_) => tokio::time::sleep(ACCEPT_REST).await,
        }
    }
    drop(listener);
    connections.shutdown().await;
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}

/// How a fault ends a connection.
#[derive(Debug)]
enum Ending {
    Reset,
    Close,
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    // Small answers should not wait for acknowledgements; without the option they merely are slow.
    let _ = stream.set_nodelay(true);
    let (end, mut ended) = mpsc::channel(1);
    let service = service_fn(move |request| respond(Arc::clone(&shared), end.clone(), request));
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let ending = tokio::select! {
        // The connection first: what is to be sent before the end must have been flushed.
        biased;
        _ = &mut connection => return,
        Some(ending) = ended.recv() => ending,
    };
    let stream = connection.into_parts().io.into_inner();
    if matches!(ending, Ending::Reset) {
        // Dropping a socket that must not linger sends RST.
        let _ = stream.set_zero_linger();
    }
}

async fn respond(
    shared: Arc<Shared>,
    end: mpsc::Sender<Ending>,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Infallible> {
    let request_id = uuid::Uuid::new_v4().to_string();
    let reply = reply(&shared, &request_id, request).await;
    if !reply.latency.is_zero() {
        tokio::time::sleep(reply.latency).await;
    }
    Ok(match reply.delivery {
        Delivery::Answer(answer) => response(&answer, &request_id, AnswerBody::whole(&answer)),
        Delivery::CutShort(answer) => {
            response(&answer, &request_id, AnswerBody::cut_short(&answer, end))
        }
        Delivery::Reset => {
            let _ = end.try_send(Ending::Reset);
            std::future::pending().await
        }
        Delivery::Hang => std::future::pending().await,
    })
}

async fn reply(shared: &Shared, request_id: &str, request: Request<Incoming>) -> Reply {
    let (request, body) = request.into_parts();
    let is_control = request.uri.path().starts_with(control::PREFIX);
    if !is_control {
        if request.method != Method::POST {
            return at_once(Answer::not_a_post());
        }
        if request.uri.path() != "/" || !protocol::has_protocol_content_type(&request.headers) {
            return at_once(Answer::not_an_operation());
        }
    }
    match read_body(body).await {
        Ok(body) if is_control => at_once(control::answer(
            shared,
            &request.method,
            request.uri.path(),
            &body,
        )),
        Ok(body) => api::call(shared, request_id, &request, &body),
        Err(BodyError::TooLarge) => api::refuse_too_large(shared, request_id, &request),
        // The client is gone or stalls: nobody is there to be answered.
        Err(BodyError::Incomplete) => Reply {
            latency: Duration::ZERO,
            delivery: Delivery::Reset,
        },
    }
}

fn at_once(answer: Answer) -> Reply {
    Reply {
        latency: Duration::ZERO,
        delivery: Delivery::Answer(answer),
    }
}

enum BodyError {
    TooLarge,
    Incomplete,
}

async fn read_body(body: Incoming) -> Result<Bytes, BodyError> {
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Err(BodyError::TooLarge);
    }
    let read = Limited::new(body, MAX_BODY).collect();
    match tokio::time::timeout(BODY_READ_TIMEOUT, read).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge),
        Ok(Err(_)) | Err(_) => Err(BodyError::Incomplete),
    }
}

fn response(answer: &Answer, request_id: &str, body: AnswerBody) -> Response<AnswerBody> {
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers(request_id);
    response
}

/// An answer's body, which may announce more than it sends.
#[derive(Debug)]
struct AnswerBody {
    rest: Option<Bytes>,
    announced: u64,
    /// Told to close the connection when `rest` is sent; none for a whole body.
    close: Option<mpsc::Sender<Ending>>,
}

impl AnswerBody {
    fn whole(answer: &Answer) -> Self {
        Self {
            rest: Some(answer.body.clone()).filter(Buf::has_remaining),
            announced: answer.body.len() as u64,
            close: None,
        }
    }

    fn cut_short(answer: &Answer, close: mpsc::Sender<Ending>) -> Self {
        Self {
            rest: Some(answer.body.slice(..answer.body.len() / 2)),
            announced: answer.body.len() as u64,
            close: Some(close),
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(rest) = self.rest.take() {
            return Poll::Ready(Some(Ok(Frame::data(rest))));
        }
        let Some(close) = &self.close else {
            return Poll::Ready(None);
        };
        // Pending for ever: the connection flushes what it has, then it is closed from outside.
        let _ = close.try_send(Ending::Close);
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_none() && self.close.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.announced)
    }
}
