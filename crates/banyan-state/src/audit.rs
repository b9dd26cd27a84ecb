//! The audit log of one engine, as a chain in the store: appending, reading, checking, trimming.
//!
//! An append changes the entries and the head that names the last one in a single transaction that compares the head's
//! revision. Two processes with the same engine name therefore cannot fork the chain, and a request whose response was
//! lost is either committed before that revision passes or never. The live view contains none of it.

mod append;
mod read;
mod restored;
#[cfg(test)]
mod tests;
mod trim;

use std::sync::Arc;

use banyan_core::Digest;
use banyan_core::Name;
use banyan_core::audit::{AuditEntry, Break, Head, Link};
use banyan_store::{Compare, Entry, Revision, Snapshot, Store, StoreError, Txn};
use tokio::sync::Mutex;

pub(crate) use restored::note_restored;

use crate::{State, StateError, key, stored};

/// The maximum number of entries one transaction writes or removes.
pub const MAX_BATCH: usize = 100;

/// The audit log of one engine.
pub struct AuditLog {
    store: Arc<dyn Store>,
    engine: Name,
    tail: Mutex<Tail>,
}

/// What this process knows about the end of the log.
#[derive(Default)]
struct Tail {
    /// The current head; `None` if another process may have written.
    known: Option<Known>,
    /// The last head this process has seen, to detect a rollback.
    highest: Option<Head>,
    /// The request whose response is missing.
    attempt: Attempt,
    /// A note about the log itself, to be written before anything else.
    note: Option<Box<str>>,
}

#[derive(Clone, Copy)]
struct Known {
    head: Head,
    at: Revision,
}

#[derive(Default)]
struct Attempt {
    links: Vec<Link>,
    /// Whether its first entry is [`Tail::note`].
    noted: bool,
}

/// The result of [`AuditLog::append`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The new head.
    pub head: Head,
    /// How many of the given entries, from the first, were written; the others did not fit into the transaction.
    pub written: usize,
}

/// The result of [`AuditLog::trim`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trimmed {
    /// The number of removed entries.
    pub removed: u64,
    /// The first fault found among them.
    pub broken: Option<Break>,
}

/// The content of one position in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The number of the position.
    pub seq: u64,
    /// What was found there.
    pub found: Found,
    /// The stored hash, if readable.
    pub hash: Option<Digest>,
}

/// What was found at a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// An entry. Only [`AuditLog::verify`] tells whether it is authentic.
    Entry(Box<AuditEntry>),
    /// Unreadable content.
    Unreadable,
    /// Nothing.
    Missing,
}

/// Why a log could not be verified.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The store failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// The log was altered.
    #[error("the audit log is broken")]
    Broken(#[from] Break),
}

impl From<StoreError> for AuditError {
    fn from(error: StoreError) -> Self {
        Self::State(error.into())
    }
}

impl State {
    /// The audit log of an engine, in the same store. Does no IO. Each process should append through a single value.
    #[must_use]
    pub fn audit(&self, engine: Name) -> AuditLog {
        AuditLog::new(Arc::clone(&self.store), engine)
    }

    /// The engines that have an audit log.
    ///
    /// # Errors
    /// The store failed.
    pub async fn audited_engines(&self) -> Result<Vec<Name>, StateError> {
        read::engines(&*self.store).await
    }
}

impl AuditLog {
    /// The audit log of an engine. Does no IO.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, engine: Name) -> Self {
        Self {
            store,
            engine,
            tail: Mutex::default(),
        }
    }

    /// The engine whose log it is.
    #[must_use]
    pub fn engine(&self) -> &Name {
        &self.engine
    }

    /// The stored head.
    async fn stored_head(&self, snapshot: &dyn Snapshot) -> Result<Option<Entry>, StoreError> {
        snapshot.get(&key::audit_head(&self.engine)).await
    }

    /// A transaction that moves the head, conditional on its revision.
    fn moving(&self, from: Revision, to: &Head) -> Result<Txn, StateError> {
        let key = key::audit_head(&self.engine);
        let unmoved = Compare::Modified {
            key: key.clone(),
            at: from,
        };
        Ok(Txn::new().when(unmoved).put(key, stored::encode(to)?))
    }

    /// The link in an entry of the store; `None` if it is malformed or belongs to another position.
    fn link(&self, entry: &Entry) -> Option<Link> {
        let link: Link = serde_json::from_slice(&entry.value).ok()?;
        let there = key::audit_seq(&self.engine, &entry.key);
        Some(link).filter(|link| there == Some(link.seq))
    }
}

fn head_of(entry: &Entry) -> Option<Head> {
    serde_json::from_slice(&entry.value).ok()
}
