//! Who goes next: a bounded queue that is fair over callers.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;

use crate::caller::Caller;

/// A bounded queue, fair over callers: weighted round-robin. A caller's turn
/// serves as many of its own as its weight says, first in, first out; then the
/// next caller has its turn. However long the others' backlogs, a caller waits
/// for one turn of each at most. A caller without anything queued is forgotten.
///
/// The bound is fair too: when the queue is full, a caller with less than its
/// share of the places displaces the last of the caller with the most.
#[derive(Debug)]
pub struct Queue<T> {
    bound: usize,
    len: usize,
    /// The next ticket, of an entry or of a turn.
    next: u64,
    lanes: HashMap<Caller, Lane<T>>,
    /// The callers by the order of their turns.
    ring: BTreeMap<u64, Caller>,
}

#[derive(Debug)]
struct Lane<T> {
    turn: u64,
    weight: usize,
    /// What is left of the weight in the present or coming turn.
    credit: usize,
    /// By ticket. Never empty.
    waiting: BTreeMap<u64, T>,
}

/// An entry's place, for its removal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Key {
    caller: Caller,
    ticket: u64,
}

/// What a push did.
#[derive(Debug)]
pub struct Pushed<T> {
    /// Where the new entry is.
    pub key: Key,
    /// The entry that had to leave for it.
    pub displaced: Option<T>,
}

/// The queue is full, and the caller has its share of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the queue is full")]
pub struct Full;

impl<T> Queue<T> {
    /// A queue of at most `bound` entries.
    #[must_use]
    pub fn new(bound: usize) -> Self {
        Self {
            bound,
            len: 0,
            next: 0,
            lanes: HashMap::new(),
            ring: BTreeMap::new(),
        }
    }

    /// Admits at most `bound` entries from now on. Those that are queued stay.
    pub fn set_bound(&mut self, bound: usize) {
        self.bound = bound;
    }

    /// How many entries are queued.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is queued.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many callers have something queued.
    #[must_use]
    pub fn callers(&self) -> usize {
        self.lanes.len()
    }

    /// Queues an entry. A changed `weight` holds from the caller's next turn.
    ///
    /// # Errors
    /// When the queue is full and no caller exceeds its share of it by more.
    pub fn push(
        &mut self,
        caller: &Caller,
        weight: NonZeroU32,
        entry: T,
    ) -> Result<Pushed<T>, Full> {
        let weight = to_usize(weight);
        let displaced = if self.len < self.bound {
            None
        } else {
            Some(self.displace_for(caller, weight)?)
        };
        let ticket = self.ticket();
        let turn = self.ticket();
        let ring = &mut self.ring;
        let lane = self.lanes.entry(caller.clone()).or_insert_with(|| {
            ring.insert(turn, caller.clone());
            Lane {
                turn,
                weight,
                credit: weight,
                waiting: BTreeMap::new(),
            }
        });
        lane.weight = weight;
        lane.waiting.insert(ticket, entry);
        self.len += 1;
        let key = Key {
            caller: caller.clone(),
            ticket,
        };
        Ok(Pushed { key, displaced })
    }

    /// Takes out the entry whose turn it is.
    pub fn pop(&mut self) -> Option<T> {
        let key = self.first()?;
        let turn = self.ticket();
        let lane = self.lanes.get_mut(&key.caller)?;
        lane.credit = lane.credit.saturating_sub(1);
        if lane.credit == 0 {
            self.ring.remove(&lane.turn);
            self.ring.insert(turn, key.caller.clone());
            lane.turn = turn;
            lane.credit = lane.weight;
        }
        self.remove(&key)
    }

    /// Takes out an entry, unless it has left already.
    pub fn remove(&mut self, key: &Key) -> Option<T> {
        let lane = self.lanes.get_mut(&key.caller)?;
        let entry = lane.waiting.remove(&key.ticket)?;
        self.len -= 1;
        if lane.waiting.is_empty() {
            // With the lane goes its credit: leaving and coming back must not
            // lengthen a turn.
            self.ring.remove(&lane.turn);
            self.lanes.remove(&key.caller);
        }
        Some(entry)
    }

