//! One intent, one session. For as long as a session lives, the ledger remembers
//! which token made it and what was asked for: a repeat gets the same session,
//! repeats at the same time share one call, and other parameters under the same
//! token are refused.
//!
//! A call whose answer was lost may have made its session. For as long as that may
//! live, the ledger remembers what was asked for and since when: other parameters
//! are refused, because AWS would answer them with the first session, and a repeat
//! is told that session's earliest age.
//!
//! Sits outermost in the upstream stack, so that a repeat costs neither quota nor
//! retries, and gives everything inside the token by which AWS knows the intent.
//! If what is remembered is lost, AWS's own idempotency still holds.

mod book;
mod fingerprint;
mod flight;
mod memory;
mod store;
#[cfg(test)]
mod tests;
mod token;

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use tokio::time::timeout_at;
use tower::{Layer, Service, ServiceExt as _};

use super::{Answer, Cause, Error, Intent, Request};
use crate::session::{SESSION_LIFETIME, Session, Token};
use crate::telemetry::call;
use crate::telemetry::metrics::{self, Lookup};
use book::{Book, Entry, Flight, Inquiry, Known};

pub use fingerprint::Fingerprint;
pub use store::{Key, Outcome, Over, Record, Store};

/// Sessions that are remembered: three minutes of more than 500 a second, twenty
/// times AWS's largest default quota, in some tens of megabytes.
pub const DEFAULT_ENTRIES: usize = 100_000;

/// The least life that a session must have left to be returned again: the app
/// has yet to load, to open the camera and to stream for about ten seconds.
pub const DEFAULT_MIN_REMAINING: Duration = Duration::from_secs(30);

/// How much is remembered, and how long it is of use.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Sessions that are remembered at most; beyond it the oldest are forgotten.
    pub entries: usize,
    /// The least life that a session must have left to be returned again.
    pub min_remaining: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            entries: DEFAULT_ENTRIES,
            min_remaining: DEFAULT_MIN_REMAINING,
        }
    }
}

/// Makes repeats harmless; see the module. All services that the layer and its
/// clones make share one ledger.
#[derive(Clone, Debug)]
pub struct LedgerLayer {
    ledger: Ledger,
}

impl LedgerLayer {
    /// A ledger, with a store that it shares with other replicas if there is one.
    #[must_use]
    pub fn new(settings: Settings, store: Option<Arc<dyn Store>>) -> Self {
        Self::with_clock(settings, store, SystemTime::now)
    }

    fn with_clock(
        settings: Settings,
        store: Option<Arc<dyn Store>>,
        now: fn() -> SystemTime,
    ) -> Self {
        Self {
            ledger: Ledger {
                book: Arc::new(Book::new(settings.entries)),
                min_remaining: settings.min_remaining,
                store,
                now,
                metrics: metrics::Ledger::default(),
            },
        }
    }

    /// Counts lookups.
    #[must_use]
    pub(crate) fn with_metrics(mut self, metrics: metrics::Ledger) -> Self {
        self.ledger.metrics = metrics;
        self
    }
}

impl<S> Layer<S> for LedgerLayer {
    type Service = LedgerService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        LedgerService {
            inner,
            ledger: self.ledger.clone(),
        }
    }
}

/// What [`LedgerLayer`] makes.
#[derive(Clone, Debug)]
pub struct LedgerService<S> {
    inner: S,
    ledger: Ledger,
}

impl<S> Service<Intent> for LedgerService<S>
where
    S: Service<Request, Response = Session, Error = Error, Future: Send> + Clone + Send + 'static,
{
    type Response = Answer;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Answer, Error>>;

    /// Always ready: an intent that is known needs nothing of what is inside.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, intent: Intent) -> Self::Future {
        let inner = self.inner.clone();
        let Some(token) = intent.session.token.clone() else {
            // Nobody can repeat it, so there is nothing to remember or share.
            return Box::pin(unrepeatable(inner, intent));
        };
        let ledger = self.ledger.clone();
        Box::pin(async move {
            let deadline = intent.deadline;
            let token = token::upstream(&intent.caller, &token);
            let answer = ledger.answer(inner, intent.with_token(token));
            timeout_at(deadline, answer)
                .await
                .unwrap_or_else(|_elapsed| Err(Error::new(Cause::Deadline, None)))
        })
    }
}

async fn unrepeatable<S>(inner: S, intent: Intent) -> Result<Answer, Error>
where
    S: Service<Request, Response = Session, Error = Error>,
{
    let session = inner.oneshot(intent.with_token(Token::random())).await?;
    Ok(Answer {
        session,
        replayed: false,
    })
}

