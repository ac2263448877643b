//! The quota of one region, kept in Redis for all replicas.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::clock::{Clock, signed_micros};
use super::log::{SHORT_SPAN, Window};
use super::mode::{Answer, Asked, LOOK_EVERY, Lately, Mode, Plan, State, Terms};
use super::script::Script;
use super::{Connection, Error};
use crate::region::Region;

/// How long Redis keeps the name of its memory when nobody asks any more.
const MEMORY_LIFETIME: Duration = Duration::from_secs(3600);

/// A slot that is told later than this is let pass: used so late, it would fall
/// into the span of others.
const LATEST: Duration = Duration::from_millis(5);

/// How far apart slots are kept: nearly evenly, because calls that several replicas
/// send at once arrive in any order and later than they should; a little closer
/// than evenly, so that a slot let pass is made up for.
fn gap(window: &Window) -> Duration {
    const CLOSER: f64 = 0.9;
    (window.span / window.limit.get()).mul_f64(CLOSER)
}

/// Long spans keep half of their places for bursts, and are spread beyond.
fn has_bursts(window: &Window) -> bool {
    window.span > SHORT_SPAN
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

/// What is known of the slots to come.
#[derive(Clone, Debug)]
pub struct Known {
    /// Whether the slots are all replicas' or those of the share.
    pub state: State,
    /// The latest admissions that bound the next one, the oldest first: those of
    /// all replicas if [`State::Shared`], those of the share otherwise.
    pub history: Vec<Instant>,
    /// The part of the slots that fall to this replica if all have more to do than
    /// there are slots: above 0 and at most 1.
    pub share: f64,
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
    /// Tells that the windows are others now.
    rebound: Notify,
    /// Makes this replica's admissions distinct from others'.
    replica: Uuid,
    region: Region,
    inner: Mutex<Inner>,
    states: watch::Sender<State>,
}

/// A window for each of these, if it is on.
const KINDS: [&str; 2] = ["creates", "flow"];

/// The windows of [`KINDS`], as far as they are on.
#[derive(Clone, Copy, Debug)]
struct Bounds([Option<Window>; 2]);

impl Bounds {
    fn of(settings: &Settings) -> Self {
        Self([settings.creates, settings.flow])
    }

    fn windows(&self) -> impl Iterator<Item = Window> {
        self.0.into_iter().flatten()
    }

    /// Each that is on, with its place among those that were on before.
    fn after(&self, earlier: &Self) -> Vec<(Window, Option<usize>)> {
        let mut places = 0..;
        let mut windows = Vec::new();
        for (new, old) in self.0.into_iter().zip(earlier.0) {
            let place = old.and_then(|_| places.next());
            windows.extend(new.map(|window| (window, place)));
        }
        windows
    }
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
        let bounds = Bounds::of(settings);
        let now = Instant::now();
        let mode = Mode::new(bounds.windows().collect(), settings.shares, now);
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

    /// Goes by the windows and shares of `settings` from now on; its prefix does not
    /// matter. What has been admitted stays counted.
    ///
    /// A replica that still goes by others takes as much as they allow. A longer
    /// window, or one that is new, lets this replica have its share and no more until
    /// all that matters to it is in Redis.
    pub fn rebound(&self, settings: &Settings) {
        let mut inner = self.shared.lock();
        let bounds = Bounds::of(settings);
        let terms = Terms {
            windows: bounds.after(&inner.bounds),
            shares: settings.shares,
        };
        inner.mode.rebound(&terms, Instant::now());
        inner.bounds = bounds;
        // Whoever waits for the next slot looks again, though the state may be the same.
        self.shared.states.send_replace(inner.mode.state());
        drop(inner);
        self.shared.rebound.notify_one();
    }

    /// Reserves the next slot.
    ///
    /// No replica may ask again before it has used, or let pass, the slot it
    /// has: of slots yet to come the others expect one a replica. Answers
    /// within a few of the connection's timeouts, but for a replica that has
    /// never met Redis: it waits for it, or until its share's first slot has
    /// come.
    pub async fn reserve(&self) -> Reserved {
        let mut states = self.states.clone();
        loop {
            states.mark_unchanged();
            let plan = self.shared.lock().mode.plan(Instant::now());
            let slot = match plan {
                Plan::Ask(start) => self.shared.ask(Some(start)).await,
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
        self.shared.ask(None).await;
    }

    /// What is known at this moment.
    #[must_use]
    pub fn known(&self) -> Known {
        let inner = self.shared.lock();
        Known {
            state: inner.mode.state(),
            history: inner.mode.history(),
            share: inner.mode.share(),
        }
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
        shared.ask(None).await;
    }
}

/// The memory's name, now, the slot's distance and the logs in microseconds, and
/// whose the latest admissions were.
type Raw = (String, i64, i64, Vec<Vec<i64>>, (u32, u32, u32));

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while it holds the lock.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks Redis, for a slot or only how things are.
    async fn ask(&self, slot: Option<Instant>) -> Option<Instant> {
        let (asked, keys, arguments) = self.question(slot);
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
    fn question(&self, slot: Option<Instant>) -> (Asked, Vec<String>, Vec<String>) {
        let inner = self.lock();
        let now = Instant::now();
        let start = slot.unwrap_or(now).saturating_duration_since(now);
        let mut arguments = vec![
            Uuid::new_v4().to_string(),
            MEMORY_LIFETIME.as_millis().to_string(),
            self.replica.simple().to_string(),
            slot.map_or_else(String::new, |_| inner.mode.next_number().to_string()),
            start.max(inner.lead).as_micros().to_string(),
        ];
        let tag = &self.tag;
        let mut keys = vec![format!("{tag}:memory")];
        for (kind, window) in KINDS.iter().zip(&inner.bounds.0) {
            let Some(window) = window else { continue };
            keys.push(format!("{tag}:{kind}"));
            arguments.push(window.limit.to_string());
            arguments.extend([window.span, gap(window)].map(|time| time.as_micros().to_string()));
            arguments.push(u8::from(has_bursts(window)).to_string());
        }
        for (number, at) in inner.mode.untold() {
            arguments.extend([number.to_string(), signed_micros(now, at).to_string()]);
        }
        (inner.mode.asking(now), keys, arguments)
    }

    /// Once a loss, each time for a new reason, and once a return; what flaps in
    /// between is for debugging.
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
    /// The reason why Redis is lost, if it has not been told. That an answer is
    /// late tells little: only a loss that has no other reason yet is told so.
    fn news(&mut self, state: State, error: Option<Error>) -> Option<Error> {
        match state {
            State::Shared => self.told = None,
            State::Rejoining => {}
            State::Alone => {
                let error = error.filter(|error| match &self.told {
                    None => true,
                    Some(told) => *error != Error::Slow && error != told,
                })?;
                self.told = Some(error.clone());
                return Some(error);
            }
        }
        None
    }

    fn translate(&mut self, raw: &Raw, sent: Instant, received: Instant) -> Answer {
        let (memory, server, wait, logs, (mine, all, replicas)) = raw;
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
            lately: Lately {
                mine: *mine,
                all: *all,
                replicas: *replicas,
            },
        }
    }
}
