//! Backups: all durable state at one revision, as a file, and restoring it into a store.
//!
//! An [`Archive`] is taken from a store ([`Archive::take`]) or read from a file ([`Archive::read`]); both check it
//! completely first. [`restore`] and [`migrate`] write one into a store.

mod content;
mod error;
mod fill;
mod format;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use banyan_core::{CommitId, Generation, Name};
use banyan_store::{Entry, KeyRange, Store, StoreError, read_all};
use jiff::Timestamp;

pub use error::ArchiveError;
pub use fill::{Migrated, migrate, restore};
pub use format::FORMAT as ARCHIVE_FORMAT;

use crate::key::{ROOTS, SESSIONS, SIGNING_KEYS, is_of_the_moment};
use crate::marks::{MOVED, RESTORING, unfit};
use crate::people::restored;
use crate::{State, StateError};

/// How many times reading a store is retried, and the delay before the first retry.
const ATTEMPTS: u32 = 4;
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// Key prefixes of entries that a backup contains but a restore drops, because they grant access that may have been
/// revoked since. Enrolment codes, which are part of an account, are dropped too: see [`restored`].
const ENDED_BY_RESTORE: [&str; 2] = [SESSIONS, SIGNING_KEYS];

type Values = BTreeMap<String, Arc<[u8]>>;

/// All durable state, at one revision of a store.
#[derive(Clone, PartialEq, Eq)]
pub struct Archive {
    summary: Summary,
    entries: Values,
}

/// A summary of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// When it was taken.
    pub made_at: Timestamp,
    /// Number of keys.
    pub entries: usize,
    /// The generation in force.
    pub generation: Generation,
    /// Its commit.
    pub commit: CommitId,
    /// The cluster's name.
    pub cluster: Option<Name>,
}

/// Values may be secret: only the summary is shown.
impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive")
            .field("summary", &self.summary)
            .finish_non_exhaustive()
    }
}

impl Archive {
    /// Reads a store at one revision. The store may compact that revision during the read; then the next one is tried.
    ///
    /// # Errors
    /// If the store fails, contains something this program cannot read, must not be used by an engine, or has no commit
    /// in force.
    pub async fn take(store: &dyn Store, made_at: Timestamp) -> Result<Self, ArchiveError> {
        let entries = read(store).await?;
        match unfit(&entries)? {
            Some(unfit) => Err(unfit.into()),
            None => Self::of(&entries, made_at),
        }
    }

    /// The entries of a store that are durable and readable.
    fn of(entries: &[Entry], made_at: Timestamp) -> Result<Self, ArchiveError> {
        let mut values = lasting(entries);
        content::leave_out_broken(&mut values);
        Self::new(values, made_at)
    }

    fn new(entries: Values, made_at: Timestamp) -> Result<Self, ArchiveError> {
        let summary = content::check(&entries, made_at)?;
        Ok(Self { summary, entries })
    }

    /// The archive without entries that a restore drops anyway (sessions, open codes, signing keys), so that a file
    /// kept for a long time contains no more secrets than necessary.
    ///
    /// # Errors
    /// If an account cannot be read.
    pub fn without_ended(mut self) -> Result<Self, ArchiveError> {
        self.entries.retain(|key, _| outlives_restore(key));
        for (key, value) in &mut self.entries {
            *value = restored(key, value)?;
        }
        self.summary.entries = self.entries.len();
        Ok(self)
    }

    /// A summary of its content.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }
}

impl State {
    /// Takes a backup of the running state.
    ///
    /// # Errors
    /// As [`Archive::take`].
    pub async fn archive(&self, made_at: Timestamp) -> Result<Archive, ArchiveError> {
        Archive::take(&*self.store, made_at).await?.without_ended()
    }
}

/// Whether a key is durable: neither ephemeral nor a mark of this module.
fn lasts(key: &str) -> bool {
    let mark = [RESTORING, MOVED].contains(&key);
    let ours = ROOTS.iter().any(|root| key.starts_with(root));
    ours && !is_of_the_moment(key) && !mark
}

/// Whether a key goes into the store that a backup is restored to.
fn outlives_restore(key: &str) -> bool {
    !ENDED_BY_RESTORE
        .iter()
        .any(|prefix: &&str| key.starts_with(prefix))
}

fn lasting(entries: &[Entry]) -> Values {
    let lasting = entries
        .iter()
        .filter(|entry| entry.lease.is_none() && lasts(&entry.key));
    let pair = |entry: &Entry| (entry.key.clone(), Arc::clone(&entry.value));
    lasting.map(pair).collect()
}

/// Everything of ours in a store, at one revision.
async fn read(store: &dyn Store) -> Result<Vec<Entry>, StateError> {
    let mut wait = FIRST_WAIT;
    for _ in 1..ATTEMPTS {
        match read_once(store).await {
            Err(StoreError::Unavailable { .. }) => tokio::time::sleep(wait).await,
            read => return Ok(read?),
        }
        wait *= 2;
    }
    Ok(read_once(store).await?)
}

fn find<'a>(entries: &'a [Entry], key: &str) -> Option<&'a Entry> {
    entries.iter().find(|entry| entry.key == key)
}

async fn read_once(store: &dyn Store) -> Result<Vec<Entry>, StoreError> {
    let snapshot = store.snapshot().await?;
    let mut entries = Vec::new();
    for root in ROOTS {
        entries.extend(read_all(&*snapshot, &KeyRange::prefix(root)).await?);
    }
    Ok(entries)
}