    /// Takes out the entries for which `leaves` holds.
    pub fn take_out(&mut self, leaves: impl Fn(&T) -> bool) -> Vec<T> {
        let lanes = self.lanes.iter();
        let leaving: Vec<_> = lanes
            .flat_map(|(caller, lane)| {
                let tickets = lane.waiting.iter().filter(|(_, entry)| leaves(entry));
                tickets.map(|(&ticket, _)| Key {
                    caller: caller.clone(),
                    ticket,
                })
            })
            .collect();
        leaving.iter().filter_map(|key| self.remove(key)).collect()
    }

    /// Looks at the entries in the order in which they are served if nobody else
    /// comes, and takes out those that do not stay.
    pub fn sift(&mut self, mut stays: impl FnMut(&T) -> bool) -> Vec<T> {
        let mut order = self.shape();
        let mut left = Vec::new();
        while let Some(key) = order.first() {
            let lane = self.lanes.get(&key.caller);
            let entry = lane.and_then(|lane| lane.waiting.get(&key.ticket));
            if entry.is_some_and(&mut stays) {
                order.pop();
            } else {
                order.remove(&key);
                left.extend(self.remove(&key));
            }
        }
        left
    }

    /// The same queue without what is in it.
    fn shape(&self) -> Queue<()> {
        let lanes = self.lanes.iter().map(|(caller, lane)| {
            let tickets = lane.waiting.keys().map(|&ticket| (ticket, ()));
            let lane = Lane {
                turn: lane.turn,
                weight: lane.weight,
                credit: lane.credit,
                waiting: tickets.collect(),
            };
            (caller.clone(), lane)
        });
        Queue {
            bound: self.bound,
            len: self.len,
            next: self.next,
            lanes: lanes.collect(),
            ring: self.ring.clone(),
        }
    }

    /// Whose turn it is.
    fn first(&self) -> Option<Key> {
        let (_, caller) = self.ring.first_key_value()?;
        let (&ticket, _) = self.lanes.get(caller)?.waiting.first_key_value()?;
        let caller = caller.clone();
        Some(Key { caller, ticket })
    }

    /// How many entries go before a newcomer of `caller`, if nobody else comes.
    #[must_use]
    pub fn ahead_of(&self, caller: &Caller, weight: NonZeroU32) -> usize {
        let weight = to_usize(weight);
        let own = self.lanes.get(caller);
        let own_ahead = own.map_or(0, |lane| lane.waiting.len());
        let credit = own.map_or(weight, |lane| lane.credit);
        // The turns that the caller has before the one that serves the newcomer.
        let turns = own_ahead
            .checked_sub(credit)
            .map_or(0, |beyond| 1 + beyond / weight);
        let others = self.lanes.iter().filter(|(name, _)| *name != caller);
        let others_ahead = others.map(|(_, lane)| {
            let goes_first = own.is_none_or(|own| lane.turn < own.turn);
            lane.served_in(turns + usize::from(goes_first))
        });
        own_ahead + others_ahead.sum::<usize>()
    }

    /// Makes room for `caller` at the cost of the one with the most places for
    /// its weight, which never is `caller` itself.
    fn displace_for(&mut self, caller: &Caller, weight: usize) -> Result<T, Full> {
        let own = self.lanes.get(caller).map_or(0, |lane| lane.waiting.len());
        let fattest = self.lanes.iter().max_by(|(_, a), (_, b)| a.cmp_fat(b));
        let (fattest, lane) = fattest.ok_or(Full)?;
        // Not by one place only: the two would take turns displacing each other.
        if lane.waiting.len().saturating_mul(weight) <= (own + 1).saturating_mul(lane.weight) {
            return Err(Full);
        }
        let (&ticket, _) = lane.waiting.last_key_value().ok_or(Full)?;
        let caller = fattest.clone();
        self.remove(&Key { caller, ticket }).ok_or(Full)
    }

    fn ticket(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

impl<T> Lane<T> {
    /// How many of the lane are served in its next so many turns.
    fn served_in(&self, turns: usize) -> usize {
        let Some(later) = turns.checked_sub(1) else {
            return 0;
        };
        let most = self
            .credit
            .saturating_add(later.saturating_mul(self.weight));
        most.min(self.waiting.len())
    }

    /// Orders lanes by their entries for their weight.
    fn cmp_fat(&self, other: &Self) -> std::cmp::Ordering {
        let own = self.waiting.len().saturating_mul(other.weight);
        own.cmp(&other.waiting.len().saturating_mul(self.weight))
    }
}

fn to_usize(weight: NonZeroU32) -> usize {
    usize::try_from(weight.get()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
