//! The read side of any repository: revisions, commits, files and ancestry.
//!
//! Opening goes through libgit2's `open_bare`, which takes the directory it is given and does not ask who owns it.
//! The ownership check protects people from running another user's hooks, filters and commands; this crate reads
//! objects and references only and runs none of them.

use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use banyan_core::{BlobId, CommitId};
use git2::{ErrorCode, ObjectType, Repository};

use crate::error::GitError;
use crate::files::{self, Files, Limits};
use crate::id::ObjectId as _;
use crate::object::Objects;
use crate::{Commit, commit};

/// A repository whose objects are read. Usable from several threads; calls take turns.
pub struct Repo {
    git: Mutex<Repository>,
    dir: PathBuf,
}

impl Repo {
    /// The repository that `dir` is in: a bare one, a checkout or a folder of it, a linked work tree.
    ///
    /// # Errors
    /// [`GitError::NotARepository`] if there is none up to the file system's root.
    pub fn discover(dir: &Path) -> Result<Self, GitError> {
        let found =
            Repository::discover_path(dir, std::iter::empty::<&Path>()).map_err(|source| {
                GitError::NotARepository {
                    path: dir.to_owned(),
                    source,
                }
            })?;
        Self::open(&found)
    }

    /// The repository whose git directory is `dir`.
    pub(crate) fn open(dir: &Path) -> Result<Self, GitError> {
        Ok(Self {
            git: Mutex::new(open_git_dir(dir)?),
            dir: dir.to_owned(),
        })
    }

    /// Reads from here on go to the repository that is now in the directory.
    pub(crate) fn reopen(&self) -> Result<(), GitError> {
        let fresh = open_git_dir(&self.dir)?;
        *self.git() = fresh;
        Ok(())
    }

    pub(crate) fn git(&self) -> MutexGuard<'_, Repository> {
        self.git.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The repository's git directory.
    #[must_use]
    pub fn git_dir(&self) -> &Path {
        &self.dir
    }

    /// The commit that a revision names: `HEAD~1`, a branch, a tag, a short id.
    ///
    /// # Errors
    /// [`GitError::NoRevision`] if it names none, or several.
    pub fn resolve(&self, rev: &str) -> Result<CommitId, GitError> {
        let git = self.git();
        git.revparse_single(rev)
            .and_then(|object| object.peel(ObjectType::Commit))
            .map(|object| CommitId::from_oid(object.id()))
            .map_err(|source| GitError::NoRevision {
                rev: rev.chars().take(200).collect(),
                source,
            })
    }

    /// A commit's data.
    ///
    /// # Errors
    /// A missing, unreadable or malformed object, one that is no commit, or one over 1 MiB.
    pub fn commit(&self, id: CommitId) -> Result<Commit, GitError> {
        let git = self.git();
        commit::read(&Objects::of(&git)?, id)
    }

    /// The regular files at a commit, by their path below `subdir`.
    ///
    /// # Errors
    /// A missing sub-directory, a missing or unreadable object anywhere below it, and a tree beyond [`Limits`]: never
    /// a shorter list.
    pub fn files(&self, commit: CommitId, subdir: Option<&str>) -> Result<Files, GitError> {
        self.files_within(commit, subdir, Limits::default())
    }

    /// [`Repo::files`] with other limits.
    ///
    /// # Errors
    /// As [`Repo::files`].
    pub fn files_within(
        &self,
        commit: CommitId,
        subdir: Option<&str>,
        limits: Limits,
    ) -> Result<Files, GitError> {
        let git = self.git();
        files::read(&Objects::of(&git)?, commit, subdir, limits)
    }

    /// What [`Repo::files`] gives for `new_commit`, made out of what it gave for `old_commit`: directories that are
    /// alike are not opened, and what is alike is not copied.
    ///
    /// # Errors
    /// As [`Repo::files`], for either commit.
    pub fn files_changed(
        &self,
        old: Files,
        old_commit: CommitId,
        new_commit: CommitId,
        subdir: Option<&str>,
    ) -> Result<Files, GitError> {
        let git = self.git();
        let objects = Objects::of(&git)?;
        if !has(&objects, old_commit)? {
            // History was rewritten, or the repository was made again.
            return files::read(&objects, new_commit, subdir, Limits::default());
        }
        files::read_changed(
            &objects,
            old,
            (old_commit, new_commit),
            subdir,
            Limits::default(),
        )
    }

