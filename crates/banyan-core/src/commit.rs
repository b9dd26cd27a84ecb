//! Commits and generations, reduced to what decisions need.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::CommitId;

/// The number of a target; each applied target is one more than its parent.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl Generation {
    /// The following generation.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A commit, reduced to what decisions need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitInfo {
    /// Its id.
    pub id: CommitId,
    /// `Name <address>` of the author.
    pub author: String,
    /// The commit time, as the commit states.
    pub committed_at: Timestamp,
    /// The first line of its message.
    pub summary: String,
    /// The trailers of its message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trailers: Vec<(String, String)>,
}
