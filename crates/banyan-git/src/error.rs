//! What can go wrong, in three layers: reading objects, fetching a source, watching it.

use std::io;
use std::path::PathBuf;

use banyan_core::CommitId;

use crate::RemoteUrl;

/// Reading a repository's objects failed.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// Nothing that can be opened as a repository.
    #[error("{} is no git repository that can be read: check the path and its permissions", path.display())]
    NotARepository {
        /// Where it was looked for.
        path: PathBuf,
        /// What libgit2 says.
        source: git2::Error,
    },
    /// A revision that does not name a commit.
    #[error("{rev:?} names no commit here: check it with `git rev-parse {rev}`")]
    NoRevision {
        /// The revision as given, shortened.
        rev: String,
        /// What libgit2 says.
        source: git2::Error,
    },
    /// An object that should be there is not.
    #[error("{kind} {id} is missing from the repository (a shallow, partial or damaged clone)")]
    Missing {
        /// `commit`, `tree`, `blob` or `object`.
        kind: &'static str,
        /// The object's id.
        id: String,
    },
    /// An object, a reference or the clone itself cannot be read.
    #[error("cannot read {what}: run `git fsck` there, and look at the disk and its permissions")]
    Corrupt {
        /// What was read.
        what: String,
        /// What libgit2 says.
        source: git2::Error,
    },
    /// An object of another kind than it must be.
    #[error("{id} is a {found}, not a {expected}")]
    Kind {
        /// The object's id.
        id: String,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// A directory or commit object that git itself would not have written.
    #[error("{kind} {id} is malformed ({why}): rewrite it with git; `git fsck` tells more")]
    Malformed {
        /// `commit` or `tree`.
        kind: &'static str,
        /// The object's id.
        id: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// An object beyond the caller's limit.
    #[error("{kind} {id} has {size} bytes, at most {limit} are read")]
    TooLarge {
        /// `blob` or `commit`.
        kind: &'static str,
        /// The object's id.
        id: String,
        /// Its size, in bytes.
        size: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// More entries than the limit.
    #[error("commit {} has more than {limit} files and directories in its tree", commit.short())]
    TooMany {
        /// The commit.
        commit: CommitId,
        /// The limit.
        limit: usize,
    },
    /// Deeper directories than the limit.
    #[error("commit {} has directories nested more than {limit} deep", commit.short())]
    TooDeep {
        /// The commit.
        commit: CommitId,
        /// The limit.
        limit: usize,
    },
    /// The sub-directory is not in the commit.
    #[error("commit {} has no directory {subdir:?}: check the configured sub-directory", commit.short())]
    NoSubdir {
        /// The commit.
        commit: CommitId,
        /// The directory asked for.
        subdir: String,
    },
    /// The repository keeps its references in the reftable format.
    #[error(
        "{} keeps its references in the reftable format, which this version cannot read: convert them with `git -C {} refs migrate --ref-format=files` (git 2.46 or later)",
        path.display(), path.display()
    )]
    Reftable {
        /// The repository.
        path: PathBuf,
    },
    /// The repository uses a git extension that is not known here.
    #[error("{} uses a git extension that this version does not know", path.display())]
    Extension {
        /// The repository.
        path: PathBuf,
        /// What libgit2 says, with the extension's name.
        source: git2::Error,
    },
    /// The clone's directory could not be made, cleared or moved.
    #[error("cannot {action} {}: check free space and permissions", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Writing into the clone failed.
    #[error("cannot write {what} into the clone: check free space and permissions")]
    Write {
        /// What was written.
        what: String,
        /// What libgit2 says.
        source: git2::Error,
    },
}

impl GitError {
    /// Whether the repository's own files are at fault, so that a clone is worth rebuilding.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::Missing { .. } | Self::Corrupt { .. } | Self::NotARepository { .. }
        )
    }

    /// An object is not in the repository.
    pub(crate) fn absent(kind: &'static str, id: git2::Oid) -> Self {
        Self::Missing {
            kind,
            id: id.to_string(),
        }
    }

    /// An object could not be read: `NotFound` is missing, everything else is damage.
    pub(crate) fn object(kind: &'static str, id: git2::Oid, source: git2::Error) -> Self {
        if source.code() == git2::ErrorCode::NotFound {
            return Self::absent(kind, id);
        }
        Self::Corrupt {
            what: format!("{kind} {id}"),
            source,
        }
    }
}

/// Asking or fetching a source failed. None of these says anything about what the source wants.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The address cannot be opened as a repository.
    #[error(
        "cannot open the repository {url}: check that it exists and that this process may read it"
    )]
    Unreachable {
        /// The source.
        url: RemoteUrl,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The repository has no commits.
    #[error("the repository {url} has no branch yet: push a first commit to it")]
    Empty {
        /// The source.
        url: RemoteUrl,
    },
    /// The branch is not there.
    #[error(
        "the repository {url} has no branch {branch:?} ({}): push it or change the configured branch",
        listing(present)
    )]
    NoBranch {
        /// The source.
        url: RemoteUrl,
        /// The branch asked for.
        branch: String,
        /// Branches that are there, sorted, 20 at most.
        present: Vec<String>,
    },
    /// The branch points at something that is no commit.
    #[error(
        "branch {branch:?} of {url} points at a {found}, not at a commit: repair it with `git update-ref`"
    )]
    NotACommit {
        /// The source.
        url: RemoteUrl,
        /// The branch.
        branch: String,
        /// What it points at.
        found: String,
    },
    /// The deadline passed.
    #[error(
        "fetching {url} took longer than allowed: it is tried again; raise the deadline if the repository is large"
    )]
    Timeout {
        /// The source.
        url: RemoteUrl,
    },
    /// A transport that this build does not have.
    #[error("{scheme}:// sources cannot be fetched by this build: use an absolute path or file://")]
    Unsupported {
        /// The scheme.
        scheme: String,
    },
    /// The source lacks objects or has unreadable ones.
    #[error(
        "the repository {url} is damaged or incomplete: run `git fsck` there (and `git fetch --unshallow` if it is a shallow clone)"
    )]
    Corrupt {
        /// The source.
        url: RemoteUrl,
        /// What could not be read.
        source: GitError,
    },
    /// The engine's own clone could not be read or written, even after a rebuild.
    #[error("cannot keep the local clone of {url}")]
    Clone {
        /// The source.
        url: RemoteUrl,
        /// What failed.
        source: GitError,
    },
}

fn listing(present: &[String]) -> String {
    format!("it has {}", present.join(", "))
}

/// Watching a source failed.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// Only a repository on this host has files to watch.
    #[error("{url} is not on this host, so that it is polled and not watched")]
    NotLocal {
        /// The source.
        url: RemoteUrl,
    },
    /// No thread for the watcher.
    #[error("cannot start the watcher of {url}")]
    Thread {
        /// The source.
        url: RemoteUrl,
        /// Why not.
        source: io::Error,
    },
}
