//! The quota is shared by weight, and nobody crowds out the others.

use std::time::Duration;

use face_liveness_gateway::config::Identity;
use futures_util::future::{join, join_all};
use rekognition_emulator::{Emulator, Quota};
use tokio::time::Instant;

use crate::ALONE;
use crate::offers::{
    Answer, BY_THE_SECOND, Client, DEADLINE, assert_refused_for_the_quota, call, clients, offer,
    quantile, tally,
};
use crate::support::{Running, config};

/// AWS's calls per second.
const PER_SECOND: usize = 25;

/// A gateway that believes callers, in front of AWS's calls per second, whose
/// first burst is used up: from here on there is only the rate to share.
async fn after_the_burst(callers: &str) -> (Emulator, Running, Vec<Client>) {
    let quota = Quota {
        concurrent_sessions: None,
        ..Quota::of_region("us-east-1")
    };
    let emulator = Emulator::builder().quota(quota).start().await.unwrap();
    let mut config = config(&emulator, &format!("{BY_THE_SECOND}{callers}")).await;
    config.identity = Identity::Believed;
    let gateway = Running::start(config);
    let clients = clients(&gateway).await;
    let turns = clients.iter().cycle().take(PER_SECOND);
    let burst = turns.map(|client| call(client.clone(), Some("earlier"), DEADLINE));
    for answer in join_all(burst).await {
        answer.result.unwrap();
    }
    (emulator, gateway, clients)
}

fn times(answers: &[Answer]) -> impl Iterator<Item = Duration> {
    answers.iter().map(|answer| answer.took)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_within_its_share_gets_all_it_asks_for_beside_one_that_offers_100_times_as_much() {
    let _alone = ALONE.lock().await;
    let lasting = Duration::from_secs(12);
    let (emulator, _gateway, clients) = after_the_burst("").await;
    let (quiet, greedy) = join(
        offer(&clients, Some("quiet"), 4, lasting),
        offer(&clients, Some("greedy"), 400, lasting),
    )
    .await;
    let throttled = emulator.journal().throttled;
    println!(
        "quiet, 4/s: {:?}, p50 {:?}, p99 {:?}; greedy, 400/s: {:?}; {throttled} throttles",
        tally(&quiet),
        quantile(times(&quiet), 0.5),
        quantile(times(&quiet), 0.99),
        tally(&greedy),
    );
    assert_eq!(throttled, 0);
    for answer in &quiet {
        assert!(answer.is_ok(), "{:?}", answer.result);
    }
    assert_refused_for_the_quota(&greedy);
    // It was the quota that they shared: the greedy one was refused.
    assert!(greedy.iter().filter(|answer| answer.is_ok()).count() < greedy.len() / 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_callers_who_want_more_share_the_quota_by_their_weights() {
    let _alone = ALONE.lock().await;
    let lasting = Duration::from_secs(20);
    let callers = "[[callers]]\nid = 'light'\nweight = 1\n[[callers]]\nid = 'heavy'\nweight = 3\n";
    let (emulator, _gateway, clients) = after_the_burst(callers).await;
    let end = Instant::now() + lasting;
    let (light, heavy) = join(
        offer(&clients, Some("light"), 125, lasting),
        offer(&clients, Some("heavy"), 125, lasting),
    )
    .await;
    // After the end the queue empties, and what is left of it is not shared.
    let made = |answers: &[Answer]| {
        let made = answers.iter().filter(|a| a.is_ok() && a.at < end);
        made.count() as f64
    };
    let shares = [made(&light), made(&heavy)];
    let ratio = shares[1] / shares[0];
    let throttled = emulator.journal().throttled;
    println!("weights 1:3: sessions {shares:?}, 1:{ratio:.3}; {throttled} throttles");
    assert_eq!(throttled, 0);
    assert!((ratio / 3.0 - 1.0).abs() <= 0.05, "1:{ratio}");
    assert_refused_for_the_quota(&light);
    assert_refused_for_the_quota(&heavy);
}
