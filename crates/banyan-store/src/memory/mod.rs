//! An in-memory store for tests of the layers above. It checks every limit, is less accommodating
//! than most backends (short pages, little history, a yield at every step), and fails or crashes at
//! a chosen operation.

mod faults;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio::task::yield_now;

use crate::apply::{Applied, Records, apply, end_lease};
use crate::lease::{Leases, Reap, watch_over};
use crate::txn::check_key;
use crate::watch::Hub;
use crate::{
    Entry, History, KeyRange, LeaseId, Outcome, Page, Revision, Snapshot, Store, StoreError, Txn,
    Watch,
};

pub use faults::Fault;
use faults::Faults;

/// How strict a [`MemoryStore`] is.
#[derive(Clone, Copy, Debug)]
pub struct MemoryOptions {
    /// The history kept for watchers.
    pub history: History,
    /// The maximum number of entries in one page, whatever limit the caller passes.
    pub page: usize,
}

impl Default for MemoryOptions {
    fn default() -> Self {
        Self {
            history: History {
                batches: 256,
                bytes: 4 * 1024 * 1024,
            },
            page: 100,
        }
    }
}

/// An in-memory store. Clones are handles to the same store.
#[derive(Clone)]
pub struct MemoryStore {
    inner: Arc<Inner>,
}

struct Inner {
    options: MemoryOptions,
    state: Mutex<State>,
    leases: Leases,
    shared: Arc<Shared>,
}

/// What snapshots need from the store.
struct Shared {
    faults: Faults,
    hub: Hub,
}

#[derive(Clone, Default)]
struct State {
    records: Arc<BTreeMap<String, Entry>>,
    revision: Revision,
}

struct MemorySnapshot {
    state: State,
    page: usize,
    shared: Arc<Shared>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("options", &self.inner.options)
            .finish_non_exhaustive()
    }
}

impl MemoryStore {
    /// An empty store with the default strictness.
    #[must_use]
    pub fn new() -> Self {
        Self::with(MemoryOptions::default())
    }

    /// An empty store.
    #[must_use]
    pub fn with(options: MemoryOptions) -> Self {
        Self::from_state(options, State::default())
    }

    /// Makes the `nth` operation from now fail; 1 is the next one. Operations are the calls of
    /// [`Store`] and [`Snapshot`], but not waiting on a watch.
    pub fn inject(&self, nth: u64, fault: Fault) {
        self.inner.shared.faults.inject(nth, fault);
    }

    /// The number of operations so far, failed ones included.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.inner.shared.faults.operations()
    }

    /// Stops this store as a crash would, and returns the store the next process would find: every
    /// committed entry, but no leased entries, leases or history.
    pub async fn reopen(&self) -> Self {
        self.inner.shared.crash();
        let mut state = self.inner.state.lock().await.clone();
        let before = state.records.len();
        Arc::make_mut(&mut state.records).retain(|_, entry| entry.lease.is_none());
        if state.records.len() != before {
            state.revision = state.revision.next();
        }
        Self::from_state(self.inner.options, state)
    }

    fn from_state(options: MemoryOptions, state: State) -> Self {
        let shared = Shared {
            faults: Faults::default(),
            hub: Hub::new(options.history, state.revision),
        };
        Self {
            inner: Arc::new(Inner {
                options,
                state: Mutex::new(state),
                leases: Leases::default(),
                shared: Arc::new(shared),
            }),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.hub.close();
    }
}

impl Shared {
    /// One operation, with its faults and yields.
    async fn operation<T>(
        &self,
        doing: &'static str,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        yield_now().await;
        let fault = self.faults.next();
        if fault.is_some_and(Fault::crashes_before) {
            self.crash();
        }
        if self.faults.crashed() || fault.is_some_and(Fault::prevents) {
            return Err(faults::error(doing));
        }
        let done = work.await?;
        yield_now().await;
        match fault {
            None => return Ok(done),
            Some(Fault::CrashAfter) => self.crash(),
            Some(_) => {}
        }
        Err(faults::error(doing))
    }

    fn crash(&self) {
        self.faults.crash();
        self.hub.close();
    }
}

