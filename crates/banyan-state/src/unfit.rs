//! Why no engine may run on a store.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

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
        "this store was moved to {to} at {at:.0}; set `engine.store_backend: etcd`, or remove this store to start again from git"
    )]
    Moved {
        /// Where to.
        to: String,
        /// When.
        at: Timestamp,
    },
}
