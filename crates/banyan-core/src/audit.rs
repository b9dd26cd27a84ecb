//! The entries of an audit log, and the hash chain that reveals tampering.
//!
//! Entries have no field for a secret: they record who did what to which object, from where, and the outcome. Text
//! supplied by callers is bounded and escaped ([`Text`]) before it enters an entry.

mod action;
mod chain;
#[cfg(test)]
mod tests;
mod text;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use action::Action;
pub use chain::{Anchor, Anchored, Break, Fault, Head, Link, Verified, Verifier, genesis, verify};
pub use text::Text;

use crate::{CommitId, CommitInfo, Generation};

/// Maximum length of a reason or detail, in characters.
pub const MAX_DETAIL: usize = 1024;

/// One action, done or attempted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When it happened.
    pub at: Timestamp,
    /// Who did it.
    pub actor: Actor,
    /// Where it came from: an address, or `local socket`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Text>,
    /// What was done.
    pub action: Action,
    /// The object, such as `user alice`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<Text>,
    /// Whether it was done or refused.
    pub outcome: Outcome,
    /// The commit concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
    /// The generation concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<Generation>,
    /// Further details.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Text<MAX_DETAIL>>,
}

/// Who performed an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Actor {
    /// A process on the engine's host, identified by the kernel.
    Host {
        /// The uid of the process.
        uid: u32,
    },
    /// An authenticated user.
    User {
        /// The id, which is never reused.
        id: Text,
        /// The name at that time.
        name: Text,
    },
    /// The author of a commit, as the commit states.
    Git {
        /// The commit.
        commit: CommitId,
        /// `Name <address>` of its author.
        author: Text,
    },
    /// The engine itself.
    Engine,
    /// An unauthenticated caller.
    Nobody {
        /// The name the caller claimed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        claimed: Option<Text>,
    },
}

impl Actor {
    /// The author of a commit, as an actor.
    #[must_use]
    pub fn author(commit: &CommitInfo) -> Self {
        Self::Git {
            commit: commit.id,
            author: Text::new(&commit.author),
        }
    }
}

/// The outcome of an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was refused.
    Refused {
        /// The reason.
        reason: Text<MAX_DETAIL>,
    },
}

impl AuditEntry {
    /// An entry for a completed action.
    #[must_use]
    pub fn new(at: Timestamp, actor: Actor, action: Action) -> Self {
        Self {
            at,
            actor,
            via: None,
            action,
            object: None,
            outcome: Outcome::Done,
            commit: None,
            generation: None,
            detail: None,
        }
    }

    /// Sets where the action came from.
    #[must_use]
    pub fn via(mut self, via: &str) -> Self {
        self.via = Some(Text::new(via));
        self
    }

    /// Sets the object.
    #[must_use]
    pub fn on(mut self, object: &str) -> Self {
        self.object = Some(Text::new(object));
        self
    }

    /// Marks the action as refused, with the reason.
    #[must_use]
    pub fn refused(mut self, reason: &str) -> Self {
        let reason = Text::new(reason);
        self.outcome = Outcome::Refused { reason };
        self
    }

    /// Sets the commit.
    #[must_use]
    pub fn commit(mut self, commit: CommitId) -> Self {
        self.commit = Some(commit);
        self
    }

    /// Sets the generation.
    #[must_use]
    pub fn generation(mut self, generation: Generation) -> Self {
        self.generation = Some(generation);
        self
    }

    /// Sets further details.
    #[must_use]
    pub fn detail(mut self, detail: &str) -> Self {
        self.detail = Some(Text::new(detail));
        self
    }
}
