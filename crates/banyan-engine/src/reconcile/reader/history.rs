//! Queries about the branch's history, and reading an earlier commit.

use banyan_core::{Ancestry, CommitId, Descent, Floor};

use banyan_repo::Revision;

use super::{ReadFailure, Reader, fault};

/// The minimum number of digits that name a commit, as shown by status, history and refusals.
const DIGITS: usize = 12;

/// Why a text does not name a commit of the branch.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolveError {
    /// Not a commit id.
    #[error(
        "{text:?} is not a commit id: give {DIGITS} to 64 hexadecimal digits, as `banyan gitops status` shows them"
    )]
    Malformed {
        /// The text, shortened.
        text: String,
    },
    /// No commit of the branch has this id.
    #[error(
        "commit {text} is neither the branch's head ({}) nor in its history; push it first, or see `banyan gitops status` for the commit that waits", head.short()
    )]
    Absent {
        /// The text.
        text: String,
        /// The branch's head.
        head: CommitId,
    },
    /// Several commits have this prefix.
    #[error("{text} begins the ids of several commits; give more digits")]
    Ambiguous {
        /// The text.
        text: String,
    },
    /// The branch could not be read.
    #[error(transparent)]
    Read(#[from] ReadFailure),
}

/// The named commit, and the head whose history contains it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Resolved {
    pub(crate) commit: CommitId,
    pub(crate) head: CommitId,
}

impl Reader {
    /// The ancestry of a commit that was read, as far as the floor needs it.
    pub(crate) fn ancestry(
        &mut self,
        head: CommitId,
        applied: Option<CommitId>,
        floor: Option<&Floor>,
    ) -> Result<Ancestry, ReadFailure> {
        let accepted = match floor {
            Some(Floor::Accepted { commit, .. }) => Some(*commit),
            Some(Floor::Restored { .. }) | None => None,
        };
        self.mended(|reader| {
            let relate = |to: Option<CommitId>| to.map(|to| reader.descent(head, to)).transpose();
            Ok(Ancestry {
                applied: relate(applied)?,
                accepted: relate(accepted)?,
            })
        })
    }

    fn descent(&self, head: CommitId, ancestor: CommitId) -> Result<Descent, ReadFailure> {
        if head == ancestor {
            return Ok(Descent::Same);
        }
        let repo = self.mirror.repo();
        // The whole history first: if an object is missing, the clone is damaged, which must not be mistaken for
        // rewritten history.
        if repo.is_ancestor(ancestor, head).map_err(fault(head))? {
            return Ok(Descent::Descends);
        }
        let known = repo.has(ancestor).map_err(fault(ancestor))?;
        Ok(if known {
            Descent::Apart
        } else {
            Descent::Unknown
        })
    }

    /// Reads a former branch head. Works without the source as long as the clone has it.
    pub(crate) fn read_at(&mut self, commit: CommitId) -> Result<Revision, ReadFailure> {
        if self.mirror.repo().has(commit).unwrap_or(false)
            && let Ok(revision) = self.read_commit(commit)
        {
            return Ok(revision);
        }
        self.mended(|reader| {
            let head = reader.fetch()?;
            let repo = reader.mirror.repo();
            if !repo.is_ancestor(commit, head).map_err(fault(head))? {
                return Err(ReadFailure::Gone { commit });
            }
            reader.read_commit(commit)
        })
    }

    /// The commit with this id prefix of at least twelve digits, among the branch head and its history.
    pub(crate) fn resolve(&mut self, text: &str) -> Result<Resolved, ResolveError> {
        let digits = text.trim();
        let fits = (DIGITS..=64).contains(&digits.len());
        if !fits || !digits.chars().all(|c| c.is_ascii_hexdigit()) {
            let text = digits.chars().take(80).collect();
            return Err(ResolveError::Malformed { text });
        }
        let (head, found) = self.mended(|reader| {
            let head = reader.fetch()?;
            let found = reader.mirror.repo().in_history(digits, head);
            Ok((head, found.map_err(fault(head))?))
        })?;
        let text = digits.to_ascii_lowercase();
        match found.as_slice() {
            [one] => Ok(Resolved { commit: *one, head }),
            [] => Err(ResolveError::Absent { text, head }),
            _ => Err(ResolveError::Ambiguous { text }),
        }
    }
}
