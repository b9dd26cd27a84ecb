//! What can go wrong between records and a store.

use banyan_core::Generation;
use banyan_store::StoreError;

/// Why the state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The store said no.
    #[error("the store did not answer as it should")]
    Store(#[from] StoreError),
    /// Something in the store is not what this program writes.
    #[error(
        "what the store holds under {key} cannot be read; restore a backup, or remove the store to start anew from git"
    )]
    Corrupt {
        /// The key.
        key: String,
        /// What is wrong with the value, where the key itself is right.
        source: Option<serde_json::Error>,
    },
    /// A later version of the program wrote the store.
    #[error(
        "the store has format {found}, this program reads up to {known}; use the program version that wrote it"
    )]
    Newer {
        /// The store's format.
        found: u32,
        /// The highest that this program knows.
        known: u32,
    },
    /// A record could not be written down.
    #[error("a record could not be encoded")]
    Encode(#[source] serde_json::Error),
    /// Another engine leads, or may lead.
    #[error("this engine does not lead (any more), so it writes nothing")]
    NotLeading,
    /// No engine may run on the store.
    #[error(transparent)]
    Unfit(crate::Unfit),
    /// Records that were not those that were applied have changed, so that they may be now.
    #[error("records that are not those that were applied have changed, and are read anew")]
    Changed,
    /// Two requests wanted the same thing at once.
    #[error("{what}; look at how it is now and try again")]
    Conflict {
        /// What stands in the way.
        what: String,
    },
    /// The view does not follow the store at present, so nothing can be acknowledged.
    #[error("the write is stored, but the live view does not show it yet")]
    Stopped,
}

/// Why a target did not get into force.
#[derive(Debug, thiserror::Error)]
pub enum AdvanceError {
    /// Another target got into force first, or people were changed; this one builds on what is past.
    #[error(
        "something else was changed first, so what was decided on generation {parent} is not applied"
    )]
    Superseded {
        /// The generation on which the target builds.
        parent: Generation,
    },
    /// The state could not be read or written. What was in force still is.
    #[error("the target could not be brought into force")]
    State(#[from] StateError),
}

impl From<StoreError> for AdvanceError {
    fn from(error: StoreError) -> Self {
        Self::State(error.into())
    }
}
