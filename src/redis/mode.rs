//! Whether a replica shares the quota or goes on alone. Pure: answers, failures
//! and instants come in; what may be admitted comes out.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;

use super::log::{self, Log, Window};

/// A replica that has just lost Redis looks for it again this often, and one
/// that has nothing else to ask looks whether it is still there.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(500);

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
    /// Reserve it in Redis, not before.
    Ask(Instant),
    /// It is this.
    Take(Instant),
    /// Look again then, or when the state has changed.
    Wait(Instant),
}

/// When a question was sent, and in which circumstances.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) at: Instant,
    turn: u64,
    told: u64,
    /// Under which windows.
    terms: u64,
}

#[derive(Debug)]
pub(super) struct Mode {
    windows: Vec<Window>,
    parts: usize,
    state: State,
    /// Counts the changes of circumstances: what was reserved before one does
    /// not count after it.
    turn: u64,
    /// The name of the memory that answered last.
    memory: Option<String>,
    /// What all replicas had taken, as of the last answer.
    known: Vec<Log>,
    known_at: Instant,
    lately: Lately,
    /// What this replica took of its share.
    own: Vec<Log>,
    /// All admissions of this replica that still matter, by their number.
    mine: VecDeque<(u64, Instant)>,
    /// The number of the next admission.
    number: u64,
    /// Redis knows the admissions before this one.
    told: u64,
    /// Since when Redis has not failed.
    well_since: Instant,
    /// Counts the changes of the windows.
    terms: u64,
    /// Whether admissions may matter to the windows that nobody remembers.
    forgetful: bool,
}

/// New windows instead of those that there are.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    /// Each with the place of the one that it takes the place of, if it is not new.
    pub(super) windows: Vec<(Window, Option<usize>)>,
    /// Into how many equal shares the quota falls apart.
    pub(super) shares: NonZeroU32,
}

