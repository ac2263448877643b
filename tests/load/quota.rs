//! The account's quota is never exceeded, and used.

use std::time::Duration;

use rekognition_emulator::{Emulator, Quota};

use crate::ALONE;
use crate::offers::{
    Answer, BY_THE_SECOND, assert_refused_for_the_quota, clients, made_within, offer, quantile,
    tally,
};
use crate::support::{ONE_REGION, Running};

const LASTING: Duration = Duration::from_secs(30);

/// Ten times the 75 sessions in ten seconds.
const TEN_TIMES_THE_SESSIONS: u32 = 75;

/// Ten times the 25 creates in a second.
const TEN_TIMES_THE_CREATES: u32 = 250;

struct Use {
    made: usize,
    throttled: u64,
    answers: Vec<Answer>,
}

/// Offers a gateway in front of this emulator far more than AWS admits.
async fn overload(name: &str, emulator: &Emulator, toml: &str, per_second: u32) -> Use {
    let gateway = Running::configured(emulator, toml).await;
    let clients = clients(&gateway).await;
    let answers = offer(&clients, None, per_second, LASTING).await;
    let made = made_within(emulator, LASTING);
    let throttled = emulator.journal().throttled;
    let refusals = answers.iter().filter(|answer| !answer.is_ok());
    let refusals: Vec<_> = refusals.map(|answer| answer.took).collect();
    println!(
        "{name}: offered {} in {LASTING:?}, {made} sessions made in that time ({:.2}/s), \
         {throttled} throttles, answers {:?}, refusals took p50 {:?} p99 {:?}",
        answers.len(),
        made as f64 / LASTING.as_secs_f64(),
        tally(&answers),
        quantile(refusals.iter().copied(), 0.5),
        quantile(refusals.iter().copied(), 0.99),
    );
    Use {
        made,
        throttled,
        answers,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offered_ten_times_the_quota_aws_never_throttles_and_97_percent_of_it_is_used() {
    let _alone = ALONE.lock().await;
    let emulator = Emulator::builder().start().await.unwrap();
    let name = "25/s and 75 in 10 s";
    let used = overload(name, &emulator, ONE_REGION, TEN_TIMES_THE_SESSIONS).await;
    // No 30 s can hold more than three spans of the limit that binds, the burst
    // at the beginning included.
    let most = 3 * 75;
    let part = used.made as f64 / f64::from(most);
    println!("{} of at most {most}: {:.1} %", used.made, part * 100.0);
    assert_eq!(used.throttled, 0);
    assert!((0.97..=1.0).contains(&part), "{part}");
    assert_refused_for_the_quota(&used.answers);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offered_ten_times_the_creates_of_a_second_aws_never_throttles_and_97_percent_are_used() {
    let _alone = ALONE.lock().await;
    let quota = Quota {
        concurrent_sessions: None,
        ..Quota::of_region("us-east-1")
    };
    let emulator = Emulator::builder().quota(quota).start().await.unwrap();
    let used = overload("25/s", &emulator, BY_THE_SECOND, TEN_TIMES_THE_CREATES).await;
    let most = 30 * 25;
    let part = used.made as f64 / f64::from(most);
    println!("{} of at most {most}: {:.1} %", used.made, part * 100.0);
    assert_eq!(used.throttled, 0);
    assert!((0.97..=1.0).contains(&part), "{part}");
    assert_refused_for_the_quota(&used.answers);
}
