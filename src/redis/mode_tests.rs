use super::*;
use crate::quota::{GUARD, Limits};
use std::num::NonZeroU32;

/// A span's length: of a second, and what it is stretched by.
const SPAN: Duration = GUARD.saturating_add(Duration::from_secs(1));

fn mode(limit: u32, share: f64, now: Instant) -> Mode {
    let limits = Limits {
        creates_per_second: NonZeroU32::new(limit),
        ..Limits::default()
    };
    Mode::new(limits.into(), Share::new(share), now)
}

/// One of three, with AWS's defaults in us-east-1.
fn one_of_three(now: Instant) -> Mode {
    let region = crate::region::Region::parse("us-east-1").unwrap();
    Mode::new(
        Limits::of_region(&region).into(),
        Share::new(1.0 / 3.0),
        now,
    )
}

fn answer(memory: &str, slot: Option<Instant>, log: &[Instant]) -> Answer {
    Answer {
        memory: memory.to_owned(),
        age: Duration::MAX,
        slot,
        logs: vec![log.to_vec(), log.to_vec()],
        lately: Lately::default(),
    }
}

impl Mode {
    fn hears(&mut self, memory: &str, now: Instant) {
        let asked = self.asking(now, false);
        self.answered(asked, answer(memory, None, &[]), now);
    }

    fn fails(&mut self, now: Instant) {
        let asked = self.asking(now, false);
        self.failed(asked, now);
    }

    /// Waits until it takes a slot, without Redis.
    fn takes(&mut self, now: Instant) -> Instant {
        match self.plan(now) {
            Plan::Take(slot) => slot,
            Plan::Wait(until) => self.takes(until),
            Plan::Ask => panic!("nobody is there to ask"),
        }
    }

    fn numbers(&self) -> Vec<u64> {
        self.untold().map(|(number, _)| number).collect()
    }
}

#[test]
fn a_replica_that_finds_redis_shares_at_once() {
    let now = Instant::now();
    let mut mode = mode(6, 0.333, now);
    assert!(matches!(mode.plan(now), Plan::Wait(_)));
    mode.hears("a", now);
    assert_eq!(mode.state(), State::Shared);
    assert_eq!(mode.plan(now), Plan::Ask);
}

#[test]
fn a_memory_that_is_young_is_shared_when_all_have_told_it_what_they_took() {
    let start = Instant::now();
    let mut mode = one_of_three(start);
    let hear = |mode: &mut Mode, age, now| {
        let asked = mode.asking(now, true);
        let answer = Answer {
            age,
            ..answer("a", Some(now), &[now])
        };
        mode.answered(asked, answer, now)
    };
    assert_eq!(hear(&mut mode, SETTLED / 4, start), None);
    let settled = start + SETTLED * 3 / 4;
    assert_eq!(mode.state(), State::Alone);
    assert_eq!(mode.plan(start), Plan::Wait(settled));
    // Whoever calls meanwhile is told to wait that long and no longer.
    let outlook = mode.outlook();
    assert_eq!(outlook.not_before, Some(settled));
    assert!(outlook.windows.next_turn(settled) <= settled + SPAN / 25);

    assert_eq!(mode.plan(settled), Plan::Ask);
    assert_eq!(hear(&mut mode, SETTLED, settled), Some(settled));
    assert_eq!(mode.state(), State::Shared);
    assert_eq!(mode.outlook().not_before, None);
}

#[test]
fn a_young_memory_that_is_lost_leaves_the_share() {
    let start = Instant::now();
    let mut mode = mode(6, 0.333, start);
    let asked = mode.asking(start, false);
    let young = Answer {
        age: Duration::ZERO,
        ..answer("a", None, &[])
    };
    mode.answered(asked, young, start);
    mode.fails(start);
    assert_eq!(mode.outlook().not_before, None);
    assert!(mode.takes(start) >= start + SPAN);
}

#[test]
fn a_replica_that_never_met_redis_lets_a_span_pass_first() {
    let now = Instant::now();
    let mut mode = mode(6, 1.0, now);
    mode.fails(now);
    assert_eq!(mode.plan(now), Plan::Wait(now + SPAN));
    let later = now + SPAN;
    assert_eq!(mode.plan(later), Plan::Take(later));
    mode.hears("a", later);
    assert_eq!(mode.state(), State::Rejoining, "Redis is to be told first");
}

