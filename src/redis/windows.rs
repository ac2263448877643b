//! The quota of one region, kept in Redis for all replicas.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::clock::{Clock, signed_micros};
use super::mode::{Answer, Asked, LOOK_EVERY, Lately, Mode, Plan, State};
use super::script::Script;
use super::{Connection, Error};
use crate::quota::{Bound, Bounds, Limits, Outlook, Share};
use crate::region::Region;

/// Stretches the spans that replicas share: besides the network, clocks are
/// compared and slots are used a little late. A second's quota is used to 97 %.
const SHARED_GUARD: Duration = Duration::from_millis(10);

/// How long Redis keeps the name of its memory when nobody asks any more.
const MEMORY_LIFETIME: Duration = Duration::from_secs(3600);

/// A slot that is told later than this is let pass: used so late, it would fall
/// into the span of others.
const LATEST: Duration = Duration::from_millis(5);

/// How far apart slots are kept: nearly evenly, because calls that several replicas
/// send at once arrive in any order and later than they should; a little closer
/// than evenly, so that a slot let pass is made up for.
fn gap(bound: Bound) -> Duration {
    const CLOSER: f64 = 0.9;
    (bound.span / bound.limit.get()).mul_f64(CLOSER)
}

/// What the replicas of a gateway share.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the keys begin with.
    pub prefix: String,
    /// What AWS admits, to all replicas together.
    pub limits: Limits,
    /// The part that this replica takes without Redis: if those of all replicas
    /// add up to more than 1, they then exceed the quota together.
    pub share: Share,
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
    /// What the keys begin with.
    tag: String,
    /// Tells that the bounds are others now.
    rebound: Notify,
    /// Makes this replica's admissions distinct from others'.
    replica: Uuid,
    region: Region,
    inner: Mutex<Inner>,
    states: watch::Sender<State>,
}

