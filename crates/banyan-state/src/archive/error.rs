//! Why a backup could not be taken, read or restored.

use std::io;

use banyan_core::{CommitId, Generation};
use banyan_store::StoreError;

use crate::StateError;
use crate::Unfit;

/// What went wrong with an archive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The store failed, or contains something this program cannot read.
    #[error(transparent)]
    State(#[from] StateError),
    /// No engine may run on the store.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// There is nothing to archive.
    #[error("no commit is in force, so there is nothing to back up")]
    NothingInForce,
    /// The file could not be read.
    #[error("the backup could not be read to its end")]
    Read(#[source] io::Error),
    /// The file is not a backup.
    #[error("this is not a backup made by `banyan-engine backup`")]
    NotABackup,
    /// The file was written by a later version of the program.
    #[error(
        "the backup has format {found}, but this program supports only formats up to {known}; use the version of the program that created it"
    )]
    Later {
        /// The backup's format.
        found: u32,
        /// The highest format this program reads.
        known: u32,
    },
    /// The file ends too early.
    #[error("the backup is cut off in or after line {line}; use another one")]
    CutOff {
        /// The last line, from 1.
        line: usize,
    },
    /// The file was altered.
    #[error("the backup is damaged or was altered: line {line} {what}; use another one")]
    Altered {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// The file is intact, but does not contain a valid state.
    #[error("the backup does not contain the state of an engine: {key:?} is missing or invalid")]
    Unsound {
        /// The first such key.
        key: String,
    },
    /// The target store already has a state.
    #[error("the store already contains generation {generation} of commit {commit}")]
    InForce {
        /// The generation in force.
        generation: Generation,
        /// Its commit.
        commit: CommitId,
    },
    /// Engines are running on the target store.
    #[error("engines are running on the store: {}; stop them first, and wait a few seconds", names.join(", "))]
    EnginesRun {
        /// Their names.
        names: Vec<String>,
    },
    /// Another restore or migration writes to the same store.
    #[error("another restore or migration into the same store is running; let it finish")]
    Overtaken,
    /// The entries read back differ from those written.
    #[error(
        "{key} was read back with a different value than was written; check the store, then run this again"
    )]
    Different {
        /// The first such key.
        key: String,
    },
}

impl From<StoreError> for ArchiveError {
    fn from(error: StoreError) -> Self {
        Self::State(error.into())
    }
}
