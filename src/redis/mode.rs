//! Whether a replica shares the quota or goes on alone. Pure: answers, failures
//! and instants come in; what may be admitted comes out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::fallback;
use crate::quota::{Bound, Bounds, Outlook, Share, Windows};

/// A replica that has just lost Redis looks for it again this often, and one
/// that has nothing else to ask looks whether it is still there.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(500);

/// By this age a memory has been told of all that was admitted before it was there:
/// whoever lost Redis reconnects and looks.
const SETTLED: Duration = LOOK_EVERY.saturating_mul(2);

/// Whether a replica shares the quota with the others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// Redis keeps the account of all replicas.
    Shared,
    /// Redis is out of reach: this replica has its share and no more.
    Alone,
    /// Redis is back but does not know of all admissions yet: both bounds hold,
    /// the share's and the one in Redis.
    Rejoining,
}

/// What Redis knows.
#[derive(Debug)]
pub(super) struct Answer {
    /// The name of its memory: another one means that it has forgotten all.
    pub(super) memory: String,
    /// How long it has had this memory.
    pub(super) age: Duration,
    /// The slot that was reserved, if one was.
    pub(super) slot: Option<Instant>,
    /// The admissions of all replicas, for each window.
    pub(super) logs: Vec<Vec<Instant>>,
    /// Whose they were lately.
    pub(super) lately: Lately,
}

/// Whose the admissions of the shortest span were.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lately {
    pub(super) mine: u32,
    pub(super) all: u32,
    /// How many replicas they were of, this one among them in any case.
    pub(super) replicas: u32,
}

impl Lately {
    /// The part of the slots to come that fall to this replica if it has more to
    /// do than they allow: what it took lately, or an equal part if that is more.
    fn share(self) -> f64 {
        let took = f64::from(self.mine) / f64::from(self.all.max(1));
        took.max(1.0 / f64::from(self.replicas.max(1)))
    }
}

/// What to do for the next slot.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Plan {
    /// Reserve it in Redis.
    Ask,
    /// It is this.
    Take(Instant),
    /// Look again then, or when the state has changed. Until then nothing is taken:
    /// Redis would be told of a slot that is far ahead, and it puts all others' after
    /// the latest.
    Wait(Instant),
}

/// When a question was sent, and in which circumstances.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) at: Instant,
    /// The number of the admission that is to be reserved. It is not used again,
    /// whatever becomes of the answer: Redis may have it.
    pub(super) number: Option<u64>,
    turn: u64,
    told: u64,
    /// Under which bounds.
    terms: u64,
}

#[derive(Debug)]
pub(super) struct Mode {
    bounds: Bounds,
    fallback: Share,
    state: State,
    /// Counts the changes of circumstances: what was reserved before one does
    /// not count after it.
    turn: u64,
    /// The name of the memory that answered last.
    memory: Option<String>,
    /// When the memory that was met first will have been told of all.
    settles: Option<Instant>,
    /// What all replicas had taken, as of the last answer.
    known: Arc<Windows>,
    known_at: Instant,
    lately: Lately,
    /// What this replica took of its share.
    own: Arc<Windows>,
    /// The turn that is waited for: what the timer is late by must not delay those
    /// that follow.
    due: Option<Instant>,
    /// All admissions of this replica that still matter, by their number.
    mine: VecDeque<(u64, Instant)>,
    /// The number of the next admission.
    number: u64,
    /// Redis knows the admissions before this one.
    told: u64,
    /// Since when Redis has not failed.
    well_since: Instant,
    /// Counts the changes of the bounds.
    terms: u64,
    /// Whether admissions may matter to the bounds that Redis does not remember.
    forgetful: bool,
}

impl Mode {
    /// Nobody has answered yet: whatever was admitted before may have been
    /// admitted just now.
    pub(super) fn new(bounds: Bounds, fallback: Share, now: Instant) -> Self {
        let mut known = Windows::new(bounds);
        known.fill(now);
        let known = Arc::new(known);
        let mut mode = Self {
            bounds,
            fallback,
            state: State::Alone,
            turn: 0,
            memory: None,
            settles: None,
            own: Arc::clone(&known),
            known,
            known_at: now,
            lately: Lately::default(),
            due: None,
            mine: VecDeque::new(),
            number: 0,
            told: 0,
            well_since: now,
            terms: 0,
            forgetful: false,
        };
        mode.fall_back(now);
        mode
    }

