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
    /// The store failed, or holds what this program cannot read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The store is one that no engine may run on.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// There is nothing to archive.
    #[error("no commit is in force, so there is nothing to keep")]
    NothingInForce,
    /// The file could not be read.
    #[error("the backup could not be read to its end")]
    Read(#[source] io::Error),
    /// The file is something else.
    #[error("this is not a backup made by `banyan-engine backup`")]
    NotABackup,
    /// A later version of the program made the file.
    #[error(
        "the backup has format {found}, this program reads up to {known}; use the program version that made it"
    )]
    Later {
        /// The backup's format.
        found: u32,
        /// The highest that this program knows.
        known: u32,
    },
    /// The file ends too early.
    #[error("the backup is cut off in or after line {line}; use another one")]
    CutOff {
        /// The last line there is, from 1.
        line: usize,
    },
    /// The file was altered.
    #[error("the backup was damaged or altered: line {line} {what}; use another one")]
    Altered {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The file is unaltered, but does not contain a state.
    #[error("the backup does not hold the state of an engine: {key:?} is missing or wrong")]
    Unsound {
        /// The first such key.
        key: String,
    },
    /// The store to fill has a state of its own.
    #[error("the store holds generation {generation} of commit {commit} already")]
    InForce {
        /// The generation in force.
        generation: Generation,
        /// Its commit.
        commit: CommitId,
    },
    /// Engines are running on the store to fill.
    #[error("engines are running on the store: {}; stop them first, and wait a few seconds", names.join(", "))]
    EnginesRun {
        /// Their names.
        names: Vec<String>,
    },
    /// Another restore or migration writes to the same store.
    #[error("another restore or migration into the same store is under way; let one finish")]
    Overtaken,
    /// The entries read back differ from those written.
    #[error("{key} reads otherwise than it was written; check the store, then run this again")]
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
