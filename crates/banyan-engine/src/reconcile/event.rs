//! What passes do, for those who watch.

use std::sync::Arc;
use std::time::Duration;

use banyan_core::{Applied, CommitInfo, Finding, Plan};

/// What a pass did. An unchanged branch is no event.
#[derive(Debug, Clone)]
pub enum Event {
    /// A commit is in force.
    Applied {
        /// The generation and its commit.
        applied: Applied,
        /// What it changed.
        plan: Arc<Plan>,
        /// From the start of the pass until store and peers had it.
        took: Duration,
    },
    /// A commit was refused.
    Refused {
        /// The commit.
        commit: CommitInfo,
        /// Why.
        findings: Arc<Vec<Finding>>,
    },
    /// Records or peers that were changed outside of the engine are as they should be again.
    PutBack {
        /// What it was, for people.
        what: Vec<String>,
    },
    /// A pass failed; it is tried again.
    Failed {
        /// Why.
        error: String,
    },
}
