//! A disk that fails for a while: the store reports it, recovers by itself, and misleads no
//! watcher.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::StorageBackend;

use super::overlay::Overlay;
use super::{EmbeddedOptions, EmbeddedStore, Source};
use crate::{Outcome, Revision, Store, StoreError, Txn, WatchError};

#[derive(Clone, Debug)]
struct Flaky {
    disk: Overlay,
    full: Arc<AtomicBool>,
    /// Whether a failing sync succeeds after all, without reporting it.
    sync_anyway: bool,
}

impl Flaky {
    fn new(sync_anyway: bool) -> Self {
        Self {
            disk: Overlay::empty(),
            full: Arc::default(),
            sync_anyway,
        }
    }

    fn store(&self) -> EmbeddedStore {
        let again = self.clone();
        let source = Source::from_backends(move || Some(again.clone()));
        EmbeddedStore::from_source(source, EmbeddedOptions::default()).unwrap()
    }

    fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::SeqCst);
    }

    fn check(&self) -> io::Result<()> {
        if self.full.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

impl StorageBackend for Flaky {
    fn len(&self) -> io::Result<u64> {
        self.disk.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check()?;
        self.disk.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.check()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if !self.sync_anyway {
            self.check()?;
        }
        self.disk.write(offset, data)
    }
}

async fn put(store: &EmbeddedStore, value: u8) -> Result<Outcome, StoreError> {
    store.commit(Txn::new().put("k", [value])).await
}

#[tokio::test]
async fn a_full_disk_is_an_error_until_there_is_room() {
    let disk = Flaky::new(false);
    let store = disk.store();
    put(&store, 1).await.unwrap();
    disk.set_full(true);
    for _ in 0..3 {
        let failed = put(&store, 2).await;
        assert!(failed.is_err(), "{failed:?}");
    }
    disk.set_full(false);
    let outcome = put(&store, 3).await.unwrap();
    assert_eq!(outcome, Outcome::Committed(Revision(2)));
    let snapshot = store.snapshot().await.unwrap();
    assert_eq!(&*snapshot.get("k").await.unwrap().unwrap().value, [3]);
}

#[tokio::test]
async fn reading_comes_back_without_a_write() {
    let disk = Flaky::new(false);
    let store = disk.store();
    put(&store, 1).await.unwrap();
    disk.set_full(true);
    put(&store, 2).await.unwrap_err();
    disk.set_full(false);
    let snapshot = store.snapshot().await.unwrap();
    assert_eq!(&*snapshot.get("k").await.unwrap().unwrap().value, [1]);
}

/// The write failed for its caller but took effect. Watchers could not have seen it and must not
/// continue as if they had.
#[tokio::test]
async fn a_write_that_got_through_unheard_makes_watchers_start_over() {
    let disk = Flaky::new(true);
    let store = disk.store();
    put(&store, 1).await.unwrap();
    let mut watch = store.watch("", Revision(1)).await.unwrap();
    disk.set_full(true);
    put(&store, 2).await.unwrap_err();
    disk.set_full(false);
    let outcome = put(&store, 3).await.unwrap();
    assert_eq!(outcome, Outcome::Committed(Revision(3)));
    let oldest = Revision(2);
    assert_eq!(watch.next().await, Err(WatchError::Compacted { oldest }));
}
