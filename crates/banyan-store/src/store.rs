//! The interface that every backend fulfils; `conformance` is its meaning as tests.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::{Entry, KeyRange, LeaseId, Outcome, Revision, StoreError, Txn, Watch};

/// Entries asked for at a time by [`read_all`].
const PAGE: usize = 4096;

/// Part of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Entries in key order.
    pub entries: Vec<Entry>,
    /// Whether the range has more beyond the last of them.
    pub more: bool,
}

/// The whole store as it was at one revision.
///
/// Holding one may keep old data from being reclaimed: let go of it after use.
#[async_trait]
pub trait Snapshot: Send + Sync {
    /// The revision whose state this is.
    fn revision(&self) -> Revision;

    /// One entry.
    ///
    /// # Errors
    ///
    /// [`StoreError::BadKey`], [`StoreError::TooLarge`], [`StoreError::Unavailable`].
    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError>;

    /// The first entries of a range, at most `limit` (0 counts as 1). A backend may give fewer
    /// although there are more, but never none: go by [`Page::more`], or use [`read_all`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn range(&self, range: &KeyRange, limit: usize) -> Result<Page, StoreError>;
}

/// A revisioned key-value store.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The current state, which later writes do not alter. A transaction that was acknowledged
    /// before this was called is in it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError>;

    /// Does a transaction, all or nothing. When this returns, the outcome is durable. If the future
    /// is dropped before, the transaction may or may not have happened, but never half.
    ///
    /// # Errors
    ///
    /// What [`Txn::check`] says, [`StoreError::LeaseNotFound`], and [`StoreError::Unavailable`],
    /// after which the transaction may or may not have happened, but never half.
    async fn commit(&self, txn: Txn) -> Result<Outcome, StoreError>;

    /// Every later change under a prefix, from the first revision above `after`. Watching from a
    /// snapshot's revision misses nothing and repeats nothing. If that part of the history is gone,
    /// the watch says so by [`WatchError::Compacted`](crate::WatchError::Compacted).
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, StoreError>;

    /// A lease that expires after `ttl` unless kept alive, and takes its keys with it. Backends may
    /// round up; none goes below [`MIN_TTL`](crate::MIN_TTL).
    ///
    /// # Errors
    ///
    /// [`StoreError::TooLarge`] above [`MAX_TTL`](crate::MAX_TTL), [`StoreError::Unavailable`].
    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError>;

    /// Starts the lease's time again.
    ///
    /// # Errors
    ///
    /// [`StoreError::LeaseNotFound`], [`StoreError::Unavailable`].
    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError>;

    /// Ends a lease and deletes its keys, in one transaction.
    ///
    /// # Errors
    ///
    /// [`StoreError::LeaseNotFound`], [`StoreError::Unavailable`]; after the latter the lease no
    /// longer takes keys and those it has are deleted as soon as the store can.
    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError>;
}

/// A whole range of a snapshot, read page by page.
///
/// # Errors
///
/// As [`Snapshot::range`].
pub async fn read_all(snapshot: &dyn Snapshot, range: &KeyRange) -> Result<Vec<Entry>, StoreError> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut rest = range.clone();
    loop {
        let page = snapshot.range(&rest, PAGE).await?;
        entries.extend(page.entries);
        match entries.last() {
            Some(last) if page.more => rest = range.continued_after(&last.key),
            _ => return Ok(entries),
        }
    }
}
