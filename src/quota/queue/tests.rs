use super::*;

fn caller(name: &str) -> Caller {
    Caller::named(name).unwrap()
}

fn weight(weight: u32) -> NonZeroU32 {
    NonZeroU32::new(weight).unwrap()
}

fn queue(entries: &[(&'static str, u32, usize)]) -> Queue<&'static str> {
    let mut queue = Queue::new(1_000);
    for &(name, of, times) in entries {
        for _ in 0..times {
            queue.push(&caller(name), weight(of), name).unwrap();
        }
    }
    queue
}

fn order<T>(mut queue: Queue<T>) -> Vec<T> {
    std::iter::from_fn(|| queue.pop()).collect()
}

#[test]
fn callers_take_turns_by_their_weights() {
    let queue = queue(&[("a", 1, 3), ("b", 3, 5), ("c", 1, 1)]);
    assert_eq!(order(queue), ["a", "b", "b", "b", "c", "a", "b", "b", "a"]);
}

#[test]
fn within_a_caller_the_first_to_come_is_the_first_to_go() {
    let mut queue = Queue::new(10);
    for n in 0..5 {
        queue.push(&Caller::Anonymous, weight(2), n).unwrap();
    }
    assert_eq!(order(queue), [0, 1, 2, 3, 4]);
}

#[test]
fn a_newcomer_waits_for_one_turn_of_each_other_however_long_their_backlogs() {
    let mut queue = queue(&[("greedy", 1, 500), ("other", 2, 300)]);
    assert_eq!(queue.ahead_of(&caller("quiet"), weight(1)), 3);
    queue.push(&caller("quiet"), weight(1), "quiet").unwrap();
    assert_eq!(
        order(queue).iter().position(|&name| name == "quiet"),
        Some(3)
    );
}

#[test]
fn those_ahead_of_a_newcomer_are_the_ones_that_go_before_it() {
    let backlogs = [[7, 0, 0], [7, 9, 1], [1, 30, 4], [20, 2, 20]];
    for (backlog, popped) in backlogs.iter().flat_map(|b| (0..8).map(move |p| (b, p))) {
        for (name, of) in [("a", 1), ("b", 3), ("c", 2), ("new", 2)] {
            let mut queue = queue(&[
                ("a", 1, backlog[0]),
                ("b", 3, backlog[1]),
                ("c", 2, backlog[2]),
            ]);
            for _ in 0..popped {
                queue.pop();
            }
            let foretold = queue.ahead_of(&caller(name), weight(of));
            queue.push(&caller(name), weight(of), "newcomer").unwrap();
            let actual = order(queue).iter().position(|&entry| entry == "newcomer");
            assert_eq!(
                Some(foretold),
                actual,
                "{name} after {popped} of {backlog:?}"
            );
        }
    }
}

#[test]
fn a_removed_entry_is_gone_and_a_caller_without_entries_forgotten() {
    let mut queue = queue(&[("a", 1, 1), ("b", 1, 1)]);
    let pushed = queue.push(&caller("c"), weight(1), "c").unwrap();
    assert_eq!(queue.callers(), 3);
    assert_eq!(queue.remove(&pushed.key), Some("c"));
    assert_eq!(queue.remove(&pushed.key), None);
    assert_eq!((queue.len(), queue.callers(), queue.ring.len()), (2, 2, 2));
    assert_eq!(order(queue), ["a", "b"]);
}

#[test]
fn a_full_queue_takes_no_more_of_the_caller_that_filled_it() {
    let mut queue = Queue::new(4);
    for n in 0..4 {
        queue.push(&caller("a"), weight(1), n).unwrap();
    }
    assert_eq!(queue.push(&caller("a"), weight(1), 4).unwrap_err(), Full);
    assert_eq!(queue.len(), 4);
}

#[test]
fn in_a_full_queue_the_fattest_makes_room_until_the_shares_are_fair() {
    let mut queue = Queue::new(8);
    for n in 0..8 {
        queue.push(&caller("greedy"), weight(1), n).unwrap();
    }
    let mut displaced = Vec::new();
    while let Ok(pushed) = queue.push(&caller("late"), weight(3), 100) {
        displaced.extend(pushed.displaced);
    }
    assert_eq!(displaced, [7, 6, 5, 4, 3, 2], "two of eight are a quarter");
    assert_eq!(queue.len(), 8);
}

#[test]
fn entries_are_sifted_in_the_order_in_which_they_are_served_by_those_that_stay() {
    let mut queue = queue(&[("a", 1, 3), ("b", 2, 4), ("c", 1, 2)]);
    let mut seen = Vec::new();
    let left = queue.sift(|name| {
        seen.push(*name);
        // Every third goes, and takes no turn.
        !seen.len().is_multiple_of(3)
    });
    assert_eq!(seen.len(), 9);
    assert_eq!(left.len(), 3);
    let stayed = seen.iter().enumerate();
    let stayed = stayed.filter(|(place, _)| (place + 1) % 3 != 0);
    let stayed: Vec<_> = stayed.map(|(_, name)| *name).collect();
    assert_eq!((queue.len(), order(queue)), (6, stayed));
}
