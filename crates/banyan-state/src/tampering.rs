//! Out-of-band changes to the store.

use std::fmt;

use crate::key::{POINTER, RecordKey};

/// What happened to a record in force, or to the pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tampering {
    /// It was deleted.
    Removed,
    /// It was given another value.
    Altered,
    /// It was put there, and belongs to no commit.
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

/// What happened, for people: `user alice was altered`.
pub(crate) fn describe(key: &str, tampering: Tampering) -> String {
    match RecordKey::parse(key) {
        Some(record) => format!("{} {} was {tampering}", record.kind, record.name),
        None if key == POINTER => format!("the pointer to the records in force was {tampering}"),
        // A foreign key: of any length and content.
        None => {
            let key: String = key.chars().take(80).collect();
            format!("the key {key:?} was {tampering}")
        }
    }
}
