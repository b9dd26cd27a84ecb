//! The embedded store: conformance, its file, its leases across a restart.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use banyan_store::{
    EmbeddedStore, KeyRange, Outcome, Revision, Store, StoreError, Txn, WatchError, read_all,
};

banyan_store::conformance_tests!(support::make);

#[tokio::test]
async fn each_write_raises_the_revision_by_one_also_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    for opening in 0..3 {
        let store = EmbeddedStore::open(dir.path().join("store")).unwrap();
        for write in 1..=3 {
            let outcome = store.commit(Txn::new().put("k", *b"v")).await.unwrap();
            assert_eq!(outcome, Outcome::Committed(Revision(opening * 3 + write)));
        }
    }
}

#[test]
fn the_file_is_for_its_owner_only_and_nothing_is_left_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    drop(EmbeddedStore::open(&path).unwrap());
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let names: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["store"]);
}

#[test]
fn a_draft_left_by_a_crash_does_not_matter() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let draft = format!("store.{}.new", std::process::id());
    fs::write(dir.path().join(draft), b"half").unwrap();
    drop(EmbeddedStore::open(&path).unwrap());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_second_opener_is_told_that_the_file_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let first = EmbeddedStore::open(&path).unwrap();
    let second = EmbeddedStore::open(&path).unwrap_err();
    assert!(matches!(second, StoreError::Busy { .. }), "{second:?}");
    assert!(
        second.to_string().contains("in use by another process"),
        "{second}"
    );
    drop(first);
    EmbeddedStore::open(&path).unwrap();
}

#[test]
fn a_missing_folder_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = EmbeddedStore::open(dir.path().join("no/store")).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error:?}");
    assert!(error.to_string().contains("no/store"), "{error}");
}

#[tokio::test]
async fn leased_keys_of_an_earlier_process_are_gone_at_opening() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = EmbeddedStore::open(&path).unwrap();
    let lease = store.grant(Duration::from_secs(3600)).await.unwrap();
    let txn = Txn::new().put_leased("a", *b"", lease).put("b", *b"");
    store.commit(txn).await.unwrap();
    drop(store);
    let store = EmbeddedStore::open(&path).unwrap();
    let snapshot = store.snapshot().await.unwrap();
    let left = read_all(&*snapshot, &KeyRange::all()).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(snapshot.revision(), Revision(2));
    let lost = store.keep_alive(lease).await;
    assert!(
        matches!(lost, Err(StoreError::LeaseNotFound { .. })),
        "{lost:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_lease_ends_on_the_paused_clock_too() {
    let dir = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(dir.path().join("store")).unwrap();
    let day = Duration::from_secs(24 * 3600);
    let lease = store.grant(day).await.unwrap();
    let txn = Txn::new().put_leased("k", *b"", lease);
    let Outcome::Committed(at) = store.commit(txn).await.unwrap() else {
        panic!("committed");
    };
    let started = tokio::time::Instant::now();
    let mut watch = store.watch("", at).await.unwrap();
    assert_eq!(watch.next().await.unwrap().events.len(), 1);
    assert!(started.elapsed() + Duration::from_secs(1) >= day);
}

#[tokio::test]
async fn a_dropped_store_ends_its_watches_and_fails_its_snapshots() {
    let dir = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(dir.path().join("store")).unwrap();
    let mut watch = store.watch("", Revision(0)).await.unwrap();
    store.commit(Txn::new().put("k", *b"")).await.unwrap();
    let snapshot = store.snapshot().await.unwrap();
    drop(store);
    assert_eq!(watch.next().await.unwrap().revision, Revision(1));
    assert_eq!(watch.next().await, Err(WatchError::Closed));
    // Served from memory or failed, but never a panic.
    let _ = snapshot.get("k").await;
}

#[tokio::test]
async fn a_write_whose_caller_went_away_is_whole_and_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(EmbeddedStore::open(dir.path().join("store")).unwrap());
    for n in 0..50_u32 {
        let writer = Arc::clone(&store);
        let pair = Txn::new()
            .put("a", n.to_le_bytes())
            .put("b", n.to_le_bytes());
        let task = tokio::spawn(async move { writer.commit(pair).await });
        tokio::task::yield_now().await;
        task.abort();
        let _ = task.await;
    }
    store.commit(Txn::new().put("last", *b"")).await.unwrap();
    let snapshot = store.snapshot().await.unwrap();
    let value = |entry: Option<banyan_store::Entry>| entry.map(|entry| entry.value);
    let a = value(snapshot.get("a").await.unwrap());
    assert_eq!(a, value(snapshot.get("b").await.unwrap()));
    assert!(a.is_some(), "some of them got through");
}

#[cfg(test)]
mod support {
    use std::sync::Arc;

    use async_trait::async_trait;
    use banyan_store::conformance::Bench;
    use banyan_store::{EmbeddedOptions, EmbeddedStore, History, Store, Txn};
    use tempfile::TempDir;

    const HISTORY: usize = 200;

    pub(crate) struct Folder(TempDir);

    pub(crate) async fn make() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    #[async_trait]
    impl Bench for Folder {
        async fn open(&self) -> Arc<dyn Store> {
            let options = EmbeddedOptions {
                history: History {
                    batches: HISTORY,
                    bytes: 4 << 20,
                },
                ..EmbeddedOptions::default()
            };
            let path = self.0.path().join("store");
            Arc::new(EmbeddedStore::open_as(path, options).unwrap())
        }

        async fn forget_history(&self, store: &dyn Store) {
            for _ in 0..=HISTORY {
                store.commit(Txn::new().put("~", *b"")).await.unwrap();
            }
        }
    }
}
