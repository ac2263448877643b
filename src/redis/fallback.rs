//! What a replica may take for its own when it no longer sees the others. Pure:
//! instants come in, instants go out.

use tokio::time::Instant;

use crate::quota::{Share, Windows};

/// The windows of a replica that lost sight of the others: `known` is what it saw
/// at `since`, and by `until` the others may have taken all that could be had, and
/// hold a slot each that is yet to come.
pub(super) fn alone(known: &Windows, since: Instant, until: Instant, share: Share) -> Windows {
    let mut worst = known.clone();
    let mut others = known.clone();
    for _ in 0..known.places() {
        let slot = others.next_slot(since);
        if slot > until {
            break;
        }
        others.take(slot);
        worst.take(until);
    }
    for _ in 1..share.replicas() {
        worst.take(worst.next_turn(until));
    }
    // What the others saw differs by what was on its way. A span so short is
    // sooner waited for than reckoned with.
    worst.fill_short(until);
    worst.part(share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::{Flow, Limits};
    use std::num::NonZeroU32;
    use std::time::Duration;

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

    /// The turns that `windows` give to one who always waits, until `end`.
    fn turns(windows: &mut Windows, from: Instant, end: Instant) -> Vec<Instant> {
        let mut taken = Vec::new();
        let mut turn = windows.next_turn(from);
        while turn < end {
            windows.take(turn);
            taken.push(turn);
            turn = windows.next_turn(turn);
        }
        taken
    }

    fn assert_within(limits: Limits, all: &[Instant], what: &str) {
        let creates = limits.creates_per_second.map(|limit| (limit, SECOND));
        let flow = limits.sessions_in_flow;
        let flow = flow.map(|flow| (flow.sessions, flow.session_length));
        for (limit, span) in creates.into_iter().chain(flow) {
            let most = usize::try_from(limit.get()).unwrap();
            for (first, last) in all.iter().zip(all.iter().skip(most)) {
                assert!(*last - *first >= span, "{what}: more than {limit}");
            }
        }
    }

    #[test]
    fn free_places_count_as_taken_as_far_as_the_others_could_take_them() {
        let now = Instant::now();
        let known = Windows::new(limits(6, 60));
        let own = alone(&known, now, now + SECOND / 10, Share::new(1.0 / 3.0));
        // Six creates could be had since, and two slots may be held: in flow, 52 of
        // 60 places are free, and of this replica's 20 the same part, rounded down.
        assert_eq!(own.taken().count(), 3);
    }

    #[test]
    fn parts_of_the_same_windows_together_stay_within_the_limits() {
        let start = Instant::now();
        for (limits, shares) in [
            (limits(25, 75), vec![1.0 / 3.0; 3]),
            (limits(25, 75), vec![0.9, 0.1]),
            (limits(7, 0), vec![0.5, 0.3, 0.2]),
            (limits(0, 75), vec![0.333; 3]),
        ] {
            for taken_before in [0, 1, 5, 30, 80, 200] {
                let mut known = Windows::new(limits);
                let before = turns(&mut known, start, start + SECOND * 60);
                let mut all: Vec<_> = before.into_iter().take(taken_before).collect();
                let mut known = Windows::new(limits);
                all.iter().for_each(|at| known.take(*at));
                let lost = all.last().copied().unwrap_or(start);
                for share in &shares {
                    let mut own = alone(&known, lost, lost, Share::new(*share));
                    all.extend(turns(&mut own, lost, lost + SECOND * 40));
                }
                all.sort();
                let what = format!("{limits:?} {shares:?} after {taken_before}");
                assert_within(limits, &all, &what);
            }
        }
    }

    #[test]
    fn a_share_is_used_evenly_from_the_first_span_on() {
        let start = Instant::now();
        let lost = start + SECOND * 10;
        let mut known = Windows::new(limits(25, 75));
        (1..=75).for_each(|turn| known.take(start + SECOND * 10 * turn / 75));
        let mut own = alone(&known, lost, lost, Share::new(1.0 / 3.0));
        let own = turns(&mut own, lost, lost + SECOND * 40);
        assert!(own[0] <= lost + SECOND * 11 / 10, "{:?}", own[0] - lost);
        for pair in own.windows(2) {
            let gap = pair[1] - pair[0];
            assert!(gap >= SECOND * 3 / 10 && gap <= SECOND / 2, "{gap:?}");
        }
    }

    #[test]
    fn a_share_of_less_than_one_place_is_used_more_seldom() {
        let now = Instant::now();
        let mut own = alone(&Windows::new(limits(2, 0)), now, now, Share::new(0.25));
        let own = turns(&mut own, now, now + SECOND * 20);
        assert!(own[0] >= now + SECOND);
        for pair in own.windows(2) {
            assert!(pair[1] - pair[0] >= SECOND * 2);
        }
    }
}
