//! Store errors. The cause, if any, is the `source`.

use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use crate::LeaseId;

/// Why a store operation failed. A failed compare is no error, see
/// [`Outcome::Conflict`](crate::Outcome::Conflict).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A request exceeds a limit of the interface; nothing was done.
    #[error("{what}: {got} is more than the limit of {limit}")]
    TooLarge {
        /// The quantity that is too large, with its unit.
        what: &'static str,
        /// The maximum.
        limit: usize,
        /// The requested amount.
        got: usize,
    },
    /// A transaction writes one key twice; nothing was done.
    #[error("the key {key:?} occurs twice in one transaction; a transaction may write it once")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// An invalid key; nothing was done.
    #[error("{key:?} cannot be a key: {reason}")]
    BadKey {
        /// The key.
        key: String,
        /// Why not.
        reason: &'static str,
    },
    /// The lease has expired, was revoked, or was never granted.
    #[error("lease {lease} does not exist or has expired; request a new one")]
    LeaseNotFound {
        /// The lease.
        lease: LeaseId,
    },
    /// The store is unavailable. A write may or may not have happened: read before writing again.
    #[error("the store failed while {doing}; try again, and check its disk or server")]
    Unavailable {
        /// What was being done.
        doing: &'static str,
        /// The cause.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The server denied access: authentication, authorization, or one side's certificate failed. Nothing was done, and
    /// retrying does not help until the options or the server are changed.
    #[error(
        "the store's server denied access while {doing}; check the user, the password, the permissions of its role, and the certificates"
    )]
    Denied {
        /// What was being done.
        doing: &'static str,
        /// The cause.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// An option of the store is invalid; no server was contacted.
    #[error("invalid {option}: {reason}")]
    BadOption {
        /// The option's name in the backend's options.
        option: &'static str,
        /// Why not, and what to use instead. Never contains a secret.
        reason: String,
    },
    /// The file holds no usable store. It was left unchanged.
    #[error(
        "{place} is not a usable store: {detail}; restore it from a backup, or move it away to start empty"
    )]
    Corrupt {
        /// The file, or a name for its substitute.
        place: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The file was written by another version of this program. It was left unchanged.
    #[error(
        "{place} has store format {found}, but this version reads format {supported}; use the version that wrote it"
    )]
    Format {
        /// The file, or a name for its substitute.
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
    /// The file could not be created or opened.
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
