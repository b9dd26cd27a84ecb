//! What an audit log says, and the chain that shows when somebody changed it.
//!
//! Nothing here has a field for a secret: who did what to what, from where, and with what outcome. What callers say of
//! themselves is bounded and escaped ([`Text`]) before it is an entry's.

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

/// The most characters of an explanation: a reason, or what else there is to say.
pub const MAX_DETAIL: usize = 1024;

/// One thing that was done, or that somebody wanted to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// From where: an address, or `local socket`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Text>,
    /// What.
    pub action: Action,
    /// To what, such as `user alice`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<Text>,
    /// With what outcome.
    pub outcome: Outcome,
    /// The commit that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
    /// The generation that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<Generation>,
    /// What else there is to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Text<MAX_DETAIL>>,
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Actor {
    /// A process on the engine's host, by the kernel's word.
    Host {
        /// Whose process.
        uid: u32,
    },
    /// A user, known by credentials.
    User {
        /// The id, which is never reused.
        id: Text,
        /// The name at that time.
        name: Text,
    },
    /// Whoever made a commit, by the commit's own word.
    Git {
        /// The commit.
        commit: CommitId,
        /// `Name <address>` of its author.
        author: Text,
    },
    /// The engine itself.
    Engine,
    /// Somebody who has not shown who it is.
    Nobody {
        /// Who it says that it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        claimed: Option<Text>,
    },
}

impl Actor {
    /// The author of a commit.
    #[must_use]
    pub fn author(commit: &CommitInfo) -> Self {
        Self::Git {
            commit: commit.id,
            author: Text::new(&commit.author),
        }
    }
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It happened.
    Done,
    /// It did not.
    Refused {
        /// Why not.
        reason: Text<MAX_DETAIL>,
    },
}

impl AuditEntry {
    /// Something that was done.
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

    /// From where it was done.
    #[must_use]
    pub fn via(mut self, via: &str) -> Self {
        self.via = Some(Text::new(via));
        self
    }

    /// To what it was done.
    #[must_use]
    pub fn on(mut self, object: &str) -> Self {
        self.object = Some(Text::new(object));
        self
    }

    /// That it was not done, and why.
    #[must_use]
    pub fn refused(mut self, reason: &str) -> Self {
        let reason = Text::new(reason);
        self.outcome = Outcome::Refused { reason };
        self
    }

    /// The commit that it is about.
    #[must_use]
    pub fn commit(mut self, commit: CommitId) -> Self {
        self.commit = Some(commit);
        self
    }

    /// The generation that it is about.
    #[must_use]
    pub fn generation(mut self, generation: Generation) -> Self {
        self.generation = Some(generation);
        self
    }

    /// What else there is to say.
    #[must_use]
    pub fn detail(mut self, detail: &str) -> Self {
        self.detail = Some(Text::new(detail));
        self
    }
}