#[derive(Debug)]
struct Inner {
    mode: Mode,
    bounds: Bounds,
    clock: Clock,
    /// How long an answer takes, the slow ones remembered for a while: a slot
    /// that is nearer would have passed when it is told.
    lead: Duration,
    /// Why Redis was said to be lost.
    told: Option<Error>,
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
        let bounds = Bounds::from(settings.limits).stretched(SHARED_GUARD);
        let now = Instant::now();
        let mode = Mode::new(bounds, settings.share, now);
        let (sender, states) = watch::channel(mode.state());
        let shared = Arc::new(Shared {
            connection: connection.apart(),
            script: Script::new(include_str!("windows.lua")),
            // The braces keep the keys of a region in one slot of a cluster.
            tag: format!("{{{}:quota:{region}}}", settings.prefix),
            rebound: Notify::new(),
            replica: Uuid::new_v4(),
            region,
            inner: Mutex::new(Inner {
                mode,
                bounds,
                clock: Clock::new(now),
                lead: Duration::ZERO,
                told: None,
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

    /// Goes by other limits, and another share of them, from now on. What has been
    /// admitted stays counted.
    ///
    /// A replica that still goes by others takes as much as they allow. A longer
    /// span, or one that is new, lets this replica have its share and no more until
    /// all that matters to it is in Redis.
    pub fn rebound(&self, limits: Limits, share: Share) {
        let bounds = Bounds::from(limits).stretched(SHARED_GUARD);
        let mut inner = self.shared.lock();
        inner.mode.rebound(bounds, share, Instant::now());
        inner.bounds = bounds;
        // Whoever waits for the next slot looks again, though the state may be the same.
        self.shared.states.send_replace(inner.mode.state());
        drop(inner);
        self.shared.rebound.notify_one();
    }

    /// Reserves the next slot.
    ///
    /// No replica may ask again before it has used, or let pass, the slot it
    /// has: of slots yet to come the others expect one a replica. Answers with a
    /// slot of all replicas within a few of the connection's timeouts, with one of
    /// the share when it has come: whichever is first.
    pub async fn reserve(&self) -> Reserved {
        let mut states = self.states.clone();
        loop {
            states.mark_unchanged();
            let plan = self.shared.lock().mode.plan(Instant::now());
            let slot = match plan {
                Plan::Ask => self.shared.ask(true).await,
                Plan::Take(slot) => Some(slot),
                Plan::Wait(until) => {
                    let _ = timeout_at(until, states.changed()).await;
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
        self.shared.ask(false).await;
    }

    /// What is known now of the slots to come.
    #[must_use]
    pub fn outlook(&self) -> Outlook {
        self.shared.lock().mode.outlook()
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
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shared.rebound.notified() => {}
        }
        shared.ask(false).await;
    }
}

/// The memory's name and age, now, the slot's distance and the logs in
/// microseconds, and whose the latest admissions were.
type Raw = (String, i64, i64, i64, Vec<Vec<i64>>, (u32, u32, u32));

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while it holds the lock.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks Redis, for a slot or only how things are.
    async fn ask(&self, reserves: bool) -> Option<Instant> {
        let (asked, keys, arguments) = self.question(reserves);
        let answer: Result<Raw, Error> = self
            .connection
            .invoke(&self.script, &keys, &arguments)
            .await;
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
        let news = inner.news(after, answer.err());
        drop(inner);
        self.report((before, after), met, news);
        slot
    }

    /// The script's keys and arguments; see there.
    fn question(&self, reserves: bool) -> (Asked, Vec<String>, Vec<String>) {
        let mut inner = self.lock();
        let now = Instant::now();
        let asked = inner.mode.asking(now, reserves);
        let mut arguments = vec![
            Uuid::new_v4().to_string(),
            MEMORY_LIFETIME.as_millis().to_string(),
            self.replica.simple().to_string(),
            asked
                .number
                .map_or_else(String::new, |number| number.to_string()),
            inner.lead.as_micros().to_string(),
        ];
        let tag = &self.tag;
        let mut keys = vec![format!("{tag}:memory")];
        let Bounds { creates, sessions } = inner.bounds;
        for (name, bound) in [("creates", creates), ("flow", sessions)] {
            let Some(bound) = bound else { continue };
            keys.push(format!("{tag}:{name}"));
            arguments.push(bound.limit.to_string());
            arguments.extend([bound.span, gap(bound)].map(|time| time.as_micros().to_string()));
            arguments.push(u8::from(bound.has_bursts()).to_string());
        }
        for (number, at) in inner.mode.untold() {
            arguments.extend([number.to_string(), signed_micros(now, at).to_string()]);
        }
        (asked, keys, arguments)
    }

    /// A loss once, or again when more is known of the reason, and a return once;
    /// what flaps in between is for debugging.
    fn report(&self, (from, to): (State, State), met: bool, news: Option<Error>) {
        let region = &self.region;
        match (to, news) {
            (State::Alone, Some(error)) => {
                tracing::warn!(%region, %error, "Redis is lost: going on with this replica's share of the quota");
            }
            _ if from == to => {}
            (State::Alone, None) => tracing::debug!(%region, "Redis is lost again"),
            (State::Rejoining, _) => {
                tracing::info!(%region, "Redis is back: sharing the quota again after a span without failure");
            }
            (State::Shared, _) if met => tracing::info!(%region, "the quota is shared again"),
            (State::Shared, _) => tracing::info!(%region, "the quota is shared through Redis"),
        }
    }
}

impl Inner {
    /// Why Redis is lost, if that tells more than what was told of this loss.
    fn news(&mut self, state: State, error: Option<Error>) -> Option<Error> {
        match state {
            State::Shared => self.told = None,
            State::Rejoining => {}
            State::Alone => {
                let told = self.told.as_ref().map(Error::telling);
                let error = error.filter(|error| Some(error.telling()) > told)?;
                self.told = Some(error.clone());
                return Some(error);
            }
        }
        None
    }

    fn translate(&mut self, raw: &Raw, sent: Instant, received: Instant) -> Answer {
        let (memory, age, server, wait, logs, (mine, all, replicas)) = raw;
        self.clock.observe(*server, sent, received);
        self.lead = (received - sent).max(self.lead * 7 / 8);
        let local = |distance: &i64| self.clock.local(server + distance);
        Answer {
            memory: memory.clone(),
            // Not known, or the server's clock was set: it has been there for long.
            age: u64::try_from(*age).map_or(Duration::MAX, Duration::from_micros),
            slot: (*wait >= 0).then(|| local(wait)),
            logs: logs
                .iter()
                .map(|log| log.iter().map(local).collect())
                .collect(),
            lately: Lately {
                mine: *mine,
                all: *all,
                replicas: *replicas,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inner() -> Inner {
        let now = Instant::now();
        Inner {
            mode: Mode::new(Bounds::default(), Share::new(1.0), now),
            bounds: Bounds::default(),
            clock: Clock::new(now),
            lead: Duration::ZERO,
            told: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_loss_is_told_once_whatever_the_failures_that_follow() {
        let failed = |reason: &str| Error::Failed(reason.to_owned());
        let mut inner = inner();
        let mut told = |state, error: Error| inner.news(state, Some(error)).is_some();
        for (state, error, expected) in [
            (State::Alone, failed("closed"), true),
            (State::Alone, failed("refused"), false),
            (State::Alone, failed("closed"), false),
            (State::Alone, Error::Slow, false),
            (State::Rejoining, Error::Slow, false),
            (State::Alone, failed("closed"), false),
            // What only the operator can mend is told although more was told before.
            (State::Alone, Error::Forbidden, true),
            (State::Alone, failed("closed"), false),
            (State::Shared, Error::Slow, false),
            (State::Alone, Error::Slow, true),
            (State::Alone, failed("closed"), true),
            (State::Alone, Error::Slow, false),
        ] {
            let what = format!("{state:?} {error:?}");
            assert_eq!(told(state, error), expected, "{what}");
        }
    }
}
