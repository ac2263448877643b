//! Replicas share the quota and the ledger through Redis, and stay within the
//! quota without it.

#![expect(clippy::print_stdout, reason = "the figures are part of the result")]

use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

use ::redis::AsyncCommands as _;
use face_liveness_gateway::quota::{Flow, Limits, Share};
use face_liveness_gateway::redis::{
    Connection, DEFAULT_TIMEOUT, Records, Settings, State, Url, Windows,
};
use face_liveness_gateway::region::Region;
use face_liveness_gateway::session::{Session, SessionId, Token};
use face_liveness_gateway::upstream::ledger::{Fingerprint, Key, Outcome, Over, Record, Store};
use futures_util::FutureExt as _;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::redis_server::poll;
use crate::redis_server::{PATIENCE, Server};

const LIMIT: u32 = 24;
pub(crate) const SPAN: Duration = Duration::from_secs(1);

/// What a slot may be used late by: tests and Redis share two cores.
const GUARD: Duration = Duration::from_millis(15);

pub(crate) async fn connection(url: &str) -> Connection {
    Connection::open(url.parse().unwrap(), None, DEFAULT_TIMEOUT)
        .await
        .unwrap()
}

async fn windows(url: &str, prefix: &str) -> Windows {
    let flow = |sessions| Flow {
        sessions,
        session_length: SPAN * 2,
    };
    let settings = Settings {
        prefix: prefix.to_owned(),
        limits: Limits {
            creates_per_second: NonZeroU32::new(LIMIT),
            sessions_in_flow: NonZeroU32::new(LIMIT * 2).map(flow),
        },
        share: Share::new(1.0 / 3.0),
    };
    let region = Region::parse("eu-west-1").unwrap();
    Windows::new(connection(url).await, region, &settings)
}

/// Three replicas that take what they can get until they are told to stop.
pub(crate) struct Load {
    stop: CancellationToken,
    replicas: JoinSet<Vec<Instant>>,
    states: Vec<tokio::sync::watch::Receiver<State>>,
}

impl Load {
    pub(crate) async fn start(url: &str, prefix: &str) -> Self {
        let mut load = Self {
            stop: CancellationToken::new(),
            replicas: JoinSet::new(),
            states: Vec::new(),
        };
        for _ in 0..3 {
            load.join(url, prefix).await;
        }
        load.all(State::Shared).await;
        load
    }

    /// One more replica.
    async fn join(&mut self, url: &str, prefix: &str) {
        let windows = windows(url, prefix).await;
        self.states.push(windows.states());
        let stop = self.stop.clone();
        self.replicas.spawn(async move {
            let mut taken = Vec::new();
            while let Some(reserved) = stop.run_until_cancelled(windows.reserve()).await {
                sleep_until(reserved.slot).await;
                // What comes too late is not used; see `GUARD`.
                if Instant::now() <= reserved.slot + GUARD {
                    taken.push(reserved.slot);
                }
            }
            taken
        });
    }

    async fn all(&mut self, state: State) {
        for states in &mut self.states {
            let reached = states.wait_for(|now| *now == state);
            timeout(PATIENCE, reached).await.unwrap().unwrap();
        }
    }

    /// All that was taken, in order.
    pub(crate) async fn stop(self) -> Vec<Instant> {
        self.stop.cancel();
        let mut all = self.replicas.join_all().await.concat();
        all.sort();
        all
    }
}

fn most_in_any_span(taken: &[Instant], span: Duration) -> usize {
    let counts = taken.iter().enumerate().map(|(first, at)| {
        let end = taken.partition_point(|other| *other < *at + span);
        end - first
    });
    counts.max().unwrap_or(0)
}

