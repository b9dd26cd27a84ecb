//! Loads the files of a cluster repo. The results of a load are a value that makes the next load cost only the changes.
//!
//! Files are independent of each other, so they are read on all cores; the result does not depend on the order.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use banyan_core::{BlobId, Catalog, Documents, FileMap, Finding, sort_findings};
use imbl::ordmap::DiffItem;
use imbl::{OrdMap, OrdSet};
use rayon::prelude::*;

use crate::identity::Identities;
use crate::ignore::{IGNORE_FILE, Ignore, is_document};
use crate::memory::{FileResult, read_file};

/// Why a file's content could not be read.
#[derive(Debug)]
pub struct ReadError(Box<dyn std::error::Error + Send + Sync>);

impl ReadError {
    /// Wraps any error, or a text, as the cause.
    pub fn new(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

/// Why a repo could not be loaded, which is never due to its content.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file could not be read, so nothing is known about the repo as a whole.
    #[error("cannot read {path}")]
    Read {
        /// The file, relative to the root of the cluster repo.
        path: String,
        /// The cause.
        source: ReadError,
    },
}

/// The result of a load.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Loaded {
    /// Every valid document.
    pub catalog: Catalog,
    /// The findings, sorted.
    pub findings: Vec<Finding>,
    /// The number of sealed values that were not opened because there is no identity.
    pub closed: usize,
    /// The number of files parsed by this call; the results of the others were remembered.
    pub parsed: usize,
    /// The number of files, except ignored ones.
    pub files: usize,
}

impl Loaded {
    /// Every valid document, as plain lists in the order of path and position.
    #[must_use]
    pub fn documents(&self) -> Documents {
        self.catalog.documents()
    }
}

/// Reads the content of a file, given its path and blob id.
pub type Read<'a> = dyn Fn(&str, BlobId) -> Result<Vec<u8>, ReadError> + Sync + 'a;

/// Loads cluster repos. It holds only the identities: the results of a load are a [`Memory`], which the caller keeps
/// for the next one.
#[derive(Debug, Default)]
pub struct Loader {
    identities: Option<Identities>,
}

/// The results of a load for each file, from which the next load starts. An immutable value, cheap to clone.
///
/// It is valid only for the loader that created it: another one may have other identities.
#[derive(Clone, Default)]
pub struct Memory {
    /// All files of that load, read or not.
    tree: FileMap,
    /// The files that were read.
    files: OrdMap<Arc<str>, Remembered>,
    /// Those of them with findings.
    faulty: OrdSet<Arc<str>>,
    catalog: Catalog,
    closed: usize,
    ignore: Option<(BlobId, Ignore)>,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("files", &self.files.len())
            .finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct Remembered {
    blob: BlobId,
    result: Arc<FileResult>,
}

impl Loader {
    /// A loader that opens sealed values with these identities; without any, values stay closed.
    #[must_use]
    pub fn new(identities: Option<Identities>) -> Self {
        Self { identities }
    }

    /// Loads a repo, given its files: path from the root of the cluster repo, with `/`, to blob id. The cost is that of
    /// the files that differ from those in `memory`.
    ///
    /// Paths with a component that starts with a dot, files other than `*.yaml` and `*.yml`, and files excluded by
    /// `.banyanignore` at the root are skipped. `read` is called, from several threads, only for blobs that `memory`
    /// does not have. The returned memory has exactly the files of this load.
    ///
    /// # Errors
    /// If a file cannot be read: then nothing is known about the repo, and it must not be treated as empty. `memory`
    /// remains valid.
    pub fn load(
        &self,
        memory: &Memory,
        files: &FileMap,
        read: &Read<'_>,
    ) -> Result<(Loaded, Memory), LoadError> {
        let (ignore, ignore_changed) = ignore(memory, files, read)?;
        let rules = ignore.as_ref().map(|(_, rules)| rules.clone());
        let rules = rules.unwrap_or_default();
        let Difference { gone, missing } = match ignore_changed {
            true => Difference::of(memory, files, &rules, every_path(memory, files)),
            false => Difference::of(memory, files, &rules, differing(memory, files)),
        };
        let found = self.read_missing(missing, &same_content(&gone), read)?;
        let parsed = found.iter().filter(|found| found.parsed).count();
        let mut next = memory.clone();
        next.tree = files.clone();
        next.ignore = ignore;
        next.replace(gone, found);
        Ok((next.loaded(rules.findings(), parsed), next))
    }

    /// Loads a repo without a memory of an earlier load.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_once(&self, files: &FileMap, read: &Read<'_>) -> Result<Loaded, LoadError> {
        let (loaded, _) = self.load(&Memory::default(), files, read)?;
        Ok(loaded)
    }

