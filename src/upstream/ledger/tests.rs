//! The ledger's promises, over a scripted upstream and with time paused.

mod replicas;
mod uncertain;

use std::future::pending;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::{BoxFuture, join_all};
use futures_util::poll;
use tokio::sync::oneshot;
use tokio::time::{Instant, advance, sleep};

use super::*;
use crate::caller::Caller;
use crate::session::KmsKeyId;
use crate::upstream::testing::{session, session_request};

/// The time at AWS of one call.
const CALL: Duration = Duration::from_millis(100);

thread_local! {
    /// Each test has a thread, and so a clock, of its own.
    static START: Instant = Instant::now();
}

/// A wall clock that follows Tokio's.
fn clock() -> SystemTime {
    let elapsed = START.with(Instant::elapsed);
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000) + elapsed
}

/// How a scripted upstream answers its n-th call, from 0.
type Script = fn(usize, Request) -> BoxFuture<'static, Result<Session, Error>>;

/// Makes a session, unless the deadline comes first.
fn made(_: usize, request: Request) -> BoxFuture<'static, Result<Session, Error>> {
    Box::pin(async move {
        let sending = request.first_sent.sending(clock());
        let answer = timeout_at(request.deadline, sleep(CALL)).await;
        answer.map_err(|_elapsed| Error::new(Cause::Deadline, None))?;
        Ok(Session {
            create_time: sending.first(),
            ..session()
        })
    })
}

/// AWS makes no session, and says so.
fn refused(request: Request, cause: Cause) -> BoxFuture<'static, Result<Session, Error>> {
    Box::pin(async move {
        request.first_sent.sending(clock()).withdraw();
        Err(Error::new(cause, None))
    })
}

/// A ledger over a scripted upstream.
struct Scene {
    layer: LedgerLayer,
    script: Script,
    calls: Arc<AtomicUsize>,
    tokens: Arc<Mutex<Vec<Token>>>,
}

impl Scene {
    fn new(script: Script) -> Self {
        Self::with(script, 1000, None)
    }

    fn with(script: Script, entries: usize, store: Option<Arc<dyn Store>>) -> Self {
        let settings = Settings {
            entries,
            min_remaining: Duration::from_secs(30),
        };
        Self {
            layer: LedgerLayer::with_clock(settings, store, clock),
            script,
            calls: Arc::default(),
            tokens: Arc::default(),
        }
    }

    fn call(&self, intent: Intent) -> BoxFuture<'static, Result<Answer, Error>> {
        let (script, calls, tokens) = (self.script, self.calls.clone(), self.tokens.clone());
        let upstream = tower::service_fn(move |request: Request| {
            assert_eq!(
                request.session.token, None,
                "only the upstream token goes on"
            );
            tokens.lock().unwrap().push(request.token.clone());
            script(calls.fetch_add(1, Ordering::Relaxed), request)
        });
        Box::pin(self.layer.layer(upstream).oneshot(intent))
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    fn flights(&self) -> usize {
        self.layer.ledger.book.flights()
    }
}

fn intent(token: &str) -> Intent {
    intent_within(token, Duration::from_secs(10))
}

fn intent_within(token: &str, left: Duration) -> Intent {
    let mut session = session_request();
    session.token = Some(Token::parse(token.to_owned()).unwrap());
    Intent {
        session,
        caller: Caller::Anonymous,
        weight: NonZeroU32::MIN,
        deadline: Instant::now() + left,
    }
}

/// The same with another key.
fn with_key(mut intent: Intent) -> Intent {
    intent.session.kms_key_id = Some(KmsKeyId::parse("alias/other".to_owned()).unwrap());
    intent
}

