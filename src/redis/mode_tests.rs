use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn mode(limit: u32, share: u32, now: Instant) -> Mode {
    let window = Window {
        limit: NonZeroU32::new(limit).unwrap(),
        span: SECOND,
    };
    Mode::new(vec![window], NonZeroU32::new(share).unwrap(), now)
}

fn answer(memory: &str, slot: Option<Instant>, log: &[Instant]) -> Answer {
    Answer {
        memory: memory.to_owned(),
        slot,
        logs: vec![log.to_vec()],
        lately: Lately::default(),
    }
}

impl Mode {
    fn hears(&mut self, memory: &str, now: Instant) {
        self.answered(self.asking(now), answer(memory, None, &[]), now);
    }

    fn fails(&mut self, now: Instant) {
        self.failed(self.asking(now), now);
    }
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_finds_redis_shares_at_once() {
    let now = Instant::now();
    let mut mode = mode(6, 3, now);
    assert_eq!(mode.plan(now), Plan::Wait(now + SECOND));
    mode.hears("a", now);
    assert_eq!(mode.state(), State::Shared);
    assert_eq!(mode.plan(now), Plan::Ask(now));
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_never_met_redis_lets_a_span_pass_first() {
    let now = Instant::now();
    let mut mode = mode(6, 3, now);
    mode.fails(now);
    let later = now + SECOND;
    assert_eq!(mode.plan(later), Plan::Take(later));
    mode.hears("a", later);
    assert_eq!(mode.state(), State::Rejoining, "Redis is to be told first");
}

#[tokio::test(start_paused = true)]
async fn a_failure_leaves_the_share_and_a_return_takes_a_span_without_one() {
    let start = Instant::now();
    let mut mode = mode(6, 3, start);
    mode.hears("a", start);
    mode.fails(start + SECOND * 5);
    assert_eq!(mode.state(), State::Alone);
    // All six may have been taken by the others until then, and each of the two
    // others may hold one of the next.
    let now = start + SECOND * 5;
    let mut take = || mode.plan(now);
    assert_eq!(take(), Plan::Take(now + SECOND));
    assert_eq!(take(), Plan::Take(now + SECOND * 2));
    assert_eq!(take(), Plan::Take(now + SECOND * 2));

    let back = now + SECOND * 2;
    mode.hears("a", back);
    assert_eq!(mode.state(), State::Rejoining);
    mode.fails(back + SECOND / 2);
    assert_eq!(mode.state(), State::Alone);
    let back = back + SECOND;
    mode.hears("a", back);
    mode.hears("a", back + SECOND / 2);
    assert_eq!(mode.state(), State::Rejoining);
    mode.hears("a", back + SECOND);
    assert_eq!(mode.state(), State::Shared);
}

#[tokio::test(start_paused = true)]
async fn a_memory_of_another_name_counts_as_a_failure_and_a_return() {
    let now = Instant::now();
    let mut mode = mode(6, 3, now);
    mode.hears("a", now);
    let asked = mode.asking(now);
    let slot = mode.answered(asked, answer("b", Some(now), &[now]), now);
    assert_eq!(slot, None, "an empty log knows nothing of what was taken");
    assert_eq!(mode.state(), State::Rejoining);
    // Six could be had at once.
    assert_eq!(mode.plan(now), Plan::Ask(now + SECOND));
}

#[tokio::test(start_paused = true)]
async fn admissions_are_told_until_redis_knows_them_and_again_when_it_forgot() {
    let now = Instant::now();
    let mut mode = mode(6, 3, now);
    mode.hears("a", now);
    let asked = mode.asking(now);
    let slot = mode.answered(asked, answer("a", Some(now), &[now]), now);
    assert_eq!(slot, Some(now));
    assert_eq!(mode.untold().count(), 0);
    mode.fails(now);
    assert!(matches!(mode.plan(now), Plan::Take(_)));
    let numbers = |mode: &Mode| mode.untold().map(|(number, _)| number).collect::<Vec<_>>();
    assert_eq!(numbers(&mode), [0, 1]);
    mode.hears("a", now);
    assert_eq!(mode.untold().count(), 0);
    mode.hears("b", now);
    assert_eq!(numbers(&mode), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn what_was_reserved_before_a_failure_is_not_used_after_it() {
    let now = Instant::now();
    let mut mode = mode(6, 3, now);
    mode.hears("a", now);
    let asked = mode.asking(now);
    mode.fails(now);
    let slot = mode.answered(asked, answer("a", Some(now), &[now]), now);
    assert_eq!((slot, mode.state()), (None, State::Alone));
}

#[tokio::test(start_paused = true)]
async fn a_share_of_less_than_one_place_is_used_more_seldom() {
    let now = Instant::now();
    let mut mode = mode(2, 4, now);
    mode.hears("a", now);
    mode.fails(now);
    let mut take = || mode.plan(now);
    let Plan::Take(first) = take() else {
        panic!("no slot");
    };
    assert_eq!(take(), Plan::Take(first + SECOND * 2));
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

fn terms(limit: u32, span: Duration, place: Option<usize>) -> Terms {
    let limit = NonZeroU32::new(limit).unwrap();
    Terms {
        windows: vec![(Window { limit, span }, place)],
        shares: NonZeroU32::new(3).unwrap(),
    }
}

#[tokio::test(start_paused = true)]
async fn another_limit_of_the_same_span_stays_shared_and_answers_of_the_old_one_do_not_count() {
    let now = Instant::now();
    let mut mode = mode(6, 3, now);
    mode.hears("a", now);
    let asked = mode.asking(now);
    mode.rebound(&terms(9, SECOND, Some(0)), now);
    assert_eq!(mode.state(), State::Shared);
    let late = answer("a", Some(now), &[now; 6]);
    assert_eq!(mode.answered(asked, late, now), None);
    let asked = mode.asking(now);
    let slot = mode.answered(asked, answer("a", Some(now), &[now; 7]), now);
    assert_eq!(slot, Some(now));
    // Redis is lost: three places of the nine are this replica's, one of them taken by
    // what the others may hold.
    mode.fails(now);
    let slots: Vec<_> = (0..4).map(|_| mode.plan(now)).collect();
    let later = |spans| Plan::Take(now + SECOND * spans);
    assert_eq!(slots, [later(1), later(1), later(2), later(2)]);
}

#[tokio::test(start_paused = true)]
async fn a_longer_span_takes_the_share_until_redis_has_seen_one() {
    let start = Instant::now();
    let mut mode = mode(6, 3, start);
    mode.hears("a", start);
    let now = start + SECOND;
    mode.rebound(&terms(6, SECOND * 4, Some(0)), now);
    assert_eq!(mode.state(), State::Rejoining);
    assert!(matches!(mode.plan(now), Plan::Ask(at) if at > now));
    mode.hears("a", now + SECOND * 3);
    assert_eq!(mode.state(), State::Rejoining);
    mode.hears("a", now + SECOND * 4);
    assert_eq!(mode.state(), State::Shared);
}

#[tokio::test(start_paused = true)]
async fn a_window_that_is_new_counts_as_used_up_also_where_redis_was_never_met() {
    let start = Instant::now();
    let mut mode = Mode::new(Vec::new(), NonZeroU32::new(3).unwrap(), start);
    assert_eq!(mode.plan(start), Plan::Take(start));
    mode.mine.clear();
    mode.rebound(&terms(6, SECOND, None), start);
    assert_eq!(mode.plan(start), Plan::Wait(start + SECOND));
    mode.hears("a", start);
    assert_eq!(mode.state(), State::Rejoining, "nobody told Redis");
    mode.rebound(&terms(1, SECOND, None), start);
    assert_eq!(mode.plan(start), Plan::Ask(start + SECOND * 3));
}

#[tokio::test(start_paused = true)]
async fn alone_a_cut_holds_at_once_and_a_raise_after_a_span() {
    let start = Instant::now();
    let mut mode = mode(6, 3, start);
    mode.hears("a", start);
    mode.fails(start);
    let now = start + SECOND;
    let take = |mode: &mut Mode| match mode.plan(now) {
        Plan::Take(at) => at - now,
        other => panic!("{other:?}"),
    };
    let one = SECOND;
    assert_eq!([take(&mut mode), take(&mut mode)], [Duration::ZERO, one]);
    mode.rebound(&terms(12, SECOND, Some(0)), now);
    assert_eq!(mode.state(), State::Alone);
    let raised: Vec<_> = (0..5).map(|_| take(&mut mode)).collect();
    assert_eq!(raised, [one, one, one, one * 2, one * 2]);
    mode.rebound(&terms(3, SECOND, Some(0)), now);
    assert_eq!(take(&mut mode), one * 3, "one of three, after the last");
}