    /// A file's content.
    ///
    /// # Errors
    /// [`GitError::TooLarge`] above `limit` bytes, and a missing or unreadable object: see [`GitError::is_damage`].
    pub fn read(&self, blob: BlobId, limit: usize) -> Result<Vec<u8>, GitError> {
        let git = self.git();
        Objects::of(&git)?.read_kind(ObjectType::Blob, blob.oid(), limit)
    }

    /// Whether `descendant` is `ancestor` or has it in its history.
    ///
    /// An `ancestor` that a complete repository does not have is in no history there: rewritten away, so `false`.
    /// A positive answer costs the commits between the two, a negative one the whole history.
    ///
    /// # Errors
    /// A missing or unreadable commit in the history, as in a shallow clone.
    pub fn is_ancestor(&self, ancestor: CommitId, descendant: CommitId) -> Result<bool, GitError> {
        let git = self.git();
        let objects = Objects::of(&git)?;
        let (ancestor, descendant) = (ancestor.oid(), descendant.oid());
        let mut seen = HashSet::from([descendant]);
        let mut open = VecDeque::from([descendant]);
        while let Some(id) = open.pop_front() {
            let parents = commit::read_links(&objects, id)?.parents;
            if id == ancestor || parents.contains(&ancestor) {
                return Ok(true);
            }
            open.extend(parents.into_iter().filter(|parent| seen.insert(*parent)));
        }
        Ok(false)
    }

    /// The commits among `head` and its ancestors whose ids begin with these digits, the nearest first; two at most,
    /// which says that they name none for certain. Costs the whole history, but for one commit named in full.
    ///
    /// # Errors
    /// A missing or unreadable commit in the history, as in a shallow clone.
    pub fn in_history(&self, digits: &str, head: CommitId) -> Result<Vec<CommitId>, GitError> {
        let git = self.git();
        let objects = Objects::of(&git)?;
        let digits = digits.to_ascii_lowercase();
        let (mut seen, mut open) = (HashSet::from([head.oid()]), VecDeque::from([head.oid()]));
        let mut found = Vec::new();
        while let Some(id) = open.pop_front() {
            let text = id.to_string();
            if text.starts_with(&digits) {
                found.push(CommitId::from_oid(id));
                if found.len() == 2 || text == digits {
                    break;
                }
            }
            let parents = commit::read_links(&objects, id)?.parents;
            open.extend(parents.into_iter().filter(|parent| seen.insert(*parent)));
        }
        Ok(found)
    }

    /// Whether the repository has this commit, in some history or in none.
    ///
    /// # Errors
    /// The objects cannot be looked through.
    pub fn has(&self, commit: CommitId) -> Result<bool, GitError> {
        has(&Objects::of(&self.git())?, commit)
    }
}

fn has(objects: &Objects<'_>, commit: CommitId) -> Result<bool, GitError> {
    match objects.header("commit", commit.oid()) {
        Ok((_, kind)) => Ok(kind == ObjectType::Commit),
        Err(GitError::Missing { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

impl std::fmt::Debug for Repo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repo")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

/// Opens a git directory, without a search and without a check of its owner (see the head of this file).
pub(crate) fn open_git_dir(dir: &Path) -> Result<Repository, GitError> {
    Repository::open_bare(dir).map_err(|source| {
        let path = dir.to_owned();
        let message = source.message().to_ascii_lowercase();
        match message.contains("unsupported extension") {
            true if message.contains("refstorage") => GitError::Reftable { path },
            true => GitError::Extension { path, source },
            false => GitError::NotARepository { path, source },
        }
    })
}

/// The branch names of a repository, sorted; unreadable ones are left out.
pub(crate) fn branches(git: &Repository) -> Vec<String> {
    let mut names: Vec<String> = git
        .references_glob("refs/heads/*")
        .map(|references| {
            references
                .filter_map(Result::ok)
                .filter_map(|reference| reference.name().ok().map(str::to_owned))
                .filter_map(|name| name.strip_prefix("refs/heads/").map(str::to_owned))
                .collect()
        })
        .unwrap_or_default();
    names.sort();
    names
}

/// What a reference points at in the end; `None` if it, or the one it stands for, does not exist.
pub(crate) fn target(git: &Repository, name: &str) -> Result<Option<git2::Oid>, git2::Error> {
    match git
        .find_reference(name)
        .and_then(|reference| reference.resolve())
    {
        Ok(reference) => Ok(reference.target()),
        Err(error) if matches!(error.code(), ErrorCode::NotFound | ErrorCode::InvalidSpec) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