pub(crate) fn assert_within_quota(taken: &[Instant]) {
    let limit = usize::try_from(LIMIT).unwrap();
    let most = most_in_any_span(taken, SPAN);
    println!("{} taken, at most {most} of {limit} in a span", taken.len());
    assert!(most <= limit, "{most} in a second");
    let most = most_in_any_span(taken, SPAN * 2);
    assert!(most <= limit * 2, "{most} in two seconds");
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn three_replicas_use_the_quota_fully_and_never_exceed_it() {
    let server = Server::start(&[]).await;
    let load = Load::start(&server.url(), "test").await;
    let start = Instant::now();
    sleep_until(start + SPAN * 8).await;
    let end = Instant::now();
    let taken = load.stop().await;
    assert_within_quota(&taken);
    let used = taken.iter().filter(|at| (start..end).contains(at)).count();
    let offered = (end - start).as_secs_f64() * f64::from(LIMIT);
    let used = f64::from(u32::try_from(used).unwrap()) / offered;
    println!("{:.1} % of the quota used", used * 100.0);
    assert!(used >= 0.95, "{used}");
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_redis_that_comes_back_empty_lets_nobody_exceed_the_quota() {
    let mut server = Server::start(&[]).await;
    let mut load = Load::start(&server.url(), "test").await;
    sleep_until(Instant::now() + SPAN * 2).await;
    server.kill();
    let killed = Instant::now();
    load.all(State::Alone).await;
    sleep_until(killed + SPAN * 5).await;
    let restarted = Instant::now();
    server.restart().await;
    load.all(State::Shared).await;
    let shared = Instant::now();
    sleep_until(shared + SPAN * 3).await;
    let taken = load.stop().await;
    assert_within_quota(&taken);
    let alone = taken
        .iter()
        .filter(|at| (killed + SPAN * 2..restarted).contains(at));
    let alone = alone.count();
    println!("{alone} taken in 3 s without Redis");
    assert!(alone > usize::try_from(LIMIT).unwrap());
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn who_starts_when_redis_has_just_forgotten_does_not_take_what_others_took() {
    let mut server = Server::start(&[]).await;
    let mut load = Load::start(&server.url(), "test").await;
    for _ in 0..3 {
        sleep_until(Instant::now() + SPAN * 2).await;
        server.kill();
        server.restart().await;
        load.join(&server.url(), "test").await;
        load.all(State::Shared).await;
    }
    assert_within_quota(&load.stop().await);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_redis_that_forgets_is_noticed_though_no_command_failed() {
    let mut server = Server::start(&[]).await;
    let mut load = Load::start(&server.url(), "test").await;
    sleep_until(Instant::now() + SPAN * 2).await;
    let mut client = server.client().await;
    let _: () = ::redis::cmd("FLUSHALL")
        .query_async(&mut client)
        .await
        .unwrap();
    load.all(State::Rejoining).await;
    server.kill();
    server.restart().await;
    load.all(State::Shared).await;
    sleep_until(Instant::now() + SPAN * 2).await;
    assert_within_quota(&load.stop().await);
}

/// To Redis, what it knows is from an hour ahead: as after its clock was set back.
const SET_BACK: &str = "
    for _, key in ipairs(redis.call('KEYS', '*')) do
      if redis.call('TYPE', key).ok == 'zset' then
        for _, name in ipairs(redis.call('ZRANGE', key, 0, -1)) do
          redis.call('ZINCRBY', key, 3600000000, name)
        end
      else
        local name, seen = string.match(redis.call('GET', key), '^(.+)@(%d+)$')
        redis.call('SET', key, string.format('%s@%.0f', name, seen + 3600000000))
      end
    end
";

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_redis_whose_clock_is_set_back_holds_nobody_up_until_then() {
    let server = Server::start(&[]).await;
    let mut load = Load::start(&server.url(), "test").await;
    sleep_until(Instant::now() + SPAN * 2).await;
    let mut client = server.client().await;
    let _: () = ::redis::cmd("EVAL")
        .arg(SET_BACK)
        .arg(0)
        .query_async(&mut client)
        .await
        .unwrap();
    load.all(State::Rejoining).await;
    load.all(State::Shared).await;
    let shared = Instant::now();
    sleep_until(shared + SPAN * 3).await;
    let taken = load.stop().await;
    assert_within_quota(&taken);
    let after = taken.iter().filter(|at| **at > shared).count();
    assert!(after > 2 * usize::try_from(LIMIT).unwrap(), "{after}");
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_redis_that_hangs_counts_as_gone() {
    let server = Server::start(&[]).await;
    let mut load = Load::start(&server.url(), "test").await;
    let records = Records::new(connection(&server.url()).await, "test");
    sleep_until(Instant::now() + SPAN * 2).await;
    server.signal("-STOP");
    load.all(State::Alone).await;
    assert_eq!(records.get(&[0; 32]).await, None);
    sleep_until(Instant::now() + SPAN * 3).await;
    server.signal("-CONT");
    load.all(State::Shared).await;
    sleep_until(Instant::now() + SPAN * 2).await;
    assert_within_quota(&load.stop().await);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_replica_that_starts_without_redis_shares_when_it_is_there() {
    let mut server = Server::start(&[]).await;
    server.kill();
    let windows = windows(&server.url(), "test").await;
    assert_eq!(windows.state(), State::Alone);
    server.restart().await;
    let mut states = windows.states();
    let shared = states.wait_for(|state| *state == State::Shared);
    timeout(PATIENCE, shared).await.unwrap().unwrap();
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn the_password_is_used_and_never_shown() {
    const SECRET: &str = "hush-hush";
    let server = Server::start(&["--requirepass", SECRET]).await;
    let url = format!("redis://:{SECRET}@127.0.0.1:{}", server.port);
    let windows = windows(&url, "test").await;
    let reserved = timeout(PATIENCE, windows.reserve()).await.unwrap();
    assert_eq!(reserved.state, State::Shared);
    let parsed: Url = url.parse().unwrap();
    let wrong = format!("redis://:{SECRET}-not@127.0.0.1:{}", server.port);
    let wrong = connection(&wrong).await;
    let bad = format!("redis://:{SECRET}@").parse::<Url>().unwrap_err();
    let shown = format!("{windows:?} {parsed:?} {parsed} {wrong:?} {bad} {bad:?}");
    assert!(!shown.contains(SECRET), "{shown}");
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn records_are_kept_for_their_time_under_a_digest() {
    let server = Server::start(&[]).await;
    let records = Records::new(connection(&server.url()).await, "test");
    records.put(&[7; 32], b"one", SPAN * 60).await;
    records.put(&[7; 32], b"another", SPAN * 60).await;
    assert_eq!(records.get(&[7; 32]).await.as_deref(), Some(&b"one"[..]));
    records.put(&[8; 32], b"dead", Duration::ZERO).await;
    assert_eq!(records.get(&[8; 32]).await, None);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_record_takes_the_place_of_the_one_that_is_known_and_of_no_other() {
    let server = Server::start(&[]).await;
    let records = Records::new(connection(&server.url()).await, "test");
    let kept = async || records.get(&[7; 32]).await;
    assert!(records.put(&[7; 32], b"one", SPAN * 60).await);
    let replaced = records.replace(&[7; 32], b"other", b"two", SPAN * 60);
    assert!(!replaced.await);
    assert_eq!(kept().await.as_deref(), Some(&b"one"[..]));
    let replaced = records.replace(&[7; 32], b"one", b"two", SPAN * 60);
    assert!(replaced.await);
    assert_eq!(kept().await.as_deref(), Some(&b"two"[..]));
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_session_takes_the_place_of_what_has_none() {
    let server = Server::start(&[]).await;
    let records = Records::new(connection(&server.url()).await, "test");
    let key = Key::of(&Token::random());
    let first_sent = SystemTime::UNIX_EPOCH + SPAN * 1_800_000_000;
    let lost = Outcome::Unknown { first_sent };
    let made = Outcome::Made(Session {
        id: SessionId::parse("6f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f9".to_owned()).unwrap(),
        region: Region::parse("us-east-1").unwrap(),
        create_time: first_sent,
        request_id: None,
    });
    for (outcome, over) in [(lost, Over::Nothing), (made, Over::Unknown)] {
        let record = Record {
            fingerprint: Fingerprint::from_bytes([7; Fingerprint::LENGTH]),
            outcome,
            forget_time: first_sent + SPAN * 180,
        };
        Store::put(&records, key, record.clone(), SPAN * 60, over);
        poll(async || Store::get(&records, &key).await.as_ref() == Some(&record)).await;
    }
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn who_asks_a_redis_that_has_just_hung_does_not_wait_until_it_may_be_back() {
    let server = Server::start(&[]).await;
    let records = Records::new(connection(&server.url()).await, "test");
    records.put(&[7; 32], b"one", SPAN * 60).await;
    server.signal("-STOP");
    poll(async || {
        assert_eq!(records.get(&[7; 32]).await, None);
        records.get(&[7; 32]).now_or_never() == Some(None)
    })
    .await;
    server.signal("-CONT");
    poll(async || records.get(&[7; 32]).await.as_deref() == Some(b"one")).await;
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn every_key_has_the_prefix_and_expires() {
    let server = Server::start(&[]).await;
    let windows = windows(&server.url(), "test").await;
    timeout(PATIENCE, windows.reserve()).await.unwrap();
    let records = Records::new(connection(&server.url()).await, "test");
    records.put(&[7; 32], b"one", SPAN * 60).await;
    let mut client = server.client().await;
    let keys: Vec<String> = client.keys("*").await.unwrap();
    assert_eq!(keys.len(), 4, "{keys:?}");
    for key in keys {
        assert!(
            key.starts_with("test:") || key.starts_with("{test:"),
            "{key}"
        );
        let left: i64 = client.pttl(&key).await.unwrap();
        assert!(left > 0, "{key}");
    }
}
