//! Quotas hold to the call, per region, and answer what AWS answers beyond them.

use std::time::Duration;

use rekognition_emulator::{Clock, Emulator, Quota};

use crate::support::{CREATE, GET, call, refusal, sdk};

const EXCEEDED: &str = "ProvisionedThroughputExceededException";
const UNKNOWN_SESSION: &str = r#"{"SessionId":"00000000-0000-4000-8000-000000000000"}"#;

async fn limited(quota: Quota) -> (Emulator, Clock) {
    let clock = Clock::frozen();
    let builder = Emulator::builder().verify_signatures(false).quota(quota);
    let emulator = builder.clock(clock.clone()).start().await.unwrap();
    (emulator, clock)
}

async fn creates(emulator: &Emulator, calls: usize) -> usize {
    let mut made = 0;
    for _ in 0..calls {
        let answer = call(emulator, CREATE, "{}").await;
        match answer.status {
            200 => made += 1,
            _ => assert_eq!(
                (answer.status, answer.error_type().as_str()),
                (400, EXCEEDED)
            ),
        }
    }
    made
}

#[tokio::test]
async fn creates_beyond_the_rate_are_refused_until_the_second_is_over() {
    let quota = Quota {
        creates_per_second: Some(3),
        ..Quota::UNLIMITED
    };
    let (emulator, clock) = limited(quota).await;
    assert_eq!(creates(&emulator, 5).await, 3);
    clock.advance(Duration::from_millis(999));
    assert_eq!(creates(&emulator, 1).await, 0);
    clock.advance(Duration::from_millis(1));
    assert_eq!(creates(&emulator, 5).await, 3);
    assert_eq!(emulator.journal().throttled, 5);
}

#[tokio::test]
async fn gets_have_a_bucket_of_their_own() {
    let quota = Quota {
        creates_per_second: Some(1),
        gets_per_second: Some(1),
        concurrent_sessions: None,
    };
    let (emulator, _) = limited(quota).await;
    assert_eq!(creates(&emulator, 2).await, 1);
    let first = call(&emulator, GET, UNKNOWN_SESSION).await;
    assert_eq!(first.error_type(), "SessionNotFoundException");
    assert_eq!(
        call(&emulator, GET, UNKNOWN_SESSION).await.error_type(),
        EXCEEDED
    );
}

#[tokio::test]
async fn a_session_counts_as_concurrent_for_its_expected_length() {
    let clock = Clock::frozen();
    let quota = Quota {
        concurrent_sessions: Some(2),
        ..Quota::UNLIMITED
    };
    let builder = Emulator::builder().verify_signatures(false).quota(quota);
    let builder = builder
        .session_length(Duration::from_secs(4))
        .clock(clock.clone());
    let emulator = builder.start().await.unwrap();
    assert_eq!(creates(&emulator, 3).await, 2);
    clock.advance(Duration::from_millis(3999));
    assert_eq!(creates(&emulator, 1).await, 0);
    clock.advance(Duration::from_millis(1));
    assert_eq!(creates(&emulator, 3).await, 2);
}

#[tokio::test]
async fn a_replayed_session_takes_no_place() {
    let quota = Quota {
        concurrent_sessions: Some(1),
        ..Quota::UNLIMITED
    };
    let (emulator, _) = limited(quota).await;
    for _ in 0..3 {
        let answer = call(&emulator, CREATE, r#"{"ClientRequestToken":"t"}"#).await;
        assert_eq!(answer.status, 200);
    }
    assert_eq!(creates(&emulator, 1).await, 0);
}

#[tokio::test]
async fn the_default_is_that_of_the_region() {
    let emulator = Emulator::builder()
        .clock(Clock::frozen())
        .start()
        .await
        .unwrap();
    for (region, allowed) in [("us-east-1", 25), ("eu-west-1", 5)] {
        let client = sdk(&emulator, region);
        for _ in 0..allowed {
            client.create_face_liveness_session().send().await.unwrap();
        }
        let refused = refusal(client.create_face_liveness_session().send().await);
        assert_eq!(refused, (Some(EXCEEDED.into()), Some(400)), "{region}");
    }
}

#[tokio::test]
async fn one_region_can_have_its_own_quota() {
    let builder = Emulator::builder()
        .clock(Clock::frozen())
        .quota(Quota::UNLIMITED);
    let none = Quota {
        creates_per_second: Some(0),
        ..Quota::UNLIMITED
    };
    let emulator = builder
        .region_quota("us-west-2", none)
        .start()
        .await
        .unwrap();
    let elsewhere = sdk(&emulator, "us-east-1")
        .create_face_liveness_session()
        .send();
    assert_eq!(refusal(elsewhere.await), (None, None));
    let refused = sdk(&emulator, "us-west-2")
        .create_face_liveness_session()
        .send();
    assert_eq!(refusal(refused.await).0.as_deref(), Some(EXCEEDED));
}
