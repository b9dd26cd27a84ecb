//! The regular files of a commit, by path, and the same at the price of a change.

use std::collections::BTreeMap;

use banyan_core::{BlobId, CommitId, FileMap};
use git2::{ObjectType, Oid};

use crate::commit;
use crate::error::GitError;
use crate::id::ObjectId as _;
use crate::object::Objects;
use crate::tree::{self, Difference, Entry, Kind};

/// The longest path below the sub-directory, in bytes.
const MAX_PATH: usize = 4096;
/// The largest single directory that is read, in bytes of its object.
const MAX_TREE: usize = 64 << 20;

/// How large a tree is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most files and directories together. Default 250,000.
    pub entries: usize,
    /// The deepest nesting of directories below the sub-directory. Default 64.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 250_000,
            depth: 64,
        }
    }
}

/// Why an entry of a tree is not among the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Skip {
    /// A symbolic link: it could point anywhere.
    Symlink,
    /// A submodule: another repository.
    Submodule,
    /// A file or directory whose name is no UTF-8, or whose path has over 4096 bytes.
    Name,
    /// A mode that git does not use.
    Mode,
}

/// The files of one commit below one sub-directory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Files {
    /// Path below the sub-directory → content.
    pub entries: FileMap,
    /// What was left out, by the raw bytes of its path.
    pub skipped: BTreeMap<Vec<u8>, Skip>,
    /// Directories, which count against the limit too.
    dirs: usize,
}

impl Files {
    /// How many files.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no file. A commit can really be empty: a failed read never looks like this.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The content at a path.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<BlobId> {
        self.entries.get(path).copied()
    }

    /// What was left out and why, for people: the path made UTF-8.
    pub fn skipped(&self) -> impl Iterator<Item = (String, Skip)> + '_ {
        self.skipped
            .iter()
            .map(|(path, why)| (String::from_utf8_lossy(path).into_owned(), *why))
    }

    fn size(&self) -> usize {
        self.entries.len() + self.skipped.len() + self.dirs
    }
}

pub(crate) fn read(
    objects: &Objects<'_>,
    commit: CommitId,
    subdir: Option<&str>,
    limits: Limits,
) -> Result<Files, GitError> {
    let mut walk = Walk {
        objects,
        commit,
        limits,
        allowed: limits.entries,
        files: Files::default(),
    };
    walk.add_tree(start(objects, commit, subdir)?, &mut Vec::new(), 0)?;
    Ok(walk.files)
}

pub(crate) fn read_changed(
    objects: &Objects<'_>,
    old: Files,
    (from, to): (CommitId, CommitId),
    subdir: Option<&str>,
    limits: Limits,
) -> Result<Files, GitError> {
    let before = start(objects, from, subdir)?;
    let after = start(objects, to, subdir)?;
    let mut walk = Walk {
        objects,
        commit: to,
        limits,
        // What moves may be added before it is removed; the exact size is checked at the end.
        allowed: limits.entries.saturating_mul(2),
        files: old,
    };
    walk.change_tree(before, after, &mut Vec::new(), 0)?;
    walk.allowed = limits.entries;
    walk.check_size()?;
    Ok(walk.files)
}

/// The tree of the sub-directory at a commit.
fn start(objects: &Objects<'_>, commit: CommitId, subdir: Option<&str>) -> Result<Oid, GitError> {
    let mut tree = commit::read_links(objects, commit.oid())?.tree;
    let subdir = subdir.unwrap_or_default();
    for part in subdir
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
    {
        let object = load(objects, tree)?;
        let next = entries(tree, &object)?
            .into_iter()
            .find(|entry| entry.name == part.as_bytes() && entry.kind == Kind::Dir);
        tree = next
            .ok_or_else(|| GitError::NoSubdir {
                commit,
                subdir: subdir.to_owned(),
            })?
            .id;
    }
    Ok(tree)
}

fn load(objects: &Objects<'_>, id: Oid) -> Result<Vec<u8>, GitError> {
    objects.read_kind(ObjectType::Tree, id, MAX_TREE)
}

fn entries<'d>(id: Oid, data: &'d [u8]) -> Result<Vec<Entry<'d>>, GitError> {
    tree::parse_strict(data, id.as_bytes().len()).map_err(|why| GitError::Malformed {
        kind: "tree",
        id: id.to_string(),
        why,
    })
}

struct Walk<'o> {
    objects: &'o Objects<'o>,
    commit: CommitId,
    limits: Limits,
    /// The most entries at any moment of the walk.
    allowed: usize,
    files: Files,
}

