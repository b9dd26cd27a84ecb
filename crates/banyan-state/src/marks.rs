//! Marks of a store that no engine may run on: one that is partly filled, and one that was moved to another.

use banyan_store::Entry;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub(crate) use crate::key::{MOVED, RESTORING};
use crate::{StateError, Unfit, Work, stored};

/// The value of [`RESTORING`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Restoring {
    pub(crate) work: Work,
    /// The digest of the content.
    pub(crate) content: String,
    pub(crate) at: Timestamp,
}

/// The value of [`MOVED`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Moved {
    pub(crate) to: String,
    pub(crate) at: Timestamp,
}

/// Why no engine may run on a store with these entries; `None` if engines may.
pub(crate) fn unfit(entries: &[Entry]) -> Result<Option<Unfit>, StateError> {
    if let Some(Restoring { work, at, .. }) = restoring(entries)? {
        return Ok(Some(Unfit::Unfinished { work, at }));
    }
    let moved = moved(entries)?;
    Ok(moved.map(|Moved { to, at }| Unfit::Moved { to, at }))
}

pub(crate) fn restoring(entries: &[Entry]) -> Result<Option<Restoring>, StateError> {
    mark(entries, RESTORING)
}

pub(crate) fn moved(entries: &[Entry]) -> Result<Option<Moved>, StateError> {
    mark(entries, MOVED)
}

fn mark<T: serde::de::DeserializeOwned>(
    entries: &[Entry],
    key: &str,
) -> Result<Option<T>, StateError> {
    let entry = entries.iter().find(|entry| entry.key == key);
    entry
        .map(|entry| stored::decode(key, &entry.value))
        .transpose()
}