    /// Goes by other bounds from now on. What has been admitted stays counted.
    ///
    /// Redis has all that matters to a span that is not longer. With a longer one, or
    /// one that is new, this replica takes its share and no more until Redis knows
    /// what matters to it.
    pub(super) fn rebound(&mut self, bounds: Bounds, fallback: Share, now: Instant) {
        let known = Arc::make_mut(&mut self.known);
        // Redis forgets what is older than a span.
        known.forget_before_spans(self.known_at);
        known.rebound(bounds);
        // The other replicas' shares may grow by as much at the same time, so that
        // nothing of a share counts as free before a span has passed.
        let own = Arc::make_mut(&mut self.own);
        own.forget_before(now);
        own.rebound(bounds.part(fallback));
        let reaches_back = |old: Option<Bound>, new: Option<Bound>| {
            new.is_none_or(|new| old.is_some_and(|old| new.span <= old.span))
        };
        let remembered = reaches_back(self.bounds.creates, bounds.creates)
            && reaches_back(self.bounds.sessions, bounds.sessions);
        self.bounds = bounds;
        self.fallback = fallback;
        self.terms += 1;
        if !remembered {
            self.forgetful = true;
            match self.state {
                State::Alone => {}
                State::Shared | State::Rejoining => self.forgotten(now),
            }
        }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    /// Whether Redis has ever answered with what it could know.
    pub(super) fn has_met_redis(&self) -> bool {
        self.memory.is_some()
    }

    /// The longest span, after which no admission matters.
    fn longest_span(&self) -> Duration {
        let bounds = [self.bounds.creates, self.bounds.sessions];
        let spans = bounds.into_iter().flatten().map(|bound| bound.span);
        spans.max().unwrap_or_default()
    }

    /// How long Redis must have been well before it is believed: by then it
    /// knows all admissions that matter, those of the replica that notices its
    /// return last too.
    fn dwell(&self) -> Duration {
        self.longest_span().max(SETTLED)
    }

    /// What to do for the next slot.
    pub(super) fn plan(&mut self, now: Instant) -> Plan {
        match self.settles {
            _ if self.state == State::Shared => return Plan::Ask,
            Some(settles) if now < settles => return Plan::Wait(settles),
            Some(_) => return Plan::Ask,
            None => {}
        }
        let turn = self.own.next_turn(now);
        if turn > now {
            self.due = Some(turn);
            return Plan::Wait(turn);
        }
        if self.state == State::Rejoining {
            return Plan::Ask;
        }
        let number = self.take_number();
        self.admit(number, now, now);
        Plan::Take(now)
    }

    /// A question goes out now, for a slot or only for how things are.
    pub(super) fn asking(&mut self, at: Instant, reserves: bool) -> Asked {
        Asked {
            at,
            number: reserves.then(|| self.take_number()),
            turn: self.turn,
            told: self.number,
            terms: self.terms,
        }
    }

    fn take_number(&mut self) -> u64 {
        let number = self.number;
        self.number += 1;
        number
    }

    /// The admissions of which Redis may not know.
    pub(super) fn untold(&self) -> impl Iterator<Item = (u64, Instant)> {
        let told = self.told;
        self.mine
            .iter()
            .copied()
            .filter(move |(number, _)| *number >= told)
    }

    /// What is known of the slots to come.
    pub(super) fn outlook(&self) -> Outlook {
        let shares = self.state == State::Shared || self.settles.is_some();
        let (windows, share) = if shares {
            (&self.known, self.lately.share())
        } else {
            (&self.own, 1.0)
        };
        Outlook {
            windows: Arc::clone(windows),
            not_before: self.settles,
            share,
        }
    }

    /// Redis answered. Returns the slot if it may be used.
    pub(super) fn answered(
        &mut self,
        asked: Asked,
        answer: Answer,
        now: Instant,
    ) -> Option<Instant> {
        if asked.terms != self.terms {
            // It tells of other windows.
            return None;
        }
        let stale = asked.turn != self.turn;
        let forgotten = self.memory.as_ref() != Some(&answer.memory);
        if stale && (forgotten || self.state == State::Alone) {
            // From before a failure or a restart that another question met.
            return None;
        }
        let new_here = !self.has_met_redis() && self.mine.is_empty();
        if new_here && answer.age < SETTLED {
            self.settles = Some(now + (SETTLED - answer.age));
            self.learn(asked, answer.logs, answer.lately);
            return None;
        }
        let first = self.memory.replace(answer.memory).is_none();
        if forgotten && !first {
            self.forgotten(now);
            return None;
        }
        self.told = self.told.max(asked.told);
        match self.state {
            State::Alone if new_here && !self.forgetful => self.enter(State::Shared),
            State::Alone => {
                self.well_since = now;
                self.enter(State::Rejoining);
            }
            State::Rejoining if !stale && now - self.well_since >= self.dwell() => {
                self.forgetful = false;
                self.enter(State::Shared);
            }
            State::Shared | State::Rejoining => {}
        }
        self.learn(asked, answer.logs, answer.lately);
        let slot = answer.slot.filter(|_| !stale)?;
        self.admit(asked.number?, slot, now);
        Some(slot)
    }

    fn learn(&mut self, asked: Asked, logs: Vec<Vec<Instant>>, lately: Lately) {
        if asked.at >= self.known_at {
            self.known = Arc::new(Windows::from_logs(self.bounds, logs));
            self.known_at = asked.at;
            self.lately = lately;
        }
    }

    /// Redis did not answer, or with an error.
    pub(super) fn failed(&mut self, asked: Asked, now: Instant) {
        match self.state {
            State::Alone => self.settles = None,
            // A question from before the return says nothing of the time after.
            State::Rejoining if asked.turn != self.turn => {}
            State::Shared => {
                self.fall_back(now);
                self.enter(State::Alone);
            }
            State::Rejoining => {
                self.told = 0;
                self.enter(State::Alone);
            }
        }
    }

    /// Redis is there, without what it knew.
    fn forgotten(&mut self, now: Instant) {
        if self.state == State::Shared {
            self.fall_back(now);
        }
        self.told = 0;
        self.well_since = now;
        self.enter(State::Rejoining);
    }

    /// From what was shared to a share of it.
    fn fall_back(&mut self, now: Instant) {
        let own = fallback::alone(&self.known, self.known_at, now, self.fallback);
        self.own = Arc::new(own);
        self.told = 0;
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.turn += 1;
        self.settles = None;
        self.due = None;
    }

    fn admit(&mut self, number: u64, at: Instant, now: Instant) {
        let longest = self.longest_span();
        while let Some((_, first)) = self.mine.front()
            && *first + longest <= now
        {
            self.mine.pop_front();
        }
        self.mine.push_back((number, at));
        if self.state != State::Shared {
            let turn = self.due.take().map_or(at, |due| due.min(at));
            Arc::make_mut(&mut self.own).take_turn(turn, at);
        }
    }
}

#[cfg(test)]
#[path = "mode_tests.rs"]
mod tests;
