//! What replicas learn from each other through a store.

use std::collections::HashMap;

use super::uncertain::lost_first;
use super::*;

/// A store that all replicas of a test share.
#[derive(Debug, Default)]
struct Shelf(Mutex<HashMap<[u8; 32], (Record, Duration)>>);

impl Shelf {
    fn replica(self: &Arc<Self>, script: Script) -> Scene {
        Scene::with(script, 1000, Some(Arc::clone(self) as Arc<dyn Store>))
    }
}

impl Store for Shelf {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Option<Record>> {
        let found = self.0.lock().unwrap().get(key.as_bytes()).cloned();
        Box::pin(async move { found.map(|(record, _)| record) })
    }

    fn put(&self, key: Key, record: Record, ttl: Duration, over: Over) {
        let mut kept = self.0.lock().unwrap();
        let present = kept.get(key.as_bytes()).map(|(record, _)| &record.outcome);
        let fits = match present {
            None => true,
            Some(Outcome::Made(_)) => false,
            Some(Outcome::Unknown { .. }) => over == Over::Unknown,
        };
        if fits {
            kept.insert(*key.as_bytes(), (record, ttl));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_one_replica_made_another_returns() {
    let shelf = Arc::new(Shelf::default());
    let (here, there) = (shelf.replica(made), shelf.replica(made));
    let first = here.call(intent("t")).await.unwrap();
    let second = there.call(intent("t")).await.unwrap();
    assert_eq!((first.session, true), (second.session, second.replayed));
    assert_eq!((here.calls(), there.calls()), (1, 0));
    let refused = there.call(with_key(intent("t"))).await.unwrap_err();
    assert_eq!(refused.cause, reused(&["kms_key_id"]));
    let ttls: Vec<_> = shelf
        .0
        .lock()
        .unwrap()
        .values()
        .map(|(_, ttl)| *ttl)
        .collect();
    assert_eq!(ttls, [SESSION_LIFETIME]);
}

#[tokio::test(start_paused = true)]
async fn what_was_lost_on_one_replica_binds_another_to_its_parameters_and_time() {
    let shelf = Arc::new(Shelf::default());
    let (here, there) = (shelf.replica(lost_first), shelf.replica(made));
    let sent = clock();
    here.call(intent("t")).await.unwrap_err();
    advance(Duration::from_secs(9)).await;
    let other = there.call(with_key(intent("t"))).await.unwrap_err();
    assert_eq!(other.cause, reused(&["kms_key_id"]));
    let same = there.call(intent("t")).await.unwrap();
    assert_eq!((same.session.create_time, same.replayed), (sent, false));
    // What became of it is known on the first replica too.
    let repeat = here.call(intent("t")).await.unwrap();
    assert_eq!((repeat.session, repeat.replayed), (same.session, true));
    assert_eq!((here.calls(), there.calls()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_one_replica_knows_counts_more_than_one_that_another_lost() {
    let shelf = Arc::new(Shelf::default());
    let [here, there, elsewhere] = [made; 3].map(|script| shelf.replica(script));
    let mut left = Box::pin(here.call(intent("t")));
    let asked = poll!(&mut left);
    assert!(asked.is_pending());
    let answered = there.call(intent("t"));
    let hung_up = async {
        sleep(CALL / 2).await;
        drop(left);
    };
    let (answered, ()) = tokio::join!(answered, hung_up);
    let repeat = elsewhere.call(intent("t")).await.unwrap();
    assert_eq!(
        (repeat.session, repeat.replayed),
        (answered.unwrap().session, true)
    );
    assert_eq!((here.calls(), there.calls(), elsewhere.calls()), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn nor_does_one_that_took_up_the_same_lost_call_and_lost_it_again_count_more() {
    let shelf = Arc::new(Shelf::default());
    let first = shelf.replica(lost_first);
    let [here, there, elsewhere] = [made; 3].map(|script| shelf.replica(script));
    first.call(intent("t")).await.unwrap_err();
    let mut left = Box::pin(here.call(intent("t")));
    assert!(poll!(&mut left).is_pending());
    let answered = there.call(intent("t")).await.unwrap();
    drop(left);
    let repeat = elsewhere.call(intent("t")).await.unwrap();
    assert_eq!((repeat.session, repeat.replayed), (answered.session, true));
    assert_eq!(elsewhere.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn of_two_replicas_that_lost_the_same_the_earlier_time_counts() {
    let shelf = Arc::new(Shelf::default());
    let (here, there) = (shelf.replica(lost_first), shelf.replica(lost_first));
    let sent = clock();
    let later = async {
        sleep(CALL / 2).await;
        there.call(intent("t")).await
    };
    let (first, second) = tokio::join!(here.call(intent("t")), later);
    assert!(first.is_err() && second.is_err());
    let repeat = there.call(intent("t")).await.unwrap();
    assert_eq!(repeat.session.create_time, sent);
}
