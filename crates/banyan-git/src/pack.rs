//! Many objects at once: one pack from one repository into another, and a clone's loose objects into one pack.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use git2::{Odb, Oid, PackBuilder, Repository};

use crate::copy::{CopyError, check};
use crate::error::GitError;
use crate::id::ObjectId as _;
use crate::object::Objects;

/// Sends objects as one pack; the receiver computes every object's id anew while it indexes.
pub(crate) fn transfer(
    from: &Repository,
    objects: &Objects<'_>,
    to: &Odb<'_>,
    ids: &[Oid],
    deadline: Instant,
) -> Result<(), CopyError> {
    let what = || format!("a pack of {} objects", ids.len());
    let reading = |source| {
        CopyError::From(GitError::Corrupt {
            what: what(),
            source,
        })
    };
    let writing = |source| {
        CopyError::To(GitError::Write {
            what: what(),
            source,
        })
    };
    let mut pack = from.packbuilder().map_err(reading)?;
    insert(&mut pack, objects, ids, deadline)?;
    pack.set_progress_callback(move |_, _, _| Instant::now() < deadline)
        .map_err(reading)?;
    let mut writer = to.packwriter().map_err(writing)?;
    writer.progress(move |_| Instant::now() < deadline);
    let mut write_failed = false;
    let sent = pack.foreach(|bytes| {
        write_failed = writer.write_all(bytes).is_err();
        !write_failed && Instant::now() < deadline
    });
    check(deadline)?;
    match sent {
        Err(source) if write_failed => return Err(writing(source)),
        Err(source) => return Err(reading(source)),
        Ok(()) => {}
    }
    let done = writer.commit();
    check(deadline)?;
    done.map(drop).map_err(writing)
}

fn insert(
    pack: &mut PackBuilder<'_>,
    objects: &Objects<'_>,
    ids: &[Oid],
    deadline: Instant,
) -> Result<(), CopyError> {
    for id in ids {
        check(deadline)?;
        objects.check_loose(*id).map_err(CopyError::From)?;
        pack.insert_object(*id, None)
            .map_err(|e| CopyError::From(GitError::object("object", *id, e)))?;
    }
    Ok(())
}

/// The files that hold a repository's objects.
#[derive(Debug, Default)]
pub(crate) struct Stock {
    pub(crate) loose: Vec<(Oid, PathBuf)>,
    /// Packs by their stem: `pack-….pack`, `.idx` and whatever else belongs to one.
    pub(crate) packs: BTreeSet<PathBuf>,
}

impl Stock {
    /// Looks at an `objects` directory; what is not readable counts as absent.
    pub(crate) fn of(objects: &Path) -> Self {
        let mut stock = Self::default();
        for folder in list(objects) {
            let Some(prefix) = file_name(&folder) else {
                continue;
            };
            if prefix == "pack" {
                let packs = list(&folder)
                    .into_iter()
                    .filter(|file| has_extension(file, "pack"));
                stock
                    .packs
                    .extend(packs.map(|file| file.with_extension("")));
            } else if prefix.len() == 2 {
                let prefix = prefix.to_owned();
                stock
                    .loose
                    .extend(list(&folder).into_iter().filter_map(|file| {
                        let id = format!("{prefix}{}", file_name(&file)?);
                        Some((id.parse::<banyan_core::BlobId>().ok()?.oid(), file))
                    }));
            }
        }
        stock
    }
}

/// Writes loose objects, or everything if `all`, into one pack, then removes what it replaces. At every moment each
/// object is in at least one file.
pub(crate) fn compact(git: &Repository, all: bool, deadline: Instant) -> Result<(), CopyError> {
    let objects = git.path().join("objects");
    let stock = Stock::of(&objects);
    let mut ids: BTreeSet<Oid> = stock.loose.iter().map(|(id, _)| *id).collect();
    let store = Objects::of(git).map_err(CopyError::To)?;
    let failed = |source| {
        CopyError::To(GitError::Corrupt {
            what: "the clone's objects".to_owned(),
            source,
        })
    };
    if all {
        store
            .odb()
            .foreach(|id| ids.insert(*id) || Instant::now() < deadline)
            .map_err(failed)?;
    }
    if ids.is_empty() {
        return Ok(());
    }
    let ids: Vec<Oid> = ids.into_iter().collect();
    // Reading from the clone: a fault is the clone's.
    transfer(git, &store, store.odb(), &ids, deadline).map_err(|error| match error {
        CopyError::From(fault) => CopyError::To(fault),
        other => other,
    })?;
    remove(&stock, all, &objects);
    Ok(())
}

/// Removes what a new pack replaced. What cannot be removed only takes space, and is tried again next time.
fn remove(old: &Stock, packs_too: bool, objects: &Path) {
    for (_, file) in &old.loose {
        let _ = fs::remove_file(file);
    }
    let now = Stock::of(objects);
    // Packing the same objects again gives a pack of the same name: then nothing new stands for the old.
    if packs_too && now.packs.len() > old.packs.len() {
        for stem in &old.packs {
            for extension in ["idx", "pack", "rev", "keep"] {
                let _ = fs::remove_file(stem.with_extension(extension));
            }
        }
    }
}

fn list(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir)
        .map(|entries| {
            entries
                .filter_map(|entry| Some(entry.ok()?.path()))
                .collect()
        })
        .unwrap_or_default()
}

fn file_name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}
