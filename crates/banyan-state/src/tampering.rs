//! Out-of-band changes to the store.

use std::fmt;

use crate::key::{POINTER, RecordKey};

/// An out-of-band change of a record in force, or of the pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tampering {
    /// It was deleted.
    Removed,
    /// Its value was changed.
    Altered,
    /// It was added and belongs to no commit.
    Added,
}

impl fmt::Display for Tampering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Removed => "removed",
            Self::Altered => "altered",
            Self::Added => "added",
        })
    }
}

/// A description of the change: `user alice was altered`.
pub(crate) fn describe(key: &str, tampering: Tampering) -> String {
    match RecordKey::parse(key) {
        Some(record) => format!("{} {} was {tampering}", record.kind, record.name),
        None if key == POINTER => format!("the pointer to the records in force was {tampering}"),
        // An unknown key may have any length and content.
        None => {
            let key: String = key.chars().take(80).collect();
            format!("the key {key:?} was {tampering}")
        }
    }
}
