//! A store wrapper that records when it was written to, to split the cost of a state write.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use banyan_store::{LeaseId, Outcome, Revision, Snapshot, Store, StoreError, Txn, Watch};

/// Forwards everything.
pub(crate) struct Timed {
    store: Arc<dyn Store>,
    writes: Writes,
}

/// The writes since the last call.
#[derive(Clone, Default)]
pub(crate) struct Writes(Arc<Mutex<Vec<Write>>>);

#[derive(Clone, Copy)]
pub(crate) struct Write {
    pub(crate) took: Duration,
    /// When the store answered.
    pub(crate) answered: Instant,
}

impl Timed {
    pub(crate) fn wrap(store: Arc<dyn Store>) -> (Arc<dyn Store>, Writes) {
        let writes = Writes::default();
        let timed = Self {
            store,
            writes: writes.clone(),
        };
        (Arc::new(timed), writes)
    }
}

impl Writes {
    pub(crate) fn take(&self) -> Vec<Write> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, since: Instant) {
        let answered = Instant::now();
        let write = Write {
            took: answered.duration_since(since),
            answered,
        };
        let mut writes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writes.push(write);
    }
}

#[async_trait]
impl Store for Timed {
    async fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
        self.store.snapshot().await
    }

    async fn commit(&self, txn: Txn) -> Result<Outcome, StoreError> {
        let since = Instant::now();
        let outcome = self.store.commit(txn).await;
        self.writes.add(since);
        outcome
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, StoreError> {
        self.store.watch(prefix, after).await
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        self.store.grant(ttl).await
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.store.keep_alive(lease).await
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.store.revoke(lease).await
    }
}
