//! The fencing token: which engine may change what is in force, and until when it may assume so.

use std::sync::{Arc, Mutex, PoisonError};

use banyan_store::{Compare, Revision};
use tokio::time::Instant;

use crate::key::LEADER;

/// The right to change what is in force. The store compares every write with it, so that an engine that was paused or
/// partitioned and still believes that it leads cannot write.
#[derive(Debug, Clone)]
pub struct Term(Option<Elected>);

#[derive(Debug, Clone)]
struct Elected {
    at: Revision,
    valid_until: Arc<Mutex<Instant>>,
}

impl Term {
    /// The right of the only engine on a store that no other process can open.
    #[must_use]
    pub fn alone() -> Self {
        Self(None)
    }

    /// The right of the engine whose leader key was created at this revision.
    pub(crate) fn elected(at: Revision, valid_until: Instant) -> Self {
        Self(Some(Elected {
            at,
            valid_until: Arc::new(Mutex::new(valid_until)),
        }))
    }

    /// The revision at which it was elected; `None` if no election is needed.
    #[must_use]
    pub fn elected_at(&self) -> Option<Revision> {
        self.0.as_ref().map(|elected| elected.at)
    }

    /// Extends the right after the lease was renewed.
    pub(crate) fn extend(&self, until: Instant) {
        if let Some(elected) = &self.0 {
            *elected.lock() = until;
        }
    }

    /// Whether the lease can still be alive, by this process's own clock. The store has the final say.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let elected = self.0.as_ref();
        elected.is_none_or(|elected| Instant::now() < *elected.lock())
    }

    /// The condition of every write.
    pub(crate) fn compare(&self) -> Option<Compare> {
        self.0.as_ref().map(|elected| Compare::Created {
            key: LEADER.to_owned(),
            at: elected.at,
        })
    }
}

impl Elected {
    fn lock(&self) -> std::sync::MutexGuard<'_, Instant> {
        self.valid_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