    /// Gets the results that are not remembered under their path: from a removed file with the same content, or by
    /// parsing.
    fn read_missing(
        &self,
        missing: Vec<(Arc<str>, BlobId)>,
        same: &BTreeMap<BlobId, Arc<FileResult>>,
        read: &Read<'_>,
    ) -> Result<Vec<Found>, LoadError> {
        let results: Vec<Result<_, LoadError>> = missing
            .into_par_iter()
            .map(|(path, blob)| {
                let moved = same.get(&blob).map(|other| other.moved_to(&path));
                let parsed = moved.is_none();
                let result = match moved {
                    Some(result) => result,
                    None => {
                        let bytes = read(&path, blob).map_err(|source| LoadError::Read {
                            path: path.to_string(),
                            source,
                        })?;
                        read_file(&path, &bytes, self.identities.as_ref())
                    }
                };
                let result = Arc::new(result);
                Ok(Found {
                    path,
                    file: Remembered { blob, result },
                    parsed,
                })
            })
            .collect();
        // In order, so that of several failures the first by path is reported.
        results.into_iter().collect()
    }
}

/// A file that was parsed, or taken from its former path.
struct Found {
    path: Arc<str>,
    file: Remembered,
    parsed: bool,
}

impl Memory {
    /// Replaces files. All removals come first, because a document is identified by its position.
    fn replace(&mut self, gone: Vec<(Arc<str>, Remembered)>, found: Vec<Found>) {
        let mut edit = self.catalog.edit();
        for (path, Remembered { result, .. }) in gone {
            for document in &result.documents {
                edit.remove(document);
            }
            self.closed = self.closed.saturating_sub(result.closed);
            self.faulty.remove(&path);
            self.files.remove(&path);
        }
        for Found { path, file, .. } in found {
            for document in &file.result.documents {
                edit.insert(document.clone());
            }
            self.closed += file.result.closed;
            if !file.result.findings.is_empty() {
                self.faulty.insert(Arc::clone(&path));
            }
            self.files.insert(path, file);
        }
        self.catalog = edit.finish();
    }

    fn loaded(&self, about_ignore: &[Finding], parsed: usize) -> Loaded {
        let faulty = self.faulty.iter().filter_map(|path| self.files.get(path));
        let findings = faulty.flat_map(|file| &file.result.findings);
        let mut findings: Vec<Finding> = about_ignore.iter().chain(findings).cloned().collect();
        sort_findings(&mut findings);
        Loaded {
            catalog: self.catalog.clone(),
            findings,
            closed: self.closed,
            parsed,
            files: self.files.len(),
        }
    }
}

/// The rules of `.banyanignore`, and whether they differ from those that `memory` was created with.
fn ignore(
    memory: &Memory,
    files: &FileMap,
    read: &Read<'_>,
) -> Result<(Option<(BlobId, Ignore)>, bool), LoadError> {
    let Some(blob) = files.get(IGNORE_FILE) else {
        return Ok((None, memory.ignore.is_some()));
    };
    match &memory.ignore {
        Some((known, _)) if known == blob => Ok((memory.ignore.clone(), false)),
        _ => {
            let bytes = read(IGNORE_FILE, *blob).map_err(|source| LoadError::Read {
                path: IGNORE_FILE.to_owned(),
                source,
            })?;
            Ok((Some((*blob, Ignore::from_bytes(&bytes))), true))
        }
    }
}

/// The files of a load that differ from the memory.
#[derive(Default)]
struct Difference {
    /// Removed from this path, or with other content.
    gone: Vec<(Arc<str>, Remembered)>,
    /// To be parsed, sorted by path.
    missing: Vec<(Arc<str>, BlobId)>,
}

impl Difference {
    /// The difference at these paths, which are sorted.
    fn of(
        memory: &Memory,
        files: &FileMap,
        rules: &Ignore,
        paths: impl IntoIterator<Item = Arc<str>>,
    ) -> Self {
        let mut difference = Self::default();
        for path in paths {
            let wanted = files.get(&path).copied();
            let wanted = wanted.filter(|_| is_document(&path) && !rules.excludes(&path));
            let known = memory.files.get(&path);
            if known.map(|known| known.blob) == wanted {
                continue;
            }
            if let Some(known) = known {
                difference.gone.push((Arc::clone(&path), known.clone()));
            }
            difference.missing.extend(wanted.map(|blob| (path, blob)));
        }
        difference
    }
}

/// The paths whose content differs between the memory and a tree.
fn differing<'a>(memory: &'a Memory, files: &'a FileMap) -> impl Iterator<Item = Arc<str>> {
    memory.tree.diff(files).map(|item| match item {
        DiffItem::Add(path, _) | DiffItem::Remove(path, _) => Arc::clone(path),
        DiffItem::Update { new: (path, _), .. } => Arc::clone(path),
    })
}

fn every_path(memory: &Memory, files: &FileMap) -> BTreeSet<Arc<str>> {
    memory.tree.keys().chain(files.keys()).cloned().collect()
}

fn same_content(gone: &[(Arc<str>, Remembered)]) -> BTreeMap<BlobId, Arc<FileResult>> {
    let results = gone
        .iter()
        .map(|(_, file)| (file.blob, Arc::clone(&file.result)));
    results.collect()
}
