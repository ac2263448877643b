//! One intent, one session. For as long as a session lives, the ledger remembers
//! which token made it and what was asked for: a repeat gets the same session,
//! repeats at the same time share one call, and other parameters under the same
//! token are refused.
//!
//! Sits outermost in the upstream stack, so that a repeat costs neither quota nor
//! retries, and gives everything inside the token by which AWS knows the intent.
//! If what is remembered is lost, AWS's own idempotency still holds.

mod book;
mod fingerprint;
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
use book::{Book, Call, Entry, Flight, Listed};

pub use fingerprint::Fingerprint;
pub use store::{Key, Record, Store};

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
        let key = Key::of(&request.token);
        let fingerprint = Fingerprint::of(&request.session, &request.token);
        self.ask_store(key).await;
        loop {
            let call = |listed| self.call(inner.clone(), request.clone(), key, fingerprint, listed);
            let entry = self
                .book
                .open(key, fingerprint, request.deadline, (self.now)(), call);
            let lookup = match &entry {
                Entry::Record(_) => Lookup::Hit,
                Entry::Flight(flight) if flight.leads => Lookup::Miss,
                Entry::Flight(_) => Lookup::Joined,
            };
            self.metrics.looked_up(lookup);
            let flight = match entry {
                Entry::Record(record) => {
                    call::ledger_hit("session");
                    return self.replay(record, fingerprint);
                }
                Entry::Flight(flight) => flight,
            };
            if !flight.leads {
                call::ledger_hit("call");
            }
            same_parameters(flight.fingerprint, fingerprint)?;
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

    /// Learns what other replicas know, if this one knows nothing.
    async fn ask_store(&self, key: Key) {
        let Some(store) = &self.store else { return };
        if self.book.knows(&key, (self.now)()) {
            return;
        }
        if let Some(record) = store.get(&key).await {
            self.book.learn(key, record, (self.now)());
        }
    }

    /// The call of a flight: remembers the session before the flight leaves the
    /// book. What failed is not remembered: a repeat may do better.
    fn call<S>(
        &self,
        inner: S,
        request: Request,
        key: Key,
        fingerprint: Fingerprint,
        listed: Listed,
    ) -> Call
    where
        S: Service<Request, Response = Session, Error = Error, Future: Send> + Send + 'static,
    {
        let ledger = self.clone();
        // Whoever of its waiters drives it, it is told as the leader's.
        Box::pin(call::carry(async move {
            let _listed = listed;
            let session = inner.oneshot(request).await?;
            let record = Record {
                fingerprint,
                session,
            };
            ledger.remember(key, &record).await;
            Ok(record.session)
        }))
    }

    async fn remember(&self, key: Key, record: &Record) {
        let now = (self.now)();
        self.book.record(key, record.clone(), now);
        if let Some(store) = &self.store {
            store.put(&key, record, left(&record.session, now)).await;
        }
    }

    /// The session of a record, if it is what was asked for and still of use.
    fn replay(&self, record: Record, fingerprint: Fingerprint) -> Result<Answer, Error> {
        same_parameters(record.fingerprint, fingerprint)?;
        let left = left(&record.session, (self.now)());
        if left < self.min_remaining {
            return Err(Error::new(Cause::SessionExpiring { left }, None));
        }
        Ok(Answer {
            session: record.session,
            replayed: true,
        })
    }
}

fn same_parameters(known: Fingerprint, asked: Fingerprint) -> Result<(), Error> {
    if known == asked {
        return Ok(());
    }
    let fields = known.differences(&asked);
    Err(Error::new(Cause::TokenReused { fields }, None))
}

/// How much of its life a session has left. A clock that was set back makes none
/// longer.
fn left(session: &Session, now: SystemTime) -> Duration {
    let left = session.expire_time().duration_since(now);
    left.unwrap_or_default().min(SESSION_LIFETIME)
}