impl Inner {
    async fn commit(&self, txn: Txn) -> Result<Outcome, StoreError> {
        txn.check()?;
        let mut state = self.state.lock().await;
        yield_now().await;
        self.leases.check(&txn)?;
        let revision = state.revision.next();
        let applied = apply(Arc::make_mut(&mut state.records), &txn, revision)?;
        Ok(self.publish(&mut state, applied))
    }

    fn publish(&self, state: &mut State, applied: Applied) -> Outcome {
        match applied {
            Applied::Conflict(failed) => return Outcome::Conflict { failed },
            Applied::Unchanged => {}
            Applied::Changed(events) => {
                state.revision = state.revision.next();
                self.shared.hub.publish(state.revision, events);
            }
        }
        Outcome::Committed(state.revision)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
        let take = async {
            let snapshot = MemorySnapshot {
                state: self.inner.state.lock().await.clone(),
                page: self.inner.options.page.max(1),
                shared: Arc::clone(&self.inner.shared),
            };
            Ok(Arc::new(snapshot) as Arc<dyn Snapshot>)
        };
        let shared = &self.inner.shared;
        shared.operation("taking a snapshot", take).await
    }

    async fn commit(&self, txn: Txn) -> Result<Outcome, StoreError> {
        let shared = &self.inner.shared;
        shared.operation("committing", self.inner.commit(txn)).await
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, StoreError> {
        let shared = &self.inner.shared;
        let start = async { Ok(Watch::reading(shared.hub.reader(prefix, after))) };
        shared.operation("starting a watch", start).await
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        let grant = async {
            let lease = self.inner.leases.grant(ttl)?;
            let store: Weak<Inner> = Arc::downgrade(&self.inner);
            watch_over(store, lease);
            Ok(lease)
        };
        let shared = &self.inner.shared;
        shared.operation("granting a lease", grant).await
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
        let keep = async { self.inner.leases.keep_alive(lease) };
        let shared = &self.inner.shared;
        shared.operation("keeping a lease alive", keep).await
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        let revoke = async {
            self.inner.leases.expire(lease)?;
            Arc::clone(&self.inner).reap(lease).await
        };
        let shared = &self.inner.shared;
        shared.operation("revoking a lease", revoke).await
    }
}

#[async_trait]
impl Reap for Inner {
    fn leases(&self) -> &Leases {
        &self.leases
    }

    async fn reap(self: Arc<Self>, lease: LeaseId) -> Result<(), StoreError> {
        let mut state = self.state.lock().await;
        if self.shared.faults.crashed() {
            return Ok(());
        }
        let applied = end_lease(Arc::make_mut(&mut state.records), lease)?;
        self.publish(&mut state, applied);
        self.leases.forget(lease);
        Ok(())
    }
}

#[async_trait]
impl Snapshot for MemorySnapshot {
    fn revision(&self) -> Revision {
        self.state.revision
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        let get = async {
            check_key(key)?;
            Ok(self.state.records.get(key).cloned())
        };
        self.shared.operation("reading a key", get).await
    }

    async fn range(&self, range: &KeyRange, limit: usize) -> Result<Page, StoreError> {
        let read = async { Ok(self.page(range, limit.clamp(1, self.page))) };
        self.shared.operation("reading a range", read).await
    }
}

impl MemorySnapshot {
    fn page(&self, range: &KeyRange, limit: usize) -> Page {
        let from_start = self.state.records.range(range.start.clone()..);
        let mut found = from_start
            .map(|(_, entry)| entry)
            .take_while(|entry| range.contains(&entry.key));
        let entries = found.by_ref().take(limit).cloned().collect();
        Page {
            entries,
            more: found.next().is_some(),
        }
    }
}

impl Records for BTreeMap<String, Entry> {
    fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        Ok(BTreeMap::get(self, key).cloned())
    }

    fn put(&mut self, entry: &Entry) -> Result<(), StoreError> {
        self.insert(entry.key.clone(), entry.clone());
        Ok(())
    }

    fn remove(&mut self, key: &str) -> Result<(), StoreError> {
        BTreeMap::remove(self, key);
        Ok(())
    }

    fn keys_of(&self, lease: LeaseId) -> Result<Vec<String>, StoreError> {
        let leased = self.values().filter(|entry| entry.lease == Some(lease));
        Ok(leased.map(|entry| entry.key.clone()).collect())
    }
}
