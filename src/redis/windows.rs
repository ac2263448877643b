//! The quota of one region, kept in Redis for all replicas.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::Script;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::clock::{Clock, signed_micros};
use super::log::{SHORT_SPAN, Window};
use super::mode::{Answer, Asked, LOOK_EVERY, Mode, Plan, State};
use super::{Connection, Error};
use crate::region::Region;

/// How long Redis keeps the name of its memory when nobody asks any more.
const MEMORY_LIFETIME: Duration = Duration::from_secs(3600);

/// A slot that is told later than this is let pass: used so late, it would fall
/// into the span of others.
const LATEST: Duration = Duration::from_millis(5);

/// How far apart slots are kept: in a short span nearly evenly, because calls that
/// several replicas send at once arrive in any order and later than they should;
/// a little closer than evenly, so that a slot let pass is made up for.
fn gap(limit: NonZeroU32, span: Duration) -> Duration {
    const CLOSER: f64 = 0.9;
    if span <= SHORT_SPAN {
        (span / limit.get()).mul_f64(CLOSER)
    } else {
        Duration::ZERO
    }
}

/// What the replicas of a gateway share.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the keys begin with.
    pub prefix: String,
    /// On creates by the second.
    pub creates: Option<Window>,
    /// On sessions in flow.
    pub flow: Option<Window>,
    /// Into how many equal shares the quota falls apart without Redis: at least
    /// as many as there are replicas, or they exceed it together.
    pub shares: NonZeroU32,
}

/// A slot for one admission.
#[derive(Clone, Debug)]
pub struct Reserved {
    /// When it is; never before it was told.
    pub slot: Instant,
    /// Whether it is one of all replicas' or one of the share.
    pub state: State,
}

/// The windows of one region; see the [module](super).
#[derive(Debug)]
pub struct Windows {
    shared: Arc<Shared>,
    states: watch::Receiver<State>,
    _watch: AbortOnDropHandle<()>,
}

struct Shared {
    connection: Connection,
    script: Script,
    keys: Vec<String>,
    windows: Vec<Window>,
    /// Makes this replica's admissions distinct from others'.
    replica: Uuid,
    region: Region,
    inner: Mutex<Inner>,
    states: watch::Sender<State>,
}

