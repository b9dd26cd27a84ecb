//! The in-memory store: conformance and fault injection.

use std::time::Duration;

use banyan_store::{
    Batch, Compare, Event, Fault, KeyRange, MemoryStore, Outcome, Revision, Store, StoreError, Txn,
    WatchError, read_all,
};
use support::small;

banyan_store::conformance_tests!(support::make);

#[tokio::test]
async fn each_write_raises_the_revision_by_one() {
    let store = MemoryStore::new();
    for revision in 1..=3 {
        let outcome = store.commit(Txn::new().put("k", *b"v")).await.unwrap();
        assert_eq!(outcome, Outcome::Committed(Revision(revision)));
    }
}

#[tokio::test]
async fn pages_are_short_whatever_is_asked() {
    let store = small();
    let txn = (0..20).fold(Txn::new(), |txn, n| txn.put(format!("{n:02}"), *b""));
    store.commit(txn).await.unwrap();
    let snapshot = store.snapshot().await.unwrap();
    let page = snapshot.range(&KeyRange::all(), 1000).await.unwrap();
    assert_eq!((page.entries.len(), page.more), (7, true));
    let all = read_all(&*snapshot, &KeyRange::all()).await.unwrap();
    assert_eq!(all.len(), 20);
}

#[tokio::test]
async fn a_fault_hits_the_named_operation_once() {
    for (fault, done) in [(Fault::Refuse, false), (Fault::LoseAnswer, true)] {
        let store = MemoryStore::new();
        store.inject(2, fault);
        store.snapshot().await.unwrap();
        let failed = store.commit(Txn::new().put("k", *b"")).await;
        assert!(
            matches!(failed, Err(StoreError::Unavailable { .. })),
            "{failed:?}"
        );
        let snapshot = store.snapshot().await.unwrap();
        assert_eq!(
            snapshot.get("k").await.unwrap().is_some(),
            done,
            "{fault:?}"
        );
        assert_eq!(store.operations(), 4);
    }
}

#[tokio::test]
async fn after_a_crash_nothing_works_until_reopened() {
    for (fault, done) in [(Fault::CrashBefore, false), (Fault::CrashAfter, true)] {
        let store = MemoryStore::new();
        store.commit(Txn::new().put("kept", *b"")).await.unwrap();
        let snapshot = store.snapshot().await.unwrap();
        let mut watch = store.watch("", snapshot.revision()).await.unwrap();
        store.inject(1, fault);
        assert!(store.commit(Txn::new().put("k", *b"")).await.is_err());
        assert!(snapshot.get("kept").await.is_err());
        assert!(store.commit(Txn::new()).await.is_err());
        if done {
            let last = watch.next().await.unwrap();
            assert_eq!(last.events.len(), 1);
        }
        assert_eq!(watch.next().await, Err(WatchError::Closed));
        let store = store.reopen().await;
        let snapshot = store.snapshot().await.unwrap();
        assert!(snapshot.get("kept").await.unwrap().is_some());
        assert_eq!(
            snapshot.get("k").await.unwrap().is_some(),
            done,
            "{fault:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_ends_on_time_and_not_before() {
    let store = MemoryStore::new();
    let ttl = Duration::from_secs(10);
    let lease = store.grant(ttl).await.unwrap();
    let txn = Txn::new().put_leased("k", *b"", lease);
    let Outcome::Committed(at) = store.commit(txn).await.unwrap() else {
        panic!("committed");
    };
    let mut watch = store.watch("", at).await.unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;
    store.keep_alive(lease).await.unwrap();
    let kept = tokio::time::Instant::now();
    let Batch { events, .. } = watch.next().await.unwrap();
    assert_eq!(events, [Event::Delete { key: "k".into() }]);
    let lived = kept.elapsed();
    assert!(
        lived >= ttl && lived < ttl + Duration::from_millis(10),
        "{lived:?}"
    );
}

#[tokio::test]
async fn reopening_drops_leased_keys_as_one_write() {
    let store = MemoryStore::new();
    let lease = store.grant(Duration::from_secs(60)).await.unwrap();
    let txn = Txn::new().put_leased("a", *b"", lease).put("b", *b"");
    store.commit(txn).await.unwrap();
    let store = store.reopen().await;
    let snapshot = store.snapshot().await.unwrap();
    assert_eq!(snapshot.revision(), Revision(2));
    assert_eq!(snapshot.get("a").await.unwrap(), None);
    assert!(store.keep_alive(lease).await.is_err());
    let taken = Txn::new()
        .when(Compare::Absent { key: "a".into() })
        .put("a", *b"");
    assert_eq!(
        store.commit(taken).await.unwrap(),
        Outcome::Committed(Revision(3))
    );
}

#[cfg(test)]
mod support {
    use std::sync::{Arc, Mutex};

    use async_trait::async_trait;
    use banyan_store::conformance::Bench;
    use banyan_store::{History, MemoryOptions, MemoryStore, Store, Txn};

    pub(crate) const HISTORY: usize = 200;

    #[derive(Default)]
    pub(crate) struct Memory(Mutex<Option<MemoryStore>>);

    pub(crate) async fn make() -> Memory {
        Memory::default()
    }

    pub(crate) fn small() -> MemoryStore {
        MemoryStore::with(MemoryOptions {
            history: History {
                batches: HISTORY,
                bytes: 4 << 20,
            },
            page: 7,
        })
    }

    #[async_trait]
    impl Bench for Memory {
        async fn open(&self) -> Arc<dyn Store> {
            let before = self.0.lock().unwrap().take();
            let store = match before {
                Some(before) => before.reopen().await,
                None => small(),
            };
            *self.0.lock().unwrap() = Some(store.clone());
            Arc::new(store)
        }

        async fn forget_history(&self, store: &dyn Store) {
            for _ in 0..=HISTORY {
                store.commit(Txn::new().put("~", *b"")).await.unwrap();
            }
        }
    }
}
