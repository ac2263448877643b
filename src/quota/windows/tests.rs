use super::*;
use crate::quota::limits::{Flow, Limits};
use std::num::NonZeroU32;

const SECOND: Duration = Duration::from_secs(1);

fn limits(creates: u32, sessions: u32) -> Limits {
    Limits {
        creates_per_second: NonZeroU32::new(creates),
        sessions_in_flow: NonZeroU32::new(sessions).map(|sessions| Flow {
            sessions,
            session_length: SECOND * 10,
        }),
    }
}

/// A generator of arrivals that is the same in every run.
struct Arrivals(u64);

impl Arrivals {
    fn gap(&mut self) -> Duration {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        // Mostly storms, at times a lull.
        let random = self.0 >> 33;
        match random % 20 {
            0 => Duration::from_millis(random % 3_000),
            _ => Duration::from_micros(random % 30_000),
        }
    }
}

fn most_in_any(span: Duration, taken: &[Instant]) -> usize {
    let counts = taken.iter().enumerate().map(|(first, &at)| {
        let end = taken.partition_point(|&other| other < at + span);
        end - first
    });
    counts.max().unwrap_or(0)
}

#[test]
fn no_span_ever_holds_more_than_the_limit() {
    for seed in 0..20 {
        let mut arrivals = Arrivals(seed);
        let mut windows = Windows::new(limits(25, 75));
        let mut now = Instant::now();
        let mut taken = Vec::new();
        for _ in 0..3_000 {
            now += arrivals.gap();
            if windows.next_slot(now) <= now {
                windows.take(now);
                taken.push(now);
            }
        }
        assert_eq!(most_in_any(SECOND + GUARD, &taken), 25, "seed {seed}");
        assert_eq!(most_in_any(SECOND * 10 + GUARD, &taken), 75, "seed {seed}");
    }
}

#[test]
fn the_first_second_lets_no_second_burst_through() {
    let start = Instant::now();
    let mut windows = Windows::new(limits(25, 0));
    let mut taken = 0;
    for millisecond in 0..1_000 {
        let now = start + Duration::from_millis(millisecond);
        while windows.next_slot(now) <= now {
            windows.take(now);
            taken += 1;
        }
    }
    assert_eq!(taken, 25);
}

#[test]
fn the_slot_after_others_is_the_one_that_they_leave() {
    let now = Instant::now();
    let mut windows = Windows::new(limits(2, 5));
    let foretold: Vec<_> = (0..8).map(|ahead| windows.slot_after(now, ahead)).collect();
    let taken: Vec<_> = (0..8)
        .map(|_| {
            let slot = windows.next_slot(now);
            windows.take(slot);
            slot
        })
        .collect();
    assert_eq!(foretold, taken);
    let second = SECOND + GUARD;
    let ten = SECOND * 10 + GUARD;
    let since: Vec<_> = taken.into_iter().map(|slot| slot - now).collect();
    let zero = Duration::ZERO;
    assert_eq!(
        since,
        [
            zero,
            zero,
            second,
            second,
            second * 2,
            ten,
            ten,
            ten + second
        ]
    );
}

#[test]
fn turns_are_spread_over_the_span_and_as_many_as_the_slots() {
    let now = Instant::now();
    let mut windows = Windows::new(limits(0, 75));
    for _ in 0..25 {
        windows.take(now);
    }
    let turns: Vec<_> = (0..275)
        .map(|ahead| windows.turn_after(now, ahead))
        .collect();
    let ten = SECOND * 10 + GUARD;
    let by = |end| turns.partition_point(|&turn| turn < now + end);
    assert_eq!((by(ten), by(ten * 2), by(ten * 3)), (50, 125, 200));
    let gaps = turns.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(
        gaps.max().unwrap() < SECOND / 3,
        "somebody waits for a span's end"
    );
    assert!(most_in_any(ten, &turns) <= 75);
}

#[test]
fn turns_after_a_hasty_burst_are_spread_too() {
    let now = Instant::now();
    let mut windows = Windows::new(limits(25, 0));
    for millisecond in 0..25 {
        windows.take(now + Duration::from_millis(millisecond));
    }
    let now = now + SECOND + GUARD;
    let gap = windows.turn_after(now, 1) - windows.turn_after(now, 0);
    assert_eq!(gap, (SECOND + GUARD) / 25);
}

