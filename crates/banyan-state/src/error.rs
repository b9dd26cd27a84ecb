//! Errors of the state.

use banyan_core::Generation;
use banyan_store::StoreError;

/// Why the state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The store failed or refused the request.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// The store contains something this program does not write.
    #[error(
        "the entry {key} of the store is unreadable; restore a backup, or remove the store to start with an empty state from git"
    )]
    Corrupt {
        /// The key.
        key: String,
        /// The parse error, if the key itself is valid.
        source: Option<serde_json::Error>,
    },
    /// The store was written by a later version of the program.
    #[error(
        "the store has format {found}, but this program supports only formats up to {known}; use the version of the program that wrote it"
    )]
    Newer {
        /// The store's format.
        found: u32,
        /// The highest format this program reads.
        known: u32,
    },
    /// A record could not be encoded.
    #[error("a record could not be encoded")]
    Encode(#[source] serde_json::Error),
    /// Another engine leads, or may lead.
    #[error("this engine does not lead (any longer) and so must not write")]
    NotLeading,
    /// No engine may run on the store.
    #[error(transparent)]
    Unfit(crate::Unfit),
    /// Records that had been altered were changed again and may be correct now.
    #[error("altered records have changed again; reading the state again")]
    Changed,
    /// Two requests conflicted.
    #[error("{what}; check the current state and try again")]
    Conflict {
        /// The conflict.
        what: String,
    },
    /// The view does not follow the store at present, so the write cannot be acknowledged.
    #[error("the write is stored, but the live view does not show it yet")]
    Stopped,
}

/// Why a target was not applied.
#[derive(Debug, thiserror::Error)]
pub enum AdvanceError {
    /// Another target was applied first, or users were changed; this one is based on an outdated state.
    #[error(
        "a concurrent change came first, so the decision based on generation {parent} was not applied"
    )]
    Superseded {
        /// The generation the target is based on.
        parent: Generation,
    },
    /// The state could not be read or written. What was in force still is.
    #[error("the target could not be applied")]
    State(#[from] StateError),
}

impl From<StoreError> for AdvanceError {
    fn from(error: StoreError) -> Self {
        Self::State(error.into())
    }
}
