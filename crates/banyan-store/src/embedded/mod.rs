//! The embedded store: one file, no server. This file ties the parts together; the database format
//! is in `tables`, opening in `open`, recovery from a failed disk in `database`.

mod database;
mod file;
#[cfg(test)]
mod heal_tests;
mod open;
mod overlay;
mod snapshot;
mod tables;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use redb::StorageBackend;
use tokio::sync::Mutex;

use crate::apply::{Applied, apply, end_lease};
use crate::lease::{Leases, Reap, watch_over};
use crate::watch::Hub;
use crate::{History, LeaseId, Outcome, Revision, Snapshot, Store, StoreError, Txn, Watch};

use database::{Database, blocking};
use open::Source;
use snapshot::EmbeddedSnapshot;
use tables::Records;

/// Options of an [`EmbeddedStore`].
#[derive(Clone, Copy, Debug)]
pub struct EmbeddedOptions {
    /// The history kept in memory for watchers, starting at opening.
    pub history: History,
    /// Memory for cached pages, in bytes.
    pub cache: usize,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self {
            history: History::default(),
            cache: 16 * 1024 * 1024,
        }
    }
}

/// A store in one file, for one process.
///
/// A commit returns once it is on disk. Leases and the watch history live in the process: opening
/// deletes the keys of earlier leases. After a disk error (for example, a full disk) the next call
/// that needs the file reopens it, and watches must start over.
pub struct EmbeddedStore {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    /// Held by the writing thread across a write and its publication, so a cancelled caller does
    /// not let the next write in early. Waiters occupy no thread.
    writer: Arc<Mutex<()>>,
    hub: Hub,
    leases: Leases,
}

impl fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedStore")
            .field("place", &self.inner.database.place())
            .finish_non_exhaustive()
    }
}

impl EmbeddedStore {
    /// Opens the store in a file, or creates it (mode 0600, in an existing folder).
    ///
    /// Blocks the thread; after an unclean stop, for as long as reading the whole file takes.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`], [`StoreError::Corrupt`] (the file is left as it was),
    /// [`StoreError::Format`], [`StoreError::Io`], [`StoreError::Unavailable`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_as(path, EmbeddedOptions::default())
    }

    /// [`EmbeddedStore::open`] with options.
    ///
    /// # Errors
    ///
    /// As [`EmbeddedStore::open`].
    pub fn open_as(path: impl AsRef<Path>, options: EmbeddedOptions) -> Result<Self, StoreError> {
        Self::from_source(Source::file(path.as_ref()), options)
    }

    /// Opens the store in a storage other than a file, or creates it there if it is empty. After a
    /// disk error it stays unavailable, since there is nothing to reopen.
    ///
    /// # Errors
    ///
    /// As [`EmbeddedStore::open`].
    pub fn open_with(backend: impl StorageBackend) -> Result<Self, StoreError> {
        Self::from_source(Source::once(backend), EmbeddedOptions::default())
    }

    fn from_source(source: Source, options: EmbeddedOptions) -> Result<Self, StoreError> {
        let (database, revision) = Database::open(source, options.cache)?;
        tracing::debug!(place = database.place(), %revision, "store opened");
        Ok(Self {
            inner: Arc::new(Inner {
                database,
                writer: Arc::default(),
                hub: Hub::new(options.history, revision),
                leases: Leases::default(),
            }),
        })
    }
}

impl Inner {
    /// Runs one write exclusively, on a blocking thread.
    async fn write<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let alone = Arc::clone(&self.writer).lock_owned().await;
        let inner = Arc::clone(self);
        blocking("committing", move || {
            let done = work(&inner);
            drop(alone);
            done
        })
        .await
    }

    /// Reopens the file if necessary. It is unknown what happened around the failure, so watchers
    /// are made to read everything again.
    fn heal(&self) -> Result<(), StoreError> {
        if let Some(revision) = self.database.heal()? {
            tracing::info!(place = self.database.place(), %revision, "store opened again");
            self.hub.restart_at(revision);
        }
        Ok(())
    }

    fn commit(&self, txn: &Txn) -> Result<Outcome, StoreError> {
        self.leases.check(txn)?;
        self.change(|records, revision| apply(records, txn, revision))
    }

    fn change(
        &self,
        work: impl FnOnce(&mut Records<'_>, Revision) -> Result<Applied, StoreError>,
    ) -> Result<Outcome, StoreError> {
        self.heal()?;
        let before = self.hub.newest();
        let applied = self.database.write(before, work)?;
        Ok(match applied {
            Applied::Conflict(failed) => Outcome::Conflict { failed },
            Applied::Unchanged => Outcome::Committed(before),
            Applied::Changed(events) => {
                self.hub.publish(before.next(), events);
                Outcome::Committed(before.next())
            }
        })
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
        if self.inner.database.is_broken() {
            self.inner.write(Inner::heal).await?;
        }
        let inner = Arc::clone(&self.inner);
        let taken = blocking("taking a snapshot", move || inner.database.read()).await?;
        Ok(Arc::new(EmbeddedSnapshot::new(taken)))
    }

    async fn commit(&self, txn: Txn) -> Result<Outcome, StoreError> {
        txn.check()?;
        self.inner.write(move |inner| inner.commit(&txn)).await
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, StoreError> {
        Ok(Watch::reading(self.inner.hub.reader(prefix, after)))
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        let lease = self.inner.leases.grant(ttl)?;
        self.inner.start_timer(lease);
        Ok(lease)
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.inner.leases.keep_alive(lease)
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.inner.leases.expire(lease)?;
        let ended = self.inner.end(lease).await;
        if ended.is_err() {
            self.inner.start_timer(lease);
        }
        ended
    }
}

impl Inner {
    fn start_timer(self: &Arc<Self>, lease: LeaseId) {
        let store: Weak<Self> = Arc::downgrade(self);
        watch_over(store, lease);
    }

    async fn end(self: &Arc<Self>, lease: LeaseId) -> Result<(), StoreError> {
        self.write(move |inner| {
            inner.change(|records, _| end_lease(records, lease))?;
            inner.leases.forget(lease);
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl Reap for Inner {
    fn leases(&self) -> &Leases {
        &self.leases
    }

    async fn reap(self: Arc<Self>, lease: LeaseId) -> Result<(), StoreError> {
        self.end(lease).await
    }
}
