//! Which commits may follow the one in force.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::CommitId;

/// What was decided about commits that do not descend from the one in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "floor", rename_all = "lowercase")]
pub enum Floor {
    /// This one, and what descends from it, may get into force.
    Accepted {
        /// The commit.
        commit: CommitId,
        /// When it was accepted.
        at: Timestamp,
    },
    /// A backup was restored: nothing may, until a commit is accepted.
    Restored {
        /// When.
        at: Timestamp,
    },
}