impl Walk<'_> {
    fn add_tree(&mut self, id: Oid, path: &mut Vec<u8>, depth: usize) -> Result<(), GitError> {
        self.check_depth(depth)?;
        let object = load(self.objects, id)?;
        for entry in entries(id, &object)? {
            self.at(path, entry.name, |walk, path| walk.add(entry, path, depth))?;
            self.check_size()?;
        }
        Ok(())
    }

    fn change_tree(
        &mut self,
        old: Oid,
        new: Oid,
        path: &mut Vec<u8>,
        depth: usize,
    ) -> Result<(), GitError> {
        if old == new {
            return Ok(());
        }
        self.check_depth(depth)?;
        let (old_object, new_object) = (load(self.objects, old)?, load(self.objects, new)?);
        let found = tree::differences(&entries(old, &old_object)?, &entries(new, &new_object)?);
        let (mut changed, mut added) = (Vec::new(), Vec::new());
        for Difference { old, new } in found {
            match (old, new) {
                (Some(old), Some(new)) if old.kind == Kind::Dir && new.kind == Kind::Dir => {
                    changed.push((old, new));
                }
                (old, new) => {
                    // What goes, goes first: a file may give way to a directory of its name.
                    if let Some(old) = old {
                        self.at(path, old.name, |walk, path| walk.remove(old, path, depth))?;
                    }
                    added.extend(new);
                }
            }
        }
        for (old, new) in changed {
            self.at(path, new.name, |walk, path| match readable(path) {
                Some(_) => walk.change_tree(old.id, new.id, path, depth + 1),
                None => Ok(()),
            })?;
        }
        for new in added {
            self.at(path, new.name, |walk, path| walk.add(new, path, depth))?;
            self.check_size()?;
        }
        Ok(())
    }

    fn add(&mut self, entry: Entry<'_>, path: &mut Vec<u8>, depth: usize) -> Result<(), GitError> {
        let Some(text) = readable(path) else {
            self.files.skipped.insert(path.clone(), Skip::Name);
            return Ok(());
        };
        match skip(entry.kind) {
            Some(why) => {
                self.files.skipped.insert(path.clone(), why);
            }
            None if entry.kind == Kind::Dir => {
                self.files.dirs += 1;
                self.add_tree(entry.id, path, depth + 1)?;
            }
            None => {
                let text = text.to_owned();
                self.files
                    .entries
                    .insert(text.into(), BlobId::from_oid(entry.id));
            }
        }
        Ok(())
    }

    fn remove(
        &mut self,
        entry: Entry<'_>,
        path: &mut Vec<u8>,
        depth: usize,
    ) -> Result<(), GitError> {
        let Some(text) = readable(path) else {
            self.files.skipped.remove(path);
            return Ok(());
        };
        if skip(entry.kind).is_some() {
            self.files.skipped.remove(path);
        } else if entry.kind == Kind::Dir {
            self.files.dirs = self.files.dirs.saturating_sub(1);
            self.remove_tree(entry.id, path, depth + 1)?;
        } else {
            self.files.entries.remove(text);
        }
        Ok(())
    }

    fn remove_tree(&mut self, id: Oid, path: &mut Vec<u8>, depth: usize) -> Result<(), GitError> {
        self.check_depth(depth)?;
        let object = load(self.objects, id)?;
        for entry in entries(id, &object)? {
            self.at(path, entry.name, |walk, path| {
                walk.remove(entry, path, depth)
            })?;
        }
        Ok(())
    }

    /// Runs `then` with the path grown by a name.
    fn at<T>(
        &mut self,
        path: &mut Vec<u8>,
        name: &[u8],
        then: impl FnOnce(&mut Self, &mut Vec<u8>) -> T,
    ) -> T {
        let length = path.len();
        if length > 0 {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        let result = then(self, path);
        path.truncate(length);
        result
    }

    fn check_depth(&self, depth: usize) -> Result<(), GitError> {
        if depth > self.limits.depth {
            return Err(GitError::TooDeep {
                commit: self.commit,
                limit: self.limits.depth,
            });
        }
        Ok(())
    }

    fn check_size(&self) -> Result<(), GitError> {
        if self.files.size() > self.allowed {
            return Err(GitError::TooMany {
                commit: self.commit,
                limit: self.limits.entries,
            });
        }
        Ok(())
    }
}

fn readable(path: &[u8]) -> Option<&str> {
    std::str::from_utf8(path)
        .ok()
        .filter(|path| path.len() <= MAX_PATH)
}

fn skip(kind: Kind) -> Option<Skip> {
    match kind {
        Kind::File | Kind::Dir => None,
        Kind::Symlink => Some(Skip::Symlink),
        Kind::Submodule => Some(Skip::Submodule),
        Kind::Other => Some(Skip::Mode),
    }
}
