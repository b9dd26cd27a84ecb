//! The interface of every backend; `conformance` specifies it as tests.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::{Entry, KeyRange, LeaseId, Outcome, Revision, StoreError, Txn, Watch};

/// Page size of [`read_all`].
const PAGE: usize = 4096;

/// Part of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Entries in key order.
    pub entries: Vec<Entry>,
    /// Whether the range has more entries after the last of these.
    pub more: bool,
}

/// The whole store at one revision.
///
/// Holding one may keep old data from being reclaimed: drop it after use.
#[async_trait]
pub trait Snapshot: Send + Sync {
    /// The revision of this snapshot.
    fn revision(&self) -> Revision;

    /// One entry.
    ///
    /// # Errors
    ///
    /// [`StoreError::BadKey`], [`StoreError::TooLarge`], [`StoreError::Unavailable`].
    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError>;

    /// The first entries of a range, at most `limit` (0 counts as 1). A backend may return fewer
    /// although there are more, but never none: check [`Page::more`], or use [`read_all`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn range(&self, range: &KeyRange, limit: usize) -> Result<Page, StoreError>;
}

/// A revisioned key-value store.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The current state, unaffected by later writes. It includes every transaction acknowledged
    /// before this call.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError>;

    /// Commits a transaction atomically. When this returns, the outcome is durable. If the future
    /// is dropped earlier, the transaction may or may not have happened, but never partially.
    ///
    /// # Errors
    ///
    /// The errors of [`Txn::check`], [`StoreError::LeaseNotFound`], and
    /// [`StoreError::Unavailable`], after which the transaction may or may not have happened, but
    /// never partially.
    async fn commit(&self, txn: Txn) -> Result<Outcome, StoreError>;

    /// Every later change under a prefix, starting after revision `after`. Watching from a
    /// snapshot's revision misses and repeats nothing. If that part of the history is compacted,
    /// the watch ends with [`WatchError::Compacted`](crate::WatchError::Compacted).
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, StoreError>;

    /// Grants a lease that expires after `ttl` unless kept alive; its keys are deleted with it.
    /// Backends may round up; none goes below [`MIN_TTL`](crate::MIN_TTL).
    ///
    /// # Errors
    ///
    /// [`StoreError::TooLarge`] above [`MAX_TTL`](crate::MAX_TTL), [`StoreError::Unavailable`].
    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError>;

    /// Renews the lease for its full time to live.
    ///
    /// # Errors
    ///
    /// [`StoreError::LeaseNotFound`], [`StoreError::Unavailable`].
    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError>;

    /// Ends a lease and deletes its keys, in one transaction.
    ///
    /// # Errors
    ///
    /// [`StoreError::LeaseNotFound`], [`StoreError::Unavailable`]; after the latter the lease
    /// accepts no more keys, and its keys are deleted as soon as the store can.
    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError>;
}

/// Reads a whole range of a snapshot, page by page.
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