/// What all services share.
#[derive(Clone, Debug)]
struct Ledger {
    book: Arc<Book>,
    min_remaining: Duration,
    store: Option<Arc<dyn Store>>,
    now: fn() -> SystemTime,
    metrics: metrics::Ledger,
}

impl Ledger {
    async fn answer<S>(self, inner: S, request: Request) -> Result<Answer, Error>
    where
        S: Service<Request, Response = Session, Error = Error, Future: Send>
            + Clone
            + Send
            + 'static,
    {
        let inquiry = Inquiry {
            key: Key::of(&request.token),
            fingerprint: Fingerprint::of(&request.session, &request.token),
            deadline: request.deadline,
        };
        self.ask_store(inquiry.key).await;
        loop {
            let now = (self.now)();
            let consult = |record: &Record| self.consult(record, inquiry.fingerprint, now);
            let call = |listed, since| {
                flight::call(
                    &self,
                    inner.clone(),
                    request.clone(),
                    inquiry,
                    listed,
                    since,
                )
            };
            let entry = self.book.open(inquiry, now, consult, call);
            self.tell(&entry);
            let flight = match entry {
                Entry::Record(answer) => {
                    return answer.map(|session| Answer {
                        session,
                        replayed: true,
                    });
                }
                Entry::Flight(flight) => flight,
            };
            same_parameters(flight.fingerprint, inquiry.fingerprint)?;
            let Flight {
                call,
                leads,
                deadline,
                ..
            } = flight;
            match call.await {
                Ok(session) => {
                    return Ok(Answer {
                        session,
                        replayed: !leads,
                    });
                }
                // It was the leader that had no time left. This caller has.
                Err(error) if error.out_of_time && deadline < request.deadline => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Learns what other replicas know, unless this one knows all.
    async fn ask_store(&self, key: Key) {
        let Some(store) = &self.store else { return };
        if self.book.is_settled(&key, (self.now)()) {
            return;
        }
        if let Some(record) = store.get(&key).await {
            self.book.learn(key, record, (self.now)());
        }
    }

    /// Tells what the book knew.
    fn tell(&self, entry: &Entry) {
        let (lookup, hit) = match entry {
            Entry::Record(_) => (Lookup::Hit, Some("session")),
            Entry::Flight(flight) if flight.leads => (Lookup::Miss, None),
            Entry::Flight(_) => (Lookup::Joined, Some("call")),
        };
        self.metrics.looked_up(lookup);
        if let Some(hit) = hit {
            call::ledger_hit(hit);
        }
    }

    /// Remembers what became of a call: while its session may be alive, which is
    /// three minutes from now at most.
    fn remember(&self, inquiry: Inquiry, outcome: Outcome, over: Over) {
        let now = (self.now)();
        let record = Record {
            fingerprint: inquiry.fingerprint,
            outcome,
            forget_time: now + SESSION_LIFETIME,
        };
        if let Some(store) = &self.store {
            store.put(inquiry.key, record.clone(), SESSION_LIFETIME, over);
        }
        self.book.record(inquiry.key, record, now);
    }

    /// What a record means for a call: no session that it stands for is of use to
    /// other parameters, nor with too little of its life left.
    fn consult(&self, record: &Record, asked: Fingerprint, now: SystemTime) -> Known {
        let usable = same_parameters(record.fingerprint, asked)
            .and_then(|()| self.long_enough(record.outcome.since(), now));
        if let Err(refusal) = usable {
            return Known::Answer(Err(refusal));
        }
        match &record.outcome {
            Outcome::Made(session) => Known::Answer(Ok(session.clone())),
            Outcome::Unknown { first_sent } => Known::Resume(*first_sent),
        }
    }

    /// Whether a session of that time lives long enough to be of use.
    fn long_enough(&self, since: SystemTime, now: SystemTime) -> Result<(), Error> {
        let left = left(since, now);
        if left < self.min_remaining {
            return Err(Error::new(Cause::SessionExpiring { left }, None));
        }
        Ok(())
    }
}

fn same_parameters(known: Fingerprint, asked: Fingerprint) -> Result<(), Error> {
    if known == asked {
        return Ok(());
    }
    let fields = known.differences(&asked);
    Err(Error::new(Cause::TokenReused { fields }, None))
}

/// How much of its life a session of that time has left. A clock that was set
/// back makes none longer.
fn left(since: SystemTime, now: SystemTime) -> Duration {
    let left = (since + SESSION_LIFETIME).duration_since(now);
    left.unwrap_or_default().min(SESSION_LIFETIME)
}
