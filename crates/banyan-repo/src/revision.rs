//! What is decided about: a commit, and what its tree says.

use banyan_core::{CommitId, CommitInfo};
use banyan_git::Commit;
use banyan_manifest::Loaded;
use jiff::Timestamp;

/// A commit and what its tree says.
#[derive(Debug, Clone)]
pub struct Revision {
    /// The commit.
    pub commit: CommitInfo,
    /// Its documents and what is wrong with them.
    pub loaded: Loaded,
}

impl Revision {
    /// What a commit's tree says.
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

    /// A tree that nobody has committed, judged as a commit that says nothing about itself.
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
