//! Bringing the missing objects of a commit from one repository on this host into another.
//!
//! libgit2's own local transport is not used: it takes every reference of the source, needed or not, and searches
//! deltas before it sends one file. Here the new commits are walked, each tree is compared with its first parent's,
//! and what the clone lacks is written children first, so that an object in the clone implies all that it names.
//! An interrupted copy therefore leaves nothing that looks complete and is not.

use std::collections::HashSet;
use std::time::Instant;

use git2::{ObjectType, Odb, OdbLookupFlags, Oid, Repository};

use crate::error::GitError;
use crate::object::Objects;
use crate::tree::{self, Kind};
use crate::{commit, pack};

/// Up to here objects are written one file each, which is quickest for few; above, as one pack.
const MAX_LOOSE: usize = 256;
/// The deepest nesting of directories that is copied.
const MAX_DEPTH: usize = 256;

/// Why a copy stopped.
pub(crate) enum CopyError {
    /// The repository copied from.
    From(GitError),
    /// The repository copied to.
    To(GitError),
    /// The deadline passed.
    Timeout,
}

/// What a copy wrote.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Copied {
    pub(crate) loose: usize,
    pub(crate) packs: usize,
}

/// Copies `head` and everything it names that `to` lacks.
pub(crate) fn copy(
    from: &Repository,
    to: &Repository,
    head: Oid,
    deadline: Instant,
) -> Result<Copied, CopyError> {
    let receiver = Objects::of(to).map_err(CopyError::To)?;
    let sender = Objects::of(from).map_err(CopyError::From)?;
    let mut plan = Plan {
        from: &sender,
        to: receiver.odb(),
        deadline,
        seen: HashSet::new(),
        missing: Vec::new(),
    };
    plan.history(head)?;
    let missing = plan.missing;
    if missing.len() > MAX_LOOSE {
        pack::transfer(from, &sender, receiver.odb(), &missing, deadline)?;
        return Ok(Copied { loose: 0, packs: 1 });
    }
    for id in &missing {
        check(deadline)?;
        copy_one(&sender, receiver.odb(), *id)?;
    }
    Ok(Copied {
        loose: missing.len(),
        packs: 0,
    })
}

pub(crate) fn check(deadline: Instant) -> Result<(), CopyError> {
    match Instant::now() < deadline {
        true => Ok(()),
        false => Err(CopyError::Timeout),
    }
}

fn copy_one(from: &Objects<'_>, to: &Odb<'_>, id: Oid) -> Result<(), CopyError> {
    // Reading verifies the object's hash.
    let object = from.read("object", id).map_err(CopyError::From)?;
    to.write(object.kind, &object.data).map_err(|source| {
        CopyError::To(GitError::Write {
            what: id.to_string(),
            source,
        })
    })?;
    Ok(())
}

/// Finds what is missing, in an order in which everything comes after what it names.
struct Plan<'o> {
    from: &'o Objects<'o>,
    to: &'o Odb<'o>,
    deadline: Instant,
    seen: HashSet<Oid>,
    missing: Vec<Oid>,
}

impl Plan<'_> {
    fn history(&mut self, head: Oid) -> Result<(), CopyError> {
        let mut open = vec![(head, None)];
        while let Some((id, links)) = open.pop() {
            check(self.deadline)?;
            let Some(links) = links else {
                if self.is_new(id) {
                    let links = commit::read_links(self.from, id).map_err(CopyError::From)?;
                    let parents = links.parents.clone();
                    open.push((id, Some(links)));
                    open.extend(parents.into_iter().map(|parent| (parent, None)));
                }
                continue;
            };
            // All parents are planned or there, and with them their trees.
            let base = links
                .parents
                .first()
                .and_then(|parent| self.tree_of(*parent));
            self.tree(links.tree, base, 0)?;
            self.missing.push(id);
        }
        Ok(())
    }

    /// Whether an object is neither in the clone nor planned yet; from now on it counts as planned.
    fn is_new(&mut self, id: Oid) -> bool {
        !self.seen.contains(&id)
            && !self.to.exists_ext(id, OdbLookupFlags::NO_REFRESH)
            && self.seen.insert(id)
    }

    /// A tree to compare with: only a short cut, so that a parent the source no longer has is no error.
    fn tree_of(&self, commit: Oid) -> Option<Oid> {
        commit::read_links(self.from, commit)
            .ok()
            .map(|links| links.tree)
    }

    fn tree(&mut self, id: Oid, base: Option<Oid>, depth: usize) -> Result<(), CopyError> {
        if base == Some(id) || !self.is_new(id) {
            return Ok(());
        }
        check(self.deadline)?;
        let malformed = |why| {
            CopyError::From(GitError::Malformed {
                kind: "tree",
                id: id.to_string(),
                why,
            })
        };
        if depth > MAX_DEPTH {
            return Err(malformed("directories nested more than 256 deep"));
        }
        let object = self.from.read("tree", id).map_err(CopyError::From)?;
        if object.kind != ObjectType::Tree {
            return Err(malformed("it is no tree"));
        }
        let base_object = base.and_then(|base| self.from.read("tree", base).ok());
        let old = base_object
            .as_ref()
            .and_then(|object| tree::parse(&object.data, self.from.id_len()).ok())
            .unwrap_or_default();
        let new = tree::parse(&object.data, self.from.id_len()).map_err(malformed)?;
        for difference in tree::differences(&old, &new) {
            let Some(entry) = difference.new else {
                continue;
            };
            match entry.kind {
                Kind::Submodule => {}
                Kind::Dir => {
                    let base = difference
                        .old
                        .filter(|old| old.kind == Kind::Dir)
                        .map(|old| old.id);
                    self.tree(entry.id, base, depth + 1)?;
                }
                Kind::File | Kind::Symlink | Kind::Other => {
                    if self.is_new(entry.id) {
                        self.missing.push(entry.id);
                    }
                }
            }
        }
        self.missing.push(id);
        Ok(())
    }
}