#[test]
fn a_failure_leaves_the_share_and_a_return_takes_a_span_without_one() {
    let start = Instant::now();
    let mut mode = mode(6, 1.0 / 3.0, start);
    mode.hears("a", start);
    mode.fails(start + SPAN * 5);
    assert_eq!(mode.state(), State::Alone);
    // All six may have been taken by the others until then.
    let lost = start + SPAN * 5;
    let first = mode.takes(lost);
    assert!(first >= lost + SPAN && first <= lost + SPAN * 2);
    let second = mode.takes(first);
    assert!(second >= first + SPAN / 2, "two in a span, spread over it");

    let back = second;
    mode.hears("a", back);
    assert_eq!(mode.state(), State::Rejoining);
    mode.fails(back + SPAN / 2);
    assert_eq!(mode.state(), State::Alone);
    let back = back + SPAN;
    mode.hears("a", back);
    mode.hears("a", back + SPAN / 2);
    assert_eq!(mode.state(), State::Rejoining);
    mode.hears("a", back + SPAN);
    assert_eq!(mode.state(), State::Shared);
}

#[test]
fn what_timers_are_late_by_costs_no_turn() {
    let start = Instant::now();
    let mut mode = one_of_three(start);
    let mut now = start + SPAN * 60;
    let first = mode.takes(now);
    let late = Duration::from_millis(3);
    for turn in 1..=5 {
        let Plan::Wait(due) = mode.plan(now) else {
            panic!("no spread");
        };
        now = due + late;
        assert_eq!(mode.plan(now), Plan::Take(now));
        assert!(due <= first + SPAN * turn / 8, "{turn}");
    }
}

#[test]
fn redis_is_never_told_of_a_slot_that_is_yet_to_come() {
    let start = Instant::now();
    let mut mode = one_of_three(start);
    mode.hears("a", start);
    // All was taken just before it is lost.
    let lost = start + SPAN;
    let log: Vec<_> = (0..75).map(|turn| lost - SPAN * turn / 75).collect();
    let asked = mode.asking(lost, false);
    mode.answered(asked, answer("a", None, &log), lost);
    mode.fails(lost);
    let mut now = lost;
    for _ in 0..200 {
        match mode.plan(now) {
            Plan::Wait(until) => {
                assert!(until > now);
                now = until;
            }
            plan => assert_eq!(plan, Plan::Take(now)),
        }
        assert!(mode.untold().all(|(_, slot)| slot <= now));
    }
    assert!(mode.untold().count() > 20);

    mode.hears("a", now);
    assert_eq!(mode.state(), State::Rejoining);
    let Plan::Wait(turn) = mode.plan(now) else {
        panic!("its own turn is yet to come");
    };
    assert_eq!(mode.plan(turn), Plan::Ask);
}

#[test]
fn a_memory_of_another_name_counts_as_a_failure_and_a_return() {
    let now = Instant::now();
    let mut mode = mode(6, 0.333, now);
    mode.hears("a", now);
    let asked = mode.asking(now, true);
    let slot = mode.answered(asked, answer("b", Some(now), &[now]), now);
    assert_eq!(slot, None, "an empty log knows nothing of what was taken");
    assert_eq!(mode.state(), State::Rejoining);
    // Six could be had at once.
    assert!(matches!(mode.plan(now), Plan::Wait(until) if until >= now + SPAN));
}

#[test]
fn admissions_are_told_until_redis_knows_them_and_again_when_it_forgot() {
    let now = Instant::now();
    let mut mode = mode(6, 0.333, now);
    mode.hears("a", now);
    let asked = mode.asking(now, true);
    let slot = mode.answered(asked, answer("a", Some(now), &[now]), now);
    assert_eq!(slot, Some(now));
    assert_eq!(mode.untold().count(), 0);
    mode.fails(now);
    assert_eq!(mode.numbers(), [0]);
    let later = mode.takes(now);
    // What is a span old no longer matters.
    assert_eq!(mode.numbers(), [1]);
    mode.hears("a", later);
    assert_eq!(mode.untold().count(), 0);
    mode.hears("b", later);
    assert_eq!(mode.numbers(), [1]);
}

#[test]
fn the_number_of_a_reservation_whose_answer_was_lost_is_not_used_again() {
    let now = Instant::now();
    let mut mode = mode(6, 0.333, now);
    mode.hears("a", now);
    let lost = mode.asking(now, true);
    mode.failed(lost, now);
    // Redis may have it, and would take what it is told under that number for it.
    let later = mode.takes(now);
    let told = mode.numbers();
    assert_eq!((lost.number, told.as_slice()), (Some(0), &[1][..]));

    mode.hears("a", later);
    mode.hears("a", later + SPAN);
    assert_eq!(mode.state(), State::Shared);
    let stale = mode.asking(later + SPAN, true);
    mode.fails(later + SPAN);
    let slot = later + SPAN;
    let slot = mode.answered(stale, answer("a", Some(slot), &[slot]), slot);
    assert_eq!(slot, None);
    let later = mode.takes(later + SPAN);
    assert_eq!(mode.untold().last(), Some((3, later)));
    assert_eq!(stale.number, Some(2));
}

