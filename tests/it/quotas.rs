//! The account's quota changes while the gateway runs, and what was taken of it stays
//! counted.

use face_liveness_client::v1::CreateSessionRequest;
use face_liveness_client::v1::face_liveness_service_client::FaceLivenessServiceClient;
use rekognition_emulator::{Emulator, Quota};
use tonic::transport::Endpoint;
use tonic_types::StatusExt as _;

use crate::http::get;
use crate::metrics::Scrape;
use crate::program::Program;
use crate::reload::Scene;
use crate::support::{Running, emulator, file};

/// A quota of so many sessions in a time longer than any test.
fn sessions(count: &str) -> String {
    format!(
        "[quota]\ncreates_per_second = 'off'\nconcurrent_sessions = {count}\nsession_length = '1h'\n"
    )
}

/// Whether the quota lets one more session be made.
async fn has_room(gateway: &Running) -> bool {
    match gateway.create(CreateSessionRequest::default()).await {
        Ok(_) => true,
        Err(status) => {
            let reason = status.get_details_error_info().unwrap().reason;
            assert_eq!(reason, "ACCOUNT_QUOTA");
            false
        }
    }
}

#[tokio::test]
async fn quotas_change_without_a_restart_and_what_was_taken_stays_counted() {
    let emulator = emulator().await;
    let scene = Scene::start(&emulator, &sessions("1")).await;
    let room = async || has_room(&scene.gateway).await;
    assert_eq!([room().await, room().await], [true, false]);

    let (applied, waiting) = scene.reload(&sessions("3")).await;
    assert_eq!(applied, ["quota.concurrent_sessions"]);
    assert!(waiting.is_empty(), "{waiting:?}");
    // Half of what is left is there at once; the rest is spread over the hour.
    assert_eq!([room().await, room().await], [true, false]);

    let longer = sessions("3").replace("1h", "2h");
    assert_eq!(scene.reload(&longer).await.0, ["quota.session_length"]);
    assert!(!room().await);
    scene.reload(&sessions("'off'")).await;
    for _ in 0..9 {
        assert!(room().await);
    }
    scene.reload(&sessions("11")).await;
    assert!(!room().await, "those made without a limit count");
    scene.reload(&sessions("100")).await;
    assert!(room().await);

    let scrape = Scrape::of(&scene.gateway).await;
    let rate = |state: &str| {
        let name = format!("face_liveness_quota_rate_{state}_per_second");
        scrape.value(&name, &[r#"bound="sessions""#])
    };
    assert_eq!(
        (rate("configured"), rate("effective")),
        (100.0 / 3600.0, 100.0 / 3600.0)
    );
    let (applied, _) = scene
        .reload(&format!("{}queue = 7\n", sessions("100")))
        .await;
    assert_eq!(applied, ["quota.queue"]);
    let scrape = Scrape::of(&scene.gateway).await;
    assert_eq!(scrape.value("face_liveness_quota_queue_limit", &[]), 7.0);
}

#[tokio::test]
async fn a_regions_limits_change_and_regions_that_come_or_go_are_named_and_wait() {
    let emulator = emulator().await;
    let url = emulator.endpoint_url();
    let entry = |name: &str, more: &str| {
        format!("[[regions]]\nname = '{name}'\nendpoint_url = '{url}'\n{more}\n")
    };
    let quota = "[quota]\ncreates_per_second = 'off'\nsession_length = '1h'\n";
    let one = |more: &str| format!("{quota}{}", entry("us-east-1", more));
    let limit = "concurrent_sessions = 1";
    let scene = Scene::beginning(String::new(), &one(limit)).await;
    let room = async || has_room(&scene.gateway).await;
    assert_eq!([room().await, room().await], [true, false]);
    let (applied, waiting) = scene.reload(&one("concurrent_sessions = 9")).await;
    assert_eq!(applied, ["regions.us-east-1.concurrent_sessions"]);
    assert!(waiting.is_empty() && room().await);
    let shown = get(scene.gateway.admin, "/config").await.body;
    assert!(shown.contains("concurrent_sessions = 9"), "{shown}");

    let two = format!(
        "{}{}",
        one("concurrent_sessions = 2"),
        entry("eu-west-1", limit)
    );
    let (applied, waiting) = scene.reload(&two).await;
    assert_eq!(applied, ["regions.us-east-1.concurrent_sessions"]);
    assert_eq!(waiting, ["regions", "regions.eu-west-1"]);
    assert!(!room().await);
    let shown = get(scene.gateway.admin, "/config").await.body;
    assert!(
        !shown.contains("eu-west-1") && shown.contains("a new value waits for a restart"),
        "{shown}"
    );
}

#[tokio::test]
async fn sighup_changes_the_quota_of_the_program() {
    let emulator = Emulator::builder()
        .quota(Quota::UNLIMITED)
        .verify_signatures(false)
        .start()
        .await
        .unwrap();
    let prelude = format!(
        "region = 'us-east-1'\nendpoint_url = '{}'\n",
        emulator.endpoint_url()
    );
    let file = file(&format!("{prelude}{}", sessions("1")));
    let path = file.path().display().to_string();
    let started = tokio::task::spawn_blocking(move || Program::serve(&["--config", &path]));
    let mut program = started.await.unwrap();
    let url = format!("http://{}", program.address());
    let endpoint = Endpoint::from_shared(url).unwrap();
    let mut client = FaceLivenessServiceClient::new(endpoint.connect().await.unwrap());
    let mut create = async || {
        let made = client.create_session(CreateSessionRequest::default()).await;
        made.is_ok()
    };
    assert_eq!([create().await, create().await], [true, false]);
    std::fs::write(file.path(), format!("{prelude}{}", sessions("9"))).unwrap();
    program.signal("HUP");
    let told = "new and in force: quota.concurrent_sessions";
    let until = tokio::task::spawn_blocking(move || {
        program.until(told);
        program
    });
    let _program = until.await.unwrap();
    assert!(create().await);
}
