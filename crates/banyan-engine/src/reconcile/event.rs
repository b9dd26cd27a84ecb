//! Events of passes, for observers.

use std::sync::Arc;
use std::time::Duration;

use banyan_core::{Applied, CommitInfo, Finding, Plan};

/// The result of a pass. An unchanged branch is not an event.
#[derive(Debug, Clone)]
pub enum Event {
    /// A commit is in force.
    Applied {
        /// The generation and its commit.
        applied: Applied,
        /// What it changed.
        plan: Arc<Plan>,
        /// From the start of the pass until both store and peers were updated.
        took: Duration,
    },
    /// A commit was refused.
    Refused {
        /// The commit.
        commit: CommitInfo,
        /// Why.
        findings: Arc<Vec<Finding>>,
    },
    /// Records or peers that were changed out of band were restored.
    PutBack {
        /// Descriptions of what was restored.
        what: Vec<String>,
    },
    /// A pass failed and will be retried.
    Failed {
        /// Why.
        error: String,
    },
}