#[test]
fn late_turns_do_not_delay_the_next() {
    let now = Instant::now();
    let mut windows = Windows::new(limits(10, 0));
    windows.take(now);
    let turn = windows.next_turn(now);
    windows.take_turn(turn, turn + GUARD);
    let next = windows.next_turn(turn + GUARD);
    assert_eq!(next - turn, turn - now);
}

#[test]
fn a_log_counts_in_any_order_and_full_windows_have_no_slot() {
    let now = Instant::now();
    let log = [now, now - SECOND / 2];
    let windows = Windows::from_logs(limits(2, 0), [log]);
    assert_eq!(windows.next_slot(now), now + SECOND / 2 + GUARD);
    let mut windows = Windows::new(limits(2, 5));
    windows.fill(now);
    assert_eq!(windows.next_slot(now), now + SECOND * 10 + GUARD);
}

#[test]
fn a_slot_given_back_is_there_again() {
    let now = Instant::now();
    let mut windows = Windows::new(limits(1, 0));
    windows.take(now);
    windows.give_back(now);
    assert_eq!(windows.next_slot(now), now);
}

#[test]
fn a_delayed_admission_frees_its_slot_as_much_later() {
    let now = Instant::now();
    let mut windows = Windows::new(limits(2, 0));
    windows.take(now);
    windows.take(now + SECOND / 10);
    windows.delay(now, now + SECOND / 2);
    let slots = [0, 1].map(|ahead| windows.slot_after(now, ahead) - now);
    assert_eq!(
        slots,
        [SECOND * 11 / 10, SECOND * 3 / 2].map(|slot| slot + GUARD)
    );
}

#[test]
fn a_delay_that_is_known_too_late_changes_nothing() {
    let now = Instant::now();
    let mut windows = Windows::new(limits(1, 0));
    windows.take(now);
    let next = now + SECOND + GUARD;
    windows.take(next);
    windows.delay(now, next);
    assert_eq!(windows.next_slot(next), next + SECOND + GUARD);
}

#[test]
fn limits_that_are_off_hold_nobody_up() {
    let now = Instant::now();
    let mut windows = Windows::new(Limits::default());
    windows.take(now);
    assert_eq!(windows.slot_after(now, 1_000), now);
}

#[test]
fn a_longer_span_counts_what_is_forgotten_as_late_as_it_can_have_been() {
    let now = Instant::now();
    let mut windows = Windows::new(limits(2, 0));
    for seconds in [0, 2, 4] {
        windows.take(now + SECOND * seconds);
    }
    windows.rebound(limits(0, 5));
    // Of five places two are known to be taken; the three others may have been when
    // the first admission was, which is forgotten.
    let ten = SECOND * 10 + GUARD;
    let now_on = now + SECOND * 4;
    let slots: Vec<_> = (0..5)
        .map(|ahead| windows.slot_after(now_on, ahead) - now)
        .collect();
    let later = |seconds| SECOND * seconds + ten;
    assert_eq!(slots, [ten, ten, ten, later(2), later(4)]);
}

#[test]
fn the_same_span_remembers_all_that_matters_to_it() {
    let now = Instant::now();
    let mut windows = Windows::new(limits(3, 0));
    for millisecond in [0, 100, 200, 1_100, 1_200, 1_300] {
        windows.take(now + Duration::from_millis(millisecond));
    }
    let at = now + Duration::from_millis(1_300);
    windows.rebound(limits(5, 0));
    let free = (0..3).filter(|&ahead| windows.slot_after(at, ahead) == at);
    assert_eq!(free.count(), 2);
    windows.rebound(limits(1, 0));
    assert_eq!(windows.next_slot(at), at + SECOND + GUARD);
}

#[test]
fn a_bound_that_was_off_counts_what_the_other_one_or_none_has_counted() {
    let now = Instant::now();
    for before in [limits(0, 4), Limits::default()] {
        let mut windows = Windows::new(before);
        windows.take(now);
        windows.take(now);
        windows.rebound(limits(3, 4));
        assert_eq!(windows.next_slot(now), now);
        windows.take(now);
        assert_eq!(windows.next_slot(now), now + SECOND + GUARD);
    }
}
