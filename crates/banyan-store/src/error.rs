//! What can go wrong in a store. The cause, where there is one, is the `source`.

use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use crate::LeaseId;

/// Why a store did not do what it was asked. A compare that failed is no error, see
/// [`Outcome::Conflict`](crate::Outcome::Conflict).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A request is beyond a limit of the interface; nothing was done.
    #[error("{what}: {got} is more than the limit of {limit}")]
    TooLarge {
        /// What is too large, with its unit.
        what: &'static str,
        /// The most that is allowed.
        limit: usize,
        /// What was asked.
        got: usize,
    },
    /// A transaction writes one key twice; nothing was done.
    #[error("the key {key:?} occurs twice in one transaction; a transaction may write it once")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// A key that no store takes; nothing was done.
    #[error("{key:?} cannot be a key: {reason}")]
    BadKey {
        /// The key.
        key: String,
        /// Why not.
        reason: &'static str,
    },
    /// The lease has expired, was revoked, or was never granted.
    #[error("lease {lease} does not exist (any more); ask for a new one")]
    LeaseNotFound {
        /// The lease.
        lease: LeaseId,
    },
    /// The store cannot be used now. A write may or may not have happened: read before writing
    /// again.
    #[error("the store failed while {doing}; try again, and check its disk or server")]
    Unavailable {
        /// What was being done.
        doing: &'static str,
        /// The cause.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The server was reached and refused us: who we say we are, what we may do, or one side's
    /// certificate. Nothing was done, and trying again does not help before somebody has changed the
    /// options or the server.
    #[error(
        "the store's server refused us while {doing}; check the user, the password, the permissions of its role, and the certificates"
    )]
    Denied {
        /// What was being done.
        doing: &'static str,
        /// The cause.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// An option of the store cannot be used; no server was asked.
    #[error("{option} cannot be used: {reason}")]
    BadOption {
        /// The option, as the backend's options call it.
        option: &'static str,
        /// Why not, and what to give instead. Never has a secret.
        reason: String,
    },
    /// The file holds no usable store. It was left as it is.
    #[error(
        "{place} is not a usable store: {detail}; restore it from a backup, or move it away to start empty"
    )]
    Corrupt {
        /// The file, or a name for what stands in for it.
        place: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The file was written by another version of this program. It was left as it is.
    #[error(
        "{place} has store format {found}, this version reads format {supported}; use the version that wrote it"
    )]
    Format {
        /// The file, or a name for what stands in for it.
        place: String,
        /// The format found.
        found: u64,
        /// The format this version reads and writes.
        supported: u64,
    },
    /// Another process, or another handle in this one, has the file open.
    #[error("{} is in use by another process; stop that one first, or give this one its own file", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The file could not be made or opened.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was being done to the path.
        doing: &'static str,
        /// The path.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl StoreError {
    /// [`StoreError::Unavailable`] with its cause.
    pub fn unavailable(
        doing: &'static str,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::Unavailable {
            doing,
            source: source.into(),
        }
    }

    /// [`StoreError::Denied`] with its cause.
    pub fn denied(doing: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Denied {
            doing,
            source: source.into(),
        }
    }
}

/// An error and its causes, on one line.
#[must_use]
pub fn report(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a String cannot fail.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