fn reused(fields: &[&'static str]) -> Cause {
    Cause::TokenReused {
        fields: fields.to_vec(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_simultaneous_calls_with_one_token_share_one_upstream_call() {
    let scene = Scene::new(made);
    let answers = join_all((0..100).map(|_| scene.call(intent("t")))).await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert!(
        answers
            .iter()
            .all(|answer| answer.session == answers[0].session)
    );
    let firsts = answers.iter().filter(|answer| !answer.replayed).count();
    assert_eq!((scene.calls(), firsts, scene.flights()), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_repeat_gets_the_same_session_with_its_true_times_at_no_cost() {
    let scene = Scene::new(made);
    let first = scene.call(intent("t")).await.unwrap();
    advance(Duration::from_secs(100)).await;
    let second = scene.call(intent("t")).await.unwrap();
    assert_eq!((first.replayed, second.replayed), (false, true));
    assert_eq!(first.session, second.session);
    assert_eq!(scene.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn when_the_first_caller_hangs_up_the_others_still_get_their_answer() {
    let scene = Scene::new(made);
    let mut first = scene.call(intent("t"));
    let mut second = scene.call(intent("t"));
    assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
    drop(first);
    assert!(second.await.unwrap().replayed);
    assert_eq!(scene.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn when_the_last_waiter_goes_the_upstream_call_is_dropped() {
    static DROPPED: AtomicUsize = AtomicUsize::new(0);
    struct CountDrop;
    impl Drop for CountDrop {
        fn drop(&mut self) {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }
    let scene = Scene::new(|_, _| {
        Box::pin(async {
            let _count = CountDrop;
            pending().await
        })
    });
    let mut waiters: Vec<_> = (0..3).map(|_| scene.call(intent("t"))).collect();
    for waiter in &mut waiters {
        assert!(poll!(waiter).is_pending());
    }
    waiters.truncate(1);
    assert_eq!((DROPPED.load(Ordering::Relaxed), scene.flights()), (0, 1));
    waiters.clear();
    assert_eq!((DROPPED.load(Ordering::Relaxed), scene.flights()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn other_parameters_are_refused_and_named_while_in_flight_and_afterwards() {
    let scene = Scene::new(made);
    let mut first = scene.call(intent("t"));
    assert!(poll!(&mut first).is_pending());
    let during = scene.call(with_key(intent("t"))).await.unwrap_err();
    first.await.unwrap();
    let after = scene.call(with_key(intent("t"))).await.unwrap_err();
    assert_eq!(
        [during.cause, after.cause],
        [(); 2].map(|()| reused(&["kms_key_id"]))
    );
    assert_eq!(scene.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_session_with_too_little_left_is_refused_and_an_expired_one_is_made_anew() {
    let scene = Scene::new(made);
    let first = scene.call(intent("t")).await.unwrap();
    // Its life counts from when it was asked for.
    advance(Duration::from_secs(151) - CALL).await;
    let error = scene.call(intent("t")).await.unwrap_err();
    let left = Duration::from_secs(29);
    assert_eq!(error.cause, Cause::SessionExpiring { left });
    // It may have been made as late as it was answered.
    advance(left + CALL).await;
    let next = scene.call(intent("t")).await.unwrap();
    assert_ne!(first.session.id, next.session.id);
    assert_eq!((next.replayed, scene.calls()), (false, 2));
}

#[tokio::test(start_paused = true)]
async fn beyond_its_bound_the_ledger_forgets_the_oldest_first() {
    let scene = Scene::with(made, 2, None);
    for token in ["a", "b", "c"] {
        scene.call(intent(token)).await.unwrap();
    }
    for (token, replayed) in [("b", true), ("c", true), ("a", false)] {
        let answer = scene.call(intent(token)).await.unwrap();
        assert_eq!(answer.replayed, replayed, "{token}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_flight_is_shared_even_when_nothing_can_be_remembered() {
    let scene = Scene::with(made, 0, None);
    let calls = ["a", "b", "a", "b"].map(|token| scene.call(intent(token)));
    let answers = join_all(calls).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(scene.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failed_flight_leaves_nothing_behind() {
    let scene = Scene::new(|n, request| match n {
        0 => Box::pin(async { Err(Error::new(Cause::Unavailable, None)) }),
        _ => made(n, request),
    });
    let both = join_all([scene.call(intent("t")), scene.call(intent("t"))]).await;
    // The second came when the first had already failed.
    assert!(both[0].is_err() && both[1].is_ok());
    assert_eq!((scene.calls(), scene.flights()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn other_parameters_are_welcome_after_a_refusal() {
    let scene = Scene::new(|n, request| match n {
        0 => refused(request, Cause::InvalidParameter),
        _ => made(n, request),
    });
    assert!(scene.call(intent("t")).await.is_err());
    assert!(scene.call(with_key(intent("t"))).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_follower_outlives_the_leaders_deadline() {
    let scene = Scene::new(made);
    let leader = scene.call(intent_within("t", CALL / 2));
    let follower = scene.call(intent("t"));
    let (leader, follower) = tokio::join!(leader, follower);
    assert_eq!(leader.unwrap_err().cause, Cause::Deadline);
    assert!(!follower.unwrap().replayed, "it leads the second flight");
    assert_eq!((scene.calls(), scene.flights()), (2, 0));
    let tokens = scene.tokens.lock().unwrap();
    assert_eq!(tokens[0], tokens[1]);
}

#[tokio::test(start_paused = true)]
async fn a_follower_with_no_more_time_than_the_leader_does_not_try_again() {
    let scene = Scene::new(|_, request| {
        Box::pin(async move {
            sleep(CALL).await;
            assert!(Instant::now() < request.deadline);
            Err(Error {
                out_of_time: true,
                ..Error::new(Cause::Quota, None)
            })
        })
    });
    let (leader, follower) = tokio::join!(scene.call(intent("t")), scene.call(intent("t")));
    for answer in [leader, follower] {
        assert_eq!(answer.unwrap_err().cause, Cause::Quota);
    }
    assert_eq!(scene.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_follower_waits_no_longer_than_its_own_deadline() {
    let scene = Scene::new(|_, _| Box::pin(pending()));
    let leader = scene.call(intent("t"));
    let follower = scene.call(intent_within("t", CALL));
    let started = Instant::now();
    tokio::select! {
        _ = leader => panic!("the leader has more time"),
        answer = follower => assert_eq!(answer.unwrap_err().cause, Cause::Deadline),
    }
    assert_eq!(started.elapsed(), CALL);
}

#[tokio::test(start_paused = true)]
async fn calls_without_a_token_share_nothing() {
    let scene = Scene::new(made);
    let calls = (0..3).map(|_| {
        let mut intent = intent("t");
        intent.session.token = None;
        scene.call(intent)
    });
    let answers = join_all(calls).await;
    assert!(answers.into_iter().all(|answer| !answer.unwrap().replayed));
    let tokens = scene.tokens.lock().unwrap();
    assert!(tokens[0] != tokens[1] && tokens[1] != tokens[2] && tokens[0] != tokens[2]);
}

#[tokio::test(start_paused = true)]
async fn one_token_of_two_callers_makes_two_sessions() {
    let scene = Scene::new(made);
    let of = |name: &str| Intent {
        caller: Caller::named(name).unwrap(),
        ..intent("t")
    };
    let (a, b) = tokio::join!(scene.call(of("a")), scene.call(of("b")));
    assert_ne!(a.unwrap().session.id, b.unwrap().session.id);
}

#[test]
fn callers_on_two_workers_share_a_call_even_when_the_first_hangs_up() {
    let block_on = |future: BoxFuture<'static, Answer>| {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().build().unwrap().block_on(future)
    };
    let scene = Scene::new(made);
    let (leads, led) = oneshot::channel();
    let (joins, joined) = oneshot::channel();
    let (ends, ended) = oneshot::channel();
    let (mut first, mut second) = (scene.call(intent("t")), scene.call(intent("t")));
    let leader = std::thread::spawn(move || {
        block_on(Box::pin(async move {
            assert!(poll!(&mut first).is_pending());
            leads.send(()).unwrap();
            joined.await.unwrap();
            drop(first);
            ended.await.unwrap()
        }))
    });
    let answer = block_on(Box::pin(async move {
        led.await.unwrap();
        assert!(poll!(&mut second).is_pending());
        joins.send(()).unwrap();
        second.await.unwrap()
    }));
    ends.send(answer.clone()).unwrap();
    assert!(answer.replayed);
    leader.join().unwrap();
    assert_eq!(scene.calls(), 1);
}
