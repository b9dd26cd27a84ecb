//! Why no engine may run on a store.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The operation that fills a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Work {
    /// A restore from a backup.
    Restore,
    /// A migration from another store.
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
        "a {work} into this store was started at {at:.0} and has not finished; if it is no longer running, it was interrupted: run it again"
    )]
    Unfinished {
        /// The operation.
        work: Work,
        /// When it was started.
        at: Timestamp,
    },
    /// Its content was moved elsewhere.
    #[error(
        "this store was moved to {to} at {at:.0}; set `engine.store_backend: etcd`, or remove this store to start with an empty state from git"
    )]
    Moved {
        /// The location of the other store.
        to: String,
        /// When it was moved.
        at: Timestamp,
    },
}