#[test]
fn what_was_reserved_before_a_failure_is_not_used_after_it() {
    let now = Instant::now();
    let mut mode = mode(6, 0.333, now);
    mode.hears("a", now);
    let asked = mode.asking(now, true);
    mode.fails(now);
    let slot = mode.answered(asked, answer("a", Some(now), &[now]), now);
    assert_eq!((slot, mode.state()), (None, State::Alone));
}

#[test]
fn a_replica_expects_what_it_took_lately_or_an_equal_part() {
    for ((mine, all, replicas), share) in [
        ((0, 0, 1), 1.0),
        ((0, 24, 2), 0.5),
        ((24, 25, 2), 0.96),
        ((5, 25, 5), 0.2),
    ] {
        let lately = Lately {
            mine,
            all,
            replicas,
        };
        assert!((lately.share() - share).abs() < 1e-9, "{lately:?}");
    }
}

fn bounds(limit: u32, span: Duration) -> Bounds {
    let limit = NonZeroU32::new(limit).unwrap();
    Bounds {
        creates: Some(Bound { limit, span }),
        sessions: None,
    }
}

fn third() -> Share {
    Share::new(1.0 / 3.0)
}

#[test]
fn another_limit_of_the_same_span_stays_shared_and_answers_of_the_old_one_do_not_count() {
    let now = Instant::now();
    let mut mode = mode(6, 1.0 / 3.0, now);
    mode.hears("a", now);
    let asked = mode.asking(now, true);
    mode.rebound(bounds(9, SPAN), third(), now);
    assert_eq!(mode.state(), State::Shared);
    let late = answer("a", Some(now), &[now; 6]);
    assert_eq!(mode.answered(asked, late, now), None);
    let asked = mode.asking(now, true);
    let slot = mode.answered(asked, answer("a", Some(now), &[now; 7]), now);
    assert_eq!(slot, Some(now));
    // Redis is lost: three places of the nine are this replica's.
    mode.fails(now);
    let mut at = now;
    let slots: Vec<_> = (0..4)
        .map(|_| {
            at = mode.takes(at);
            at
        })
        .collect();
    assert!(
        slots[0] >= now + SPAN,
        "the others may have taken all of it"
    );
    assert!(slots[2] < slots[0] + SPAN && slots[3] >= slots[0] + SPAN);
}

#[test]
fn a_longer_span_takes_the_share_until_redis_has_seen_one() {
    let start = Instant::now();
    let mut mode = mode(6, 1.0 / 3.0, start);
    mode.hears("a", start);
    let now = start + SPAN;
    mode.rebound(bounds(6, SPAN * 4), third(), now);
    assert_eq!(mode.state(), State::Rejoining);
    assert!(matches!(mode.plan(now), Plan::Wait(_)));
    mode.hears("a", now + SPAN * 3);
    assert_eq!(mode.state(), State::Rejoining);
    mode.hears("a", now + SPAN * 4);
    assert_eq!(mode.state(), State::Shared);
}

#[test]
fn a_bound_that_is_new_counts_as_used_up_also_where_redis_was_never_met() {
    let start = Instant::now();
    let mut mode = Mode::new(Bounds::default(), third(), start);
    assert_eq!(mode.plan(start), Plan::Take(start));
    mode.mine.clear();
    mode.rebound(bounds(6, SPAN), third(), start);
    assert_eq!(mode.plan(start), Plan::Wait(start + SPAN));
    mode.hears("a", start);
    assert_eq!(mode.state(), State::Rejoining, "nobody told Redis");
}

#[test]
fn alone_a_cut_holds_at_once_and_a_raise_after_a_span() {
    let start = Instant::now();
    let mut mode = mode(6, 1.0 / 3.0, start);
    mode.hears("a", start);
    mode.fails(start);
    let now = mode.takes(start + SPAN * 2);
    mode.rebound(bounds(12, SPAN), third(), now);
    assert_eq!(mode.state(), State::Alone);
    let mut at = now;
    let raised: Vec<_> = (0..5)
        .map(|_| {
            at = mode.takes(at);
            at
        })
        .collect();
    assert!(raised[0] >= now + SPAN);
    assert!(raised[3] < raised[0] + SPAN && raised[4] >= raised[0] + SPAN);
    mode.rebound(bounds(3, SPAN), third(), at);
    assert!(mode.takes(at) >= at + SPAN, "one of three, after the last");
}
