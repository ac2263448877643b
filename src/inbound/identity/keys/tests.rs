//! When keys are read, and how long they count.

use super::source::set;
use super::*;
use tempfile::NamedTempFile;

const MINUTE: Duration = Duration::from_secs(60);

fn knows(keys: &Keys, id: &str) -> bool {
    matches!(keys.find(Some(id)), Lookup::Found(_))
}

fn write(file: &NamedTempFile, text: &str) {
    std::fs::write(file.path(), text).unwrap();
}

fn settings(file: &NamedTempFile) -> Settings {
    Settings {
        source: Source::File(file.path().to_owned()),
        refresh_interval: 5 * MINUTE,
        max_stale: 55 * MINUTE,
    }
}

/// The keys in a file with these ids, which are read when they should be.
async fn followed(ids: &[&str]) -> (NamedTempFile, Arc<Keys>) {
    let file = NamedTempFile::new().unwrap();
    write(&file, &set(ids));
    let keys = Arc::new(Keys::new(settings(&file), None));
    assert!(matches!(keys.find(Some("a")), Lookup::NoKeys));
    tokio::spawn(Arc::clone(&keys).follow());
    keys.known().await;
    (file, keys)
}

/// Waits until the keys were read, or not, so many times more.
async fn read(keys: &Keys, times: usize) {
    let mut latest = keys.latest.subscribe();
    for _ in 0..times {
        latest.changed().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_id_has_the_keys_read_again_but_not_often() {
    let (file, keys) = followed(&["a"]).await;
    assert!(knows(&keys, "a") && !knows(&keys, "b"));
    write(&file, &set(&["b"]));
    keys.refetched().await.unwrap();
    assert!(!knows(&keys, "b"), "it was read a moment ago");
    tokio::time::advance(REFETCH_PAUSE).await;
    let both = tokio::join!(keys.refetched(), keys.refetched());
    assert_eq!(both, (Ok(()), Ok(())));
    assert!(knows(&keys, "b") && !knows(&keys, "a"));
    write(&file, &set(&["a"]));
    keys.refetched().await.unwrap();
    assert!(!knows(&keys, "a"), "nor is it again at once");
}

#[tokio::test(start_paused = true)]
async fn however_many_ids_are_made_up_few_wait_and_one_reading_serves_all() {
    let (_file, keys) = followed(&["a"]).await;
    tokio::time::advance(REFETCH_PAUSE).await;
    let readings = keys.latest.subscribe();
    let calls = (0..MOST_WAITING + 100).map(|_| keys.refetched());
    let answers = futures_util::future::join_all(calls).await;
    let of = |wanted| answers.iter().filter(|answer| **answer == wanted).count();
    assert_eq!((of(Ok(())), of(Err(Busy))), (MOST_WAITING, 100));
    assert!(readings.has_changed().unwrap());
    assert_eq!(keys.lock().began, Some(Instant::now()));
    // The next ones wait for nothing.
    let began = keys.lock().began;
    for _ in 0..1000 {
        keys.refetched().await.unwrap();
    }
    assert_eq!(keys.lock().began, began);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_key_set_keeps_the_old_one_and_is_tried_again() {
    let (file, keys) = followed(&["a"]).await;
    write(&file, "{}");
    tokio::time::advance(REFETCH_PAUSE).await;
    keys.refetched().await.unwrap();
    assert!(knows(&keys, "a"));
    write(&file, &set(&["b"]));
    read(&keys, 1).await;
    assert!(knows(&keys, "b"));
}

#[tokio::test(start_paused = true)]
async fn keys_that_cannot_be_read_again_count_for_a_while_only() {
    let (file, keys) = followed(&["a"]).await;
    let began = Instant::now();
    drop(file);
    while began.elapsed() < 59 * MINUTE {
        read(&keys, 1).await;
        assert!(knows(&keys, "a"), "after {:?}", began.elapsed());
    }
    tokio::time::advance(2 * MINUTE).await;
    assert!(!keys.are_known());
    assert!(matches!(keys.find(Some("a")), Lookup::NoKeys));
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_withdraws_its_only_key_has_none() {
    let (file, keys) = followed(&["a"]).await;
    write(&file, r#"{"keys":[]}"#);
    keys.read_again();
    read(&keys, 1).await;
    assert!(keys.are_known() && !knows(&keys, "a"));
}

#[tokio::test(start_paused = true)]
async fn other_settings_begin_with_the_keys_of_the_same_place() {
    let (file, keys) = followed(&["a"]).await;
    let often = Settings {
        refresh_interval: MINUTE,
        ..settings(&file)
    };
    assert!(knows(&Keys::new(often, Some(&keys)), "a"));
    let elsewhere = NamedTempFile::new().unwrap();
    assert!(!Keys::new(settings(&elsewhere), Some(&keys)).are_known());
}