impl Mode {
    /// Nobody has answered yet: whatever was admitted before may have been
    /// admitted just now.
    pub(super) fn new(windows: Vec<Window>, share: NonZeroU32, now: Instant) -> Self {
        let known: Vec<_> = windows.iter().map(|w| Log::taken(*w, now)).collect();
        let mut mode = Self {
            windows,
            parts: parts(share),
            state: State::Alone,
            turn: 0,
            memory: None,
            own: Vec::new(),
            known,
            known_at: now,
            lately: Lately::default(),
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

    /// Goes by other windows from now on. What has been admitted stays counted.
    ///
    /// Redis has all that matters to a span that is not longer. With a longer one, or
    /// one that is new, this replica takes its share and no more until Redis knows
    /// what matters to it.
    pub(super) fn rebound(&mut self, terms: &Terms, now: Instant) {
        let new = terms.windows.iter();
        let earlier = |place: Option<usize>| place.and_then(|place| self.windows.get(place));
        let longer = new.clone().any(|(window, place)| {
            earlier(*place).is_none_or(|earlier| window.span > earlier.span)
        });
        let parts = parts(terms.shares);
        let (known, own) = new
            .map(|(window, place)| self.logs(*window, *place, parts, now))
            .unzip();
        self.known = known;
        self.own = own;
        self.windows = terms.windows.iter().map(|(window, _)| *window).collect();
        self.parts = parts;
        self.terms += 1;
        if longer {
            self.forgetful = true;
            match self.state {
                State::Alone => {}
                State::Shared | State::Rejoining => self.forgotten(now),
            }
        }
    }

    /// What is known of all admissions and of this replica's own, for a window in the
    /// place of another.
    fn logs(&self, new: Window, place: Option<usize>, parts: usize, now: Instant) -> (Log, Log) {
        let whole = Log::new(new, []);
        let share = whole.share(parts);
        let earlier = place.and_then(|place| {
            let span = self.windows.get(place)?.span;
            Some((span, self.known.get(place)?, self.own.get(place)?))
        });
        let Some((span, known, own)) = earlier else {
            let mut share = share;
            share.fill(now);
            return (Log::taken(new, now), share);
        };
        // Redis forgets what is older than a span.
        let unknown = self.known_at.checked_sub(span).unwrap_or(self.known_at);
        (
            known.shaped(&whole, Some(unknown)),
            // The other replicas' shares grow by as much at the same time.
            own.shaped(&share, Some(now)),
        )
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    /// Whether Redis has ever answered.
    pub(super) fn has_met_redis(&self) -> bool {
        self.memory.is_some()
    }

    /// The longest span, after which no admission matters.
    pub(super) fn longest_span(&self) -> Duration {
        let spans = self.windows.iter().map(|window| window.span);
        spans.max().unwrap_or_default()
    }

    /// How long Redis must have been well before it is believed: by then it
    /// knows all admissions that matter, those of the replica that notices its
    /// return last too.
    fn dwell(&self) -> Duration {
        self.longest_span().max(LOOK_EVERY * 2)
    }

    /// What to do for the next slot.
    pub(super) fn plan(&mut self, now: Instant) -> Plan {
        let at = log::next(&self.own, now);
        match self.state {
            State::Shared => Plan::Ask(now),
            State::Rejoining => Plan::Ask(at),
            // It may be long, and Redis is likely to be there at once.
            State::Alone if at > now && !self.has_met_redis() => Plan::Wait(at),
            State::Alone => {
                self.admit(at, now);
                Plan::Take(at)
            }
        }
    }

    /// A question goes out now.
    pub(super) fn asking(&self, at: Instant) -> Asked {
        Asked {
            at,
            turn: self.turn,
            told: self.number,
            terms: self.terms,
        }
    }

    /// The number that the next admission will have.
    pub(super) fn next_number(&self) -> u64 {
        self.number
    }

    /// The admissions of which Redis may not know.
    pub(super) fn untold(&self) -> impl Iterator<Item = (u64, Instant)> {
        let told = self.told;
        self.mine
            .iter()
            .copied()
            .filter(move |(number, _)| *number >= told)
    }

    /// The part of the slots that fall to this replica: all of its share while it
    /// is alone.
    pub(super) fn share(&self) -> f64 {
        match self.state {
            State::Shared => self.lately.share(),
            State::Alone | State::Rejoining => 1.0,
        }
    }

    /// What is known of the admissions that bound the next one, the oldest first.
    pub(super) fn history(&self) -> Vec<Instant> {
        let logs = match self.state {
            State::Shared => &self.known,
            State::Alone | State::Rejoining => &self.own,
        };
        let longest = logs.iter().max_by_key(|log| log.history().len());
        longest.map_or_else(Vec::new, |log| log.history().collect())
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
        let first = self.memory.replace(answer.memory).is_none();
        if forgotten && !first {
            self.forgotten(now);
            return None;
        }
        self.told = self.told.max(asked.told);
        match self.state {
            State::Alone if first && self.mine.is_empty() && !self.forgetful => {
                self.enter(State::Shared);
            }
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
        if asked.at >= self.known_at {
            let logs = self.windows.iter().zip(answer.logs);
            self.known = logs.map(|(window, log)| Log::new(*window, log)).collect();
            self.known_at = asked.at;
            self.lately = answer.lately;
        }
        let slot = answer.slot.filter(|_| !stale)?;
        self.admit(slot, now);
        self.told = self.told.max(self.number);
        Some(slot)
    }

    /// Redis did not answer, or with an error.
    pub(super) fn failed(&mut self, asked: Asked, now: Instant) {
        match self.state {
            State::Alone => {}
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
        self.own = log::share(&self.known, self.known_at, now, self.parts);
        self.told = 0;
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.turn += 1;
    }

    fn admit(&mut self, at: Instant, now: Instant) {
        let old = self.longest_span();
        while self
            .mine
            .front()
            .is_some_and(|(_, first)| *first + old <= now)
        {
            self.mine.pop_front();
        }
        self.mine.push_back((self.number, at));
        self.number += 1;
        self.own.iter_mut().for_each(|log| log.take(at));
    }
}

fn parts(shares: NonZeroU32) -> usize {
    usize::try_from(shares.get()).unwrap_or(usize::MAX)
}

#[cfg(test)]
#[path = "mode_tests.rs"]
mod tests;
