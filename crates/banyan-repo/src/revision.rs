//! The subject of a decision: a commit and its documents.

use banyan_core::{CommitId, CommitInfo};
use banyan_git::Commit;
use banyan_manifest::Loaded;
use jiff::Timestamp;

/// A commit and its documents.
#[derive(Debug, Clone)]
pub struct Revision {
    /// The commit.
    pub commit: CommitInfo,
    /// The documents and their findings.
    pub loaded: Loaded,
}

impl Revision {
    /// A commit with what was loaded from its tree.
    #[must_use]
    pub fn of(commit: Commit, loaded: Loaded) -> Self {
        let commit = CommitInfo {
            id: commit.id,
            author: format!("{} <{}>", commit.author.name, commit.author.email),
            committed_at: commit.committed_at,
            summary: commit.summary,
            trailers: commit.trailers,
        };
        Self { commit, loaded }
    }

    /// An uncommitted tree, treated as a commit without author, message or trailers.
    #[must_use]
    pub fn uncommitted(loaded: Loaded, now: Timestamp) -> Self {
        let commit = CommitInfo {
            id: CommitId::from_sha1([0; 20]),
            author: String::new(),
            committed_at: now,
            summary: String::new(),
            trailers: Vec::new(),
        };
        Self { commit, loaded }
    }
}
