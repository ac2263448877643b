//! The streams of one connection: since when there is none, and an end to those
//! whose answer the peer does not take.
//!
//! An answer that waits for the peer's flow-control window costs memory as long as
//! the peer likes, although its call has ended. hyper has no limit for that, but it
//! hands every stream to an executor: this one.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body::{Body, Frame, SizeHint};
use hyper::rt::Executor;
use pin_project_lite::pin_project;
use tokio::sync::Notify;
use tokio::task::futures::TaskLocalFuture;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// Runs the streams of a connection, and counts them.
#[derive(Clone, Debug)]
pub(super) struct Streams(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// How long a peer may leave an answer.
    patience: Duration,
    usage: Mutex<Usage>,
    emptied: Notify,
}

#[derive(Debug)]
struct Usage {
    open: usize,
    /// When the last stream ended.
    idle_since: Instant,
}

impl Streams {
    /// Streams of a connection that begins now. One whose answer is not taken for
    /// `patience` is reset.
    pub(super) fn new(patience: Duration) -> Self {
        Self(Arc::new(Shared {
            patience,
            usage: Mutex::new(Usage {
                open: 0,
                idle_since: Instant::now(),
            }),
            emptied: Notify::new(),
        }))
    }

    /// Waits until there has been no stream for `limit`.
    pub(super) async fn idle_for(&self, limit: Duration) {
        loop {
            let emptied = self.0.emptied.notified();
            match self.0.idle_since() {
                None => emptied.await,
                Some(since) if since.elapsed() >= limit => return,
                Some(since) => sleep_until(since + limit).await,
            }
        }
    }

    fn begin(&self) -> Open {
        self.0.usage().open += 1;
        Open(Arc::clone(&self.0))
    }
}

impl Shared {
    fn usage(&self) -> MutexGuard<'_, Usage> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Since when there is no stream, if there is none.
    fn idle_since(&self) -> Option<Instant> {
        let usage = self.usage();
        (usage.open == 0).then_some(usage.idle_since)
    }
}

/// Counts a stream until it is dropped.
struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        let mut usage = self.0.usage();
        usage.open -= 1;
        if usage.open == 0 {
            usage.idle_since = Instant::now();
            // Stored if nobody waits: then the next look begins anew.
            self.0.emptied.notify_one();
        }
    }
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let turn = Arc::new(Turn::default());
        tokio::spawn(Stream {
            stream: TURN.scope(Arc::clone(&turn), stream),
            turn,
            patience: self.0.patience,
            unread: None,
            _open: self.begin(),
        });
    }
}

tokio::task_local! {
    /// The turn of the stream that this task runs.
    static TURN: Arc<Turn>;
}

/// Whose turn it is in a stream.
#[derive(Debug, Default)]
struct Turn {
    /// The peer's, to take a piece of the answer; else the gateway's.
    peers: AtomicBool,
    /// How often a piece was asked for: a sign that the one before was taken.
    asked: AtomicU32,
}

pin_project! {
    /// A stream that is dropped, and so reset, when the peer does not take its answer.
    struct Stream<F> {
        #[pin]
        stream: TaskLocalFuture<Arc<Turn>, F>,
        turn: Arc<Turn>,
        patience: Duration,
        // How often a piece had been asked for, and until when the next may take.
        unread: Option<(u32, Pin<Box<Sleep>>)>,
        _open: Open,
    }
}

impl<F: Future<Output = ()>> Future for Stream<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if this.stream.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if !this.turn.peers.load(Ordering::Relaxed) {
            *this.unread = None;
            return Poll::Pending;
        }
        let asked = this.turn.asked.load(Ordering::Relaxed);
        this.unread.take_if(|(before, _)| *before != asked);
        let (_, limit) = this
            .unread
            .get_or_insert_with(|| (asked, Box::pin(sleep(*this.patience))));
        ready!(limit.as_mut().poll(cx));
        tracing::debug!("the peer does not take an answer: its stream is reset");
        Poll::Ready(())
    }
}

pin_project! {
    /// An answer that says whose turn it is; see [`Streams`].
    #[derive(Debug)]
    pub(super) struct Answer<B> {
        #[pin]
        body: B,
    }
}

impl<B> Answer<B> {
    pub(super) fn new(body: B) -> Self {
        Self { body }
    }
}

impl<B: Body> Body for Answer<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = self.project().body.poll_frame(cx);
        // Outside a stream nobody asks whose turn it is.
        let _ = TURN.try_with(|turn| {
            turn.peers.store(frame.is_ready(), Ordering::Relaxed);
            turn.asked.fetch_add(1, Ordering::Relaxed);
        });
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use futures_util::poll;
    use http_body_util::{Full, StreamBody};
    use std::convert::Infallible;
    use std::future::{pending, poll_fn};
    use std::pin::pin;
    use tokio::sync::oneshot;

    const LIMIT: Duration = Duration::from_secs(60);

    /// A stream of `streams` that asks for one piece of `body` and then waits; the
    /// receiver ends when the stream does.
    fn stream_of<B>(streams: &Streams, body: B) -> oneshot::Receiver<()>
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Send,
    {
        let (held, ended) = oneshot::channel::<()>();
        streams.execute(async move {
            let mut body = Box::pin(Answer::new(body));
            poll_fn(|cx| body.as_mut().poll_frame(cx)).await;
            let _held = held;
            pending::<()>().await;
        });
        ended
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_when_its_last_stream_is_long_over() {
        let streams = Streams::new(LIMIT);
        let begun = Instant::now();
        let first = streams.begin();
        let second = streams.begin();
        let mut idle = pin!(streams.idle_for(LIMIT));
        assert!(poll!(&mut idle).is_pending());
        tokio::time::advance(LIMIT * 2).await;
        assert!(poll!(&mut idle).is_pending());
        drop(first);
        tokio::time::advance(LIMIT * 2).await;
        assert!(poll!(&mut idle).is_pending());
        drop(second);
        idle.await;
        assert!(begun.elapsed() >= LIMIT * 5, "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_came_and_went_begins_the_idle_time_anew() {
        let streams = Streams::new(LIMIT);
        let begun = Instant::now();
        let mut idle = pin!(streams.idle_for(LIMIT));
        assert!(poll!(&mut idle).is_pending());
        tokio::time::advance(LIMIT / 2).await;
        drop(streams.begin());
        idle.await;
        assert!(begun.elapsed() >= LIMIT * 3 / 2, "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_whose_answer_is_not_taken_is_dropped() {
        let streams = Streams::new(LIMIT);
        let begun = Instant::now();
        let ended = stream_of(&streams, Full::<Bytes>::from("an answer"));
        ended.await.unwrap_err();
        assert!(begun.elapsed() >= LIMIT);
        assert!(streams.0.idle_since().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_has_nothing_to_say_may_wait() {
        let streams = Streams::new(LIMIT);
        type Piece = Result<Frame<Bytes>, Infallible>;
        let silent = StreamBody::new(futures_util::stream::pending::<Piece>());
        let ended = stream_of(&streams, silent);
        assert!(tokio::time::timeout(LIMIT * 10, ended).await.is_err());
    }
}
