//! The open database: a single read or write, and reopening after a disk error, after which redb
//! refuses all work. Knows no watchers or leases.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use redb::{Durability, ReadableDatabase};

use super::open::{Leased, Source, prepare};
use super::snapshot::Frozen;
use super::tables::{META, META_REVISION, Records, unavailable};
use crate::apply::Applied;
use crate::{Revision, StoreError};

pub(super) struct Database {
    source: Source,
    cache: usize,
    /// `None` while reopening fails.
    open: RwLock<Option<redb::Database>>,
    broken: AtomicBool,
}

impl Database {
    pub(super) fn open(source: Source, cache: usize) -> Result<(Self, Revision), StoreError> {
        let open = source.open(cache)?;
        let revision = prepare(&open, source.place(), Leased::Delete)?;
        let database = Self {
            source,
            cache,
            open: RwLock::new(Some(open)),
            broken: AtomicBool::new(false),
        };
        Ok((database, revision))
    }

    pub(super) fn place(&self) -> &str {
        self.source.place()
    }

    /// Whether the last write failed and [`Database::heal`] is due.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::SeqCst)
    }

    /// Reopens the file if a write failed; returns the revision found then.
    pub(super) fn heal(&self) -> Result<Option<Revision>, StoreError> {
        if !self.is_broken() {
            return Ok(None);
        }
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        // Close first: the file is locked until then.
        drop(open.take());
        let again = self.source.open(self.cache)?;
        let revision = prepare(&again, self.source.place(), Leased::Keep)?;
        *open = Some(again);
        self.broken.store(false, Ordering::SeqCst);
        Ok(Some(revision))
    }

    pub(super) fn read(&self) -> Result<Frozen, StoreError> {
        let txn = self.with(|open| open.begin_read().map_err(unavailable))?;
        Frozen::take(&txn).map_err(unavailable)
    }

    /// Performs one write on top of revision `before`. It is durable when this returns.
    pub(super) fn write(
        &self,
        before: Revision,
        work: impl FnOnce(&mut Records<'_>, Revision) -> Result<Applied, StoreError>,
    ) -> Result<Applied, StoreError> {
        let done = self.try_write(before, work);
        if matches!(done, Err(StoreError::Unavailable { .. })) {
            self.broken.store(true, Ordering::SeqCst);
        }
        done
    }

    fn try_write(
        &self,
        before: Revision,
        work: impl FnOnce(&mut Records<'_>, Revision) -> Result<Applied, StoreError>,
    ) -> Result<Applied, StoreError> {
        let mut txn = self.with(|open| open.begin_write().map_err(unavailable))?;
        txn.set_durability(Durability::Immediate)
            .map_err(unavailable)?;
        let mut records = Records::open(&txn).map_err(unavailable)?;
        let applied = work(&mut records, before.next())?;
        drop(records);
        if !matches!(applied, Applied::Changed(_)) {
            txn.abort().map_err(unavailable)?;
            return Ok(applied);
        }
        set_revision(&txn, before.next()).map_err(unavailable)?;
        txn.commit().map_err(unavailable)?;
        Ok(applied)
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&redb::Database) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        match &*open {
            Some(open) => work(open),
            None => Err(StoreError::unavailable(
                "using its file",
                "it was closed after an earlier failure and cannot be reopened yet",
            )),
        }
    }
}

pub(super) fn set_revision(
    txn: &redb::WriteTransaction,
    revision: Revision,
) -> Result<(), redb::Error> {
    txn.open_table(META)?.insert(META_REVISION, revision.0)?;
    Ok(())
}

/// Runs blocking disk work on a thread where it delays no other task.
pub(super) async fn blocking<T: Send + 'static>(
    doing: &'static str,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(died) => Err(StoreError::unavailable(doing, died)),
    }
}
