//! Marks of a store that no engine may run on: one partly filled, and one that was moved to
//! another.

use std::fmt;

use banyan_store::Entry;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub(super) use crate::key::{MOVED, RESTORING};
use crate::{StateError, stored};

/// How a store is being filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Work {
    /// From a backup.
    Restore,
    /// From another store.
    Migration,
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Restore => "restore",
            Self::Migration => "migration",
        })
    }
}

/// Why no engine may run on a store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It contains part of a backup or of another store.
    #[error(
        "a {work} into this store was begun at {at:.0} and is not finished; if none is running, it was interrupted: run it again"
    )]
    Unfinished {
        /// What was being done.
        work: Work,
        /// Since when.
        at: Timestamp,
    },
    /// Its content was moved elsewhere.
    #[error(
        "this store was moved to {to} at {at:.0}; set `engine.store_backend: etcd`, or remove this store to start anew from git"
    )]
    Moved {
        /// Where to.
        to: String,
        /// When.
        at: Timestamp,
    },
}

/// The value of [`RESTORING`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Restoring {
    pub(super) work: Work,
    /// The digest of what goes in.
    pub(super) content: String,
    pub(super) at: Timestamp,
}

/// The value of [`MOVED`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Moved {
    pub(super) to: String,
    pub(super) at: Timestamp,
}

/// Why no engine may run on a store with these entries, if so.
pub(crate) fn unfit(entries: &[Entry]) -> Result<Option<Unfit>, StateError> {
    if let Some(Restoring { work, at, .. }) = restoring(entries)? {
        return Ok(Some(Unfit::Unfinished { work, at }));
    }
    let moved = moved(entries)?;
    Ok(moved.map(|Moved { to, at }| Unfit::Moved { to, at }))
}

pub(super) fn restoring(entries: &[Entry]) -> Result<Option<Restoring>, StateError> {
    mark(entries, RESTORING)
}

pub(super) fn moved(entries: &[Entry]) -> Result<Option<Moved>, StateError> {
    mark(entries, MOVED)
}

fn mark<T: serde::de::DeserializeOwned>(
    entries: &[Entry],
    key: &str,
) -> Result<Option<T>, StateError> {
    let entry = super::find(entries, key);
    entry
        .map(|entry| stored::decode(key, &entry.value))
        .transpose()
}