#[derive(Debug)]
struct Inner {
    mode: Mode,
    clock: Clock,
    /// How long an answer takes, the slow ones remembered for a while: a slot
    /// that is nearer would have passed when it is told.
    lead: Duration,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("region", &self.region)
            .field("connection", &self.connection)
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl Windows {
    /// The windows of `region`, with a task on the current runtime that keeps
    /// an eye on Redis until they are dropped.
    #[must_use]
    pub fn new(connection: Connection, region: Region, settings: &Settings) -> Self {
        let named = [("creates", settings.creates), ("flow", settings.flow)];
        // The braces keep the keys of a region in one slot of a cluster.
        let tag = format!("{{{}:quota:{region}}}", settings.prefix);
        let mut keys = vec![format!("{tag}:memory")];
        let mut windows = Vec::new();
        for (name, window) in named {
            if let Some(window) = window {
                keys.push(format!("{tag}:{name}"));
                windows.push(window);
            }
        }
        let now = Instant::now();
        let mode = Mode::new(windows.clone(), settings.shares, now);
        let (sender, states) = watch::channel(mode.state());
        let shared = Arc::new(Shared {
            connection,
            script: Script::new(include_str!("windows.lua")),
            keys,
            windows,
            replica: Uuid::new_v4(),
            region,
            inner: Mutex::new(Inner {
                mode,
                clock: Clock::new(now),
                lead: Duration::ZERO,
            }),
            states: sender,
        });
        let watch = tokio::spawn(keep_watch(Arc::clone(&shared)));
        Self {
            shared,
            states,
            _watch: AbortOnDropHandle::new(watch),
        }
    }

    /// Reserves the next slot at the full rate; see
    /// [`reserve_at`](Self::reserve_at).
    pub async fn reserve(&self, now: Instant) -> Reserved {
        self.reserve_at(now, 1.0).await
    }

    /// Reserves the next slot that is not before `start`, at `factor` of the full
    /// rate (above 0, at most 1).
    ///
    /// No replica may ask again before it has used, or let pass, the slot it
    /// has: of slots yet to come the others expect one a replica. Answers
    /// within a few of the connection's timeouts, but for two cases. A replica
    /// that has never met Redis waits for it, or until its share's first slot
    /// has come. A share of less than one admission has no slot at all until
    /// Redis is back.
    pub async fn reserve_at(&self, start: Instant, factor: f64) -> Reserved {
        let mut states = self.states.clone();
        loop {
            states.mark_unchanged();
            let plan = self.shared.lock().mode.plan(Instant::now(), start, factor);
            let slot = match plan {
                Plan::Ask(start) => self.shared.ask(Some((start, factor))).await,
                Plan::Take(slot) => Some(slot),
                Plan::Wait(until) => {
                    let passed = async {
                        match until {
                            Some(until) => sleep_until(until).await,
                            None => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        () = passed => {}
                        _ = states.changed() => {}
                    }
                    None
                }
            };
            // The next one will lie as far ahead as this answer took.
            let in_time = slot.filter(|slot| Instant::now() <= *slot + LATEST);
            if let Some(slot) = in_time {
                let inner = self.shared.lock();
                return Reserved {
                    slot: slot.max(Instant::now()),
                    state: inner.mode.state(),
                };
            }
        }
    }

    /// Asks Redis how things are, so that the first call need not. Answers
    /// within the connection's time-out, whether Redis did or not.
    pub async fn look(&self) {
        self.shared.ask(None).await;
    }

    /// The state, and the latest admissions that bound the next one, the oldest
    /// first: those of all replicas if [`State::Shared`], those of the share
    /// otherwise.
    #[must_use]
    pub fn known(&self) -> (State, Vec<Instant>) {
        let inner = self.shared.lock();
        (inner.mode.state(), inner.mode.history())
    }

    /// Whether the quota is shared at the moment.
    #[must_use]
    pub fn state(&self) -> State {
        *self.states.borrow()
    }

    /// The state and its changes, for readiness.
    #[must_use]
    pub fn states(&self) -> watch::Receiver<State> {
        self.states.clone()
    }
}

/// Notices that Redis is lost though nobody asks it, keeps what is known of the
/// others fresh, and finds Redis again.
async fn keep_watch(shared: Arc<Shared>) {
    if shared.windows.is_empty() {
        return;
    }
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        shared.ask(None).await;
    }
}

/// The memory's name, now, the slot's distance, and the logs, in microseconds.
type Raw = (String, i64, i64, Vec<Vec<i64>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while it holds the lock.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks Redis, for a slot or only how things are.
    async fn ask(&self, slot: Option<(Instant, f64)>) -> Option<Instant> {
        let (asked, call) = self.call(slot);
        let answer: Result<Raw, Error> = self.connection.invoke(&call).await;
        let now = Instant::now();
        let mut inner = self.lock();
        let before = inner.mode.state();
        let met = inner.mode.has_met_redis();
        let slot = match &answer {
            Ok(raw) => {
                let answer = inner.translate(raw, asked.at, now);
                inner.mode.answered(asked, answer, now)
            }
            Err(_) => {
                inner.mode.failed(asked, now);
                None
            }
        };
        let after = inner.mode.state();
        if before != after {
            // Under the lock, so that the last one told is the state.
            self.states.send_replace(after);
        }
        drop(inner);
        if before != after {
            self.report((before, after), met, answer.err());
        }
        slot
    }

    fn call(&self, slot: Option<(Instant, f64)>) -> (Asked, redis::ScriptInvocation<'_>) {
        let inner = self.lock();
        let now = Instant::now();
        let mut call = self.script.prepare_invoke();
        for key in &self.keys {
            call.key(key);
        }
        call.arg(Uuid::new_v4().to_string());
        call.arg(MEMORY_LIFETIME.as_millis().to_string());
        let (start, factor) = slot.unwrap_or((now, 1.0));
        let name = |number: u64| format!("{}:{number}", self.replica.simple());
        call.arg(slot.map_or_else(String::new, |_| name(inner.mode.next_number())));
        let lead = start.saturating_duration_since(now).max(inner.lead);
        call.arg(lead.as_micros().to_string());
        for window in &self.windows {
            call.arg(window.limit.get());
            let span = window.span.div_f64(factor);
            call.arg(span.as_micros().to_string());
            let gap = gap(window.limit, window.span).div_f64(factor);
            call.arg(gap.as_micros().to_string());
        }
        for (number, at) in inner.mode.untold() {
            call.arg(name(number)).arg(signed_micros(now, at));
        }
        (inner.mode.asking(now), call)
    }

    /// Once a loss and once a return; what flaps in between is for debugging.
    fn report(&self, (from, to): (State, State), met: bool, error: Option<Error>) {
        let region = &self.region;
        match (to, error) {
            (State::Alone, _) if from == State::Rejoining => {
                tracing::debug!(%region, "Redis is lost again");
            }
            (State::Alone, Some(error)) => {
                tracing::warn!(%region, %error, "Redis is lost: going on with this replica's share of the quota");
            }
            (State::Rejoining, _) => {
                tracing::info!(%region, "Redis is back: sharing the quota again after a span without failure");
            }
            (State::Shared, _) if met => tracing::info!(%region, "the quota is shared again"),
            _ => tracing::info!(%region, "the quota is shared through Redis"),
        }
    }
}

impl Inner {
    fn translate(&mut self, raw: &Raw, sent: Instant, received: Instant) -> Answer {
        let (memory, server, wait, logs) = raw;
        self.clock.observe(*server, sent, received);
        self.lead = (received - sent).max(self.lead * 7 / 8);
        let local = |distance: &i64| self.clock.local(server + distance);
        Answer {
            memory: memory.clone(),
            slot: (*wait >= 0).then(|| local(wait)),
            logs: logs
                .iter()
                .map(|log| log.iter().map(local).collect())
                .collect(),
        }
    }
}
