//! Why a pass came to no decision.

use banyan_core::Finding;
use banyan_state::{AdvanceError, StateError};

use super::reader::ReadFailure;

/// Why a pass came to no decision.
#[derive(Debug, thiserror::Error)]
pub(super) enum PassFailure {
    #[error(transparent)]
    Read(#[from] ReadFailure),
    #[error(transparent)]
    Advance(#[from] AdvanceError),
    #[error("the commit in force can no longer be read, so altered records cannot be restored from it: {}", first(.0))]
    Unrestorable(Vec<Finding>),
    #[error("a pass was aborted")]
    Broken(#[from] tokio::task::JoinError),
}

fn first(findings: &[Finding]) -> String {
    let first = findings.first();
    first.map(ToString::to_string).unwrap_or_default()
}

impl PassFailure {
    /// Whether the only problem is that the state changed since the decision.
    pub(super) fn is_superseded(&self) -> bool {
        matches!(self, Self::Advance(AdvanceError::Superseded { .. }))
    }

    /// Whether the only problem is that this engine no longer leads.
    pub(super) fn is_another_leads(&self) -> bool {
        matches!(
            self,
            Self::Advance(AdvanceError::State(StateError::NotLeading))
        )
    }
}
