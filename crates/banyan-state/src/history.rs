//! The outcome of each commit.

use banyan_core::{CommitInfo, Counts, Finding, Generation, Reduction};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The number of retained entries; the oldest are trimmed first, except those that a guard still counts.
pub const MAX_HISTORY: usize = 1_000;

/// One commit and its outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// When it was decided.
    pub at: Timestamp,
    /// The commit.
    pub commit: CommitInfo,
    /// How long the pass had taken by then, in milliseconds.
    pub took_ms: u64,
    /// Its outcome.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// The outcome of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub enum Outcome {
    /// It was applied.
    Applied {
        /// The generation.
        generation: Generation,
        /// The number of objects added, changed and removed.
        counts: Counts,
        /// What it removed without a trailer.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        reductions: Vec<Reduction>,
    },
    /// Records in the store had been altered; they were restored to this commit.
    Restored {
        /// The restored objects; only the first ones if there are many.
        what: Vec<String>,
        /// The total number.
        total: usize,
    },
    /// It was refused; what was in force still is.
    Refused {
        /// The reasons; only the first ones if there are many.
        findings: Vec<Finding>,
        /// The total number.
        total: usize,
    },
}

impl HistoryEntry {
    /// The reductions that guards still count at `now`.
    pub(crate) fn counted(&self, now: Timestamp) -> impl Iterator<Item = &Reduction> {
        let reductions = match &self.outcome {
            Outcome::Applied { reductions, .. } => reductions.as_slice(),
            Outcome::Refused { .. } | Outcome::Restored { .. } => &[],
        };
        reductions.iter().filter(move |r| r.counts_at(now))
    }
}
