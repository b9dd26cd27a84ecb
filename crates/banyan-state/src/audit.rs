//! The audit log of one engine, as a chain in the store: appending, reading, checking, trimming.
//!
//! Entries and the head that names the last of them change in one transaction, which compares the head's revision. So
//! two processes under one engine's name cannot fork the chain, and a request without an answer commits before that
//! revision passes or never. The live view contains none of it.

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

/// The most entries that one transaction writes or removes.
pub const MAX_BATCH: usize = 100;

/// The audit log of one engine.
pub struct AuditLog {
    store: Arc<dyn Store>,
    engine: Name,
    tail: Mutex<Tail>,
}

/// What this process knows about the log's end.
#[derive(Default)]
struct Tail {
    /// The current head, unless another process writes.
    known: Option<Known>,
    /// The last head this process has seen, to detect a rollback.
    highest: Option<Head>,
    /// The request whose answer is missing.
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
    /// Whether the first of them is [`Tail::note`].
    noted: bool,
}

/// What [`AuditLog::append`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Where the chain ends now.
    pub head: Head,
    /// How many of the entries, from the first, are written; the others did not fit into the transaction.
    pub written: usize,
}

/// What [`AuditLog::trim`] did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trimmed {
    /// How many entries are gone.
    pub removed: u64,
    /// What was wrong with them, where something was.
    pub broken: Option<Break>,
}

/// The content of one place in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The place.
    pub seq: u64,
    /// What was found there.
    pub found: Found,
    /// The hash that stands beside it, where it can be read.
    pub hash: Option<Digest>,
}

/// What was found in a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// An entry. Only [`AuditLog::verify`] tells whether it is the one written.
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
    /// The audit log of an engine, in the same store. Costs no IO. One process appends through one value.
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
    /// The audit log of an engine. Costs no IO.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, engine: Name) -> Self {
        Self {
            store,
            engine,
            tail: Mutex::default(),
        }
    }

    /// Whose log it is.
    #[must_use]
    pub fn engine(&self) -> &Name {
        &self.engine
    }

    /// The head's entry as it is stored.
    async fn stored_head(&self, snapshot: &dyn Snapshot) -> Result<Option<Entry>, StoreError> {
        snapshot.get(&key::audit_head(&self.engine)).await
    }

    /// A transaction that moves the head from where it was last put.
    fn moving(&self, from: Revision, to: &Head) -> Result<Txn, StateError> {
        let key = key::audit_head(&self.engine);
        let unmoved = Compare::Modified {
            key: key.clone(),
            at: from,
        };
        Ok(Txn::new().when(unmoved).put(key, stored::encode(to)?))
    }

    /// The link in an entry of the store; `None` where it is none, or that of another place.
    fn link(&self, entry: &Entry) -> Option<Link> {
        let link: Link = serde_json::from_slice(&entry.value).ok()?;
        let there = key::audit_seq(&self.engine, &entry.key);
        Some(link).filter(|link| there == Some(link.seq))
    }
}

fn head_of(entry: &Entry) -> Option<Head> {
    serde_json::from_slice(&entry.value).ok()
}
