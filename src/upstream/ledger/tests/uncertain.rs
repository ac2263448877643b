//! A call that ended without an answer may have made its session.

use super::*;

/// The first answer is lost.
pub(super) fn lost_first(n: usize, request: Request) -> BoxFuture<'static, Result<Session, Error>> {
    if n == 0 {
        lost(request)
    } else {
        made(n, request)
    }
}

/// The answer is lost.
fn lost(request: Request) -> BoxFuture<'static, Result<Session, Error>> {
    Box::pin(async move {
        let _sending = request.first_sent.sending(clock());
        sleep(CALL).await;
        Err(Error::new(Cause::Unavailable, None))
    })
}

/// So many seconds.
fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[tokio::test(start_paused = true)]
async fn after_a_lost_answer_other_parameters_are_refused_and_named() {
    let scene = Scene::new(lost_first);
    scene.call(intent("t")).await.unwrap_err();
    let other = scene.call(with_key(intent("t"))).await.unwrap_err();
    assert_eq!(other.cause, reused(&["kms_key_id"]));
    assert_eq!(scene.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn after_a_lost_answer_a_repeat_asks_aws_and_dates_the_session_by_the_first_attempt() {
    let scene = Scene::new(lost_first);
    let sent = clock();
    scene.call(intent("t")).await.unwrap_err();
    advance(Duration::from_millis(8_500)).await;
    let second = scene.call(intent("t")).await.unwrap();
    assert_eq!((second.session.create_time, second.replayed), (sent, false));
    let third = scene.call(intent("t")).await.unwrap();
    assert_eq!((third.session, third.replayed), (second.session, true));
    let tokens = scene.tokens.lock().unwrap();
    assert_eq!(tokens.len(), 2);
    assert_eq!(tokens[0], tokens[1]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_all_have_left_counts_as_lost() {
    let scene = Scene::new(made);
    let sent = clock();
    let mut waiter = scene.call(intent("t"));
    assert!(poll!(&mut waiter).is_pending());
    drop(waiter);
    advance(seconds(1)).await;
    let other = scene.call(with_key(intent("t"))).await.unwrap_err();
    assert_eq!(other.cause, reused(&["kms_key_id"]));
    let same = scene.call(intent("t")).await.unwrap();
    assert_eq!(same.session.create_time, sent);
}

#[tokio::test(start_paused = true)]
async fn a_call_past_its_deadline_counts_as_lost_also_for_who_waits_on() {
    let scene = Scene::new(made);
    let sent = clock();
    let leader = scene.call(intent_within("t", CALL / 2));
    let (leader, follower) = tokio::join!(leader, scene.call(intent("t")));
    assert_eq!(leader.unwrap_err().cause, Cause::Deadline);
    assert_eq!(follower.unwrap().session.create_time, sent);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_left_before_aws_was_asked_binds_nobody() {
    let scene = Scene::new(|n, request| match n {
        0 => Box::pin(pending()),
        _ => made(n, request),
    });
    let mut queued = scene.call(intent("t"));
    assert!(poll!(&mut queued).is_pending());
    drop(queued);
    advance(seconds(9)).await;
    let asked = clock();
    let other = scene.call(with_key(intent("t"))).await.unwrap();
    assert_eq!(other.session.create_time, asked);
}

#[tokio::test(start_paused = true)]
async fn what_certainly_made_no_session_binds_nobody_and_dates_nothing() {
    let scene = Scene::new(|n, request| match n {
        0 => refused(request, Cause::Throttled),
        _ => made(n, request),
    });
    scene.call(intent("t")).await.unwrap_err();
    advance(seconds(9)).await;
    let asked = clock();
    let other = scene.call(with_key(intent("t"))).await.unwrap();
    assert_eq!(other.session.create_time, asked);
}

#[tokio::test(start_paused = true)]
async fn within_one_call_too_the_first_attempt_that_may_have_made_it_dates_the_session() {
    // A throttle, a lost answer, a throttle, then the session: as retries go.
    let scene = Scene::new(|n, request| {
        Box::pin(async move {
            refused(request.clone(), Cause::Throttled)
                .await
                .unwrap_err();
            sleep(seconds(1)).await;
            lost(request.clone()).await.unwrap_err();
            refused(request.clone(), Cause::Throttled)
                .await
                .unwrap_err();
            sleep(seconds(1)).await;
            made(n, request).await
        })
    });
    for token in [Some("t"), None] {
        let mut intent = intent("t");
        intent.session.token = token.map(|token| Token::parse(token.to_owned()).unwrap());
        let answer = scene.call(intent).await.unwrap();
        let age = clock().duration_since(answer.session.create_time).unwrap();
        assert_eq!(age, seconds(1) + CALL * 2);
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_lost_session_has_too_little_left_aws_is_not_asked() {
    let scene = Scene::new(lost_first);
    scene.call(intent("t")).await.unwrap_err();
    advance(seconds(151) - CALL).await;
    let error = scene.call(intent("t")).await.unwrap_err();
    let left = seconds(29);
    assert_eq!(error.cause, Cause::SessionExpiring { left });
    assert_eq!(scene.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_lost_is_forgotten_when_no_session_of_it_can_be_alive() {
    let scene = Scene::new(|n, request| match n {
        0 | 1 => lost(request),
        2 => refused(request, Cause::Throttled),
        _ => made(n, request),
    });
    scene.call(intent("t")).await.unwrap_err();
    advance(seconds(100)).await;
    // May have made one as well; what was refused after it has not.
    scene.call(intent("t")).await.unwrap_err();
    let last = Instant::now();
    scene.call(intent("t")).await.unwrap_err();
    advance(seconds(179)).await;
    let error = scene.call(intent("t")).await.unwrap_err();
    let left = Duration::ZERO;
    assert_eq!(error.cause, Cause::SessionExpiring { left });
    advance(seconds(1)).await;
    assert_eq!(last.elapsed(), SESSION_LIFETIME);
    let asked = clock();
    let next = scene.call(intent("t")).await.unwrap();
    assert_eq!(next.session.create_time, asked);
}

#[tokio::test(start_paused = true)]
async fn what_was_lost_is_bounded_as_what_was_made() {
    let scene = Scene::with(|_, request| lost(request), 2, None);
    for token in ["a", "b", "c"] {
        scene.call(intent(token)).await.unwrap_err();
    }
    for (token, known) in [("b", true), ("c", true), ("a", false)] {
        let error = scene.call(with_key(intent(token))).await.unwrap_err();
        let refused = error.cause == reused(&["kms_key_id"]);
        assert_eq!(refused, known, "{token}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_grew_too_old_while_its_repeat_waited_is_not_handed_out() {
    let scene = Scene::new(|n, request| match n {
        0 => lost(request),
        _ => Box::pin(async move {
            sleep(seconds(2)).await;
            made(n, request).await
        }),
    });
    scene.call(intent("t")).await.unwrap_err();
    advance(seconds(149) - CALL).await;
    let error = scene.call(intent("t")).await.unwrap_err();
    let left = seconds(29) - CALL;
    assert_eq!(error.cause, Cause::SessionExpiring { left });
    assert_eq!(scene.calls(), 2);
}
