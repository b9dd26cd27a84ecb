//! Loads the files of a cluster repo. What a load found out is a value, by which the next load costs only what changed.
//!
//! Files are independent of each other, so they are read on all cores; the result does not depend on which was first.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use banyan_core::{BlobId, Documents, Finding, sort_findings};
use rayon::prelude::*;

use crate::identity::Identities;
use crate::ignore::{IGNORE_FILE, Ignore, is_document};
use crate::memory::{FileResult, read_file};

/// Why the bytes of a file could not be had.
#[derive(Debug)]
pub struct ReadError(Box<dyn std::error::Error + Send + Sync>);

impl ReadError {
    /// Takes any error, or a text, as the reason.
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

/// Why a repo could not be loaded: never because of what is in it.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file could not be read, so nothing can be said about the repo as a whole.
    #[error("cannot read {path}")]
    Read {
        /// The file, relative to the root of the cluster repo.
        path: String,
        /// The reason.
        source: ReadError,
    },
}

/// What a repo gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Every sound document.
    pub documents: Documents,
    /// What is wrong with the others, sorted.
    pub findings: Vec<Finding>,
    /// How many sealed values were not opened for want of an identity.
    pub closed: usize,
    /// How many files were parsed in this call; the others were remembered.
    pub parsed: usize,
    /// How many files there are, those that are ignored apart.
    pub files: usize,
}

/// How the loader comes by the bytes of a file, given its path and blob id.
pub type Read<'a> = dyn Fn(&str, BlobId) -> Result<Vec<u8>, ReadError> + Sync + 'a;

/// Loads cluster repos. It holds nothing but the identities: what a load found out is a [`Memory`], which the caller
/// keeps for the next one.
#[derive(Debug, Default)]
pub struct Loader {
    identities: Option<Identities>,
}

/// What one load found out about its files, for the next load to start from. An immutable value, cheap to clone.
///
/// It is good for the loader that made it: another one may have other identities.
#[derive(Clone, Default)]
pub struct Memory {
    /// Sorted by path.
    files: Arc<Vec<Remembered>>,
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
    path: Arc<str>,
    blob: BlobId,
    result: Arc<FileResult>,
}

impl Loader {
    /// A loader that opens sealed values with these identities, or with none leaves them closed.
    #[must_use]
    pub fn new(identities: Option<Identities>) -> Self {
        Self { identities }
    }

    /// Loads the repo whose files are these: path from the root of the cluster repo, with `/`, to blob id.
    ///
    /// Paths with a part that starts with a dot and files other than `*.yaml` and `*.yml` are left alone, and so is what
    /// `.banyanignore` at the root excludes. `read` is called, from several threads, only for blobs that `memory` does
    /// not have. The memory that is returned has the files of this load and no others.
    ///
    /// # Errors
    /// A file that cannot be read: then nothing is known about the repo, least of all that it is empty. `memory` is as
    /// good as before.
    pub fn load(
        &self,
        memory: &Memory,
        files: &BTreeMap<String, BlobId>,
        read: &Read<'_>,
    ) -> Result<(Loaded, Memory), LoadError> {
        let (ignore, ignore_changed) = ignore(memory, files, read)?;
        let rules = ignore.as_ref().map(|(_, rules)| rules.clone());
        let rules = rules.unwrap_or_default();
        let Sorted {
            mut kept,
            left,
            missing,
        } = sort_out(files, &memory.files, &rules, ignore_changed);
        let same = same_content(kept.iter().chain(&left), &missing);
        let found = self.read_missing(missing, &same, read)?;
        let parsed = found.iter().filter(|(_, parsed)| *parsed).count();
        kept.extend(found.into_iter().map(|(remembered, _)| remembered));
        // Two sorted runs: this costs little more than a look at each.
        kept.sort_by(|a, b| a.path.cmp(&b.path));
        let loaded = gather(&kept, rules.findings(), parsed);
        let files = Arc::new(kept);
        Ok((loaded, Memory { files, ignore }))
    }

    /// Loads a repo without a memory of an earlier load.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_once(
        &self,
        files: &BTreeMap<String, BlobId>,
        read: &Read<'_>,
    ) -> Result<Loaded, LoadError> {
        let (loaded, _) = self.load(&Memory::default(), files, read)?;
        Ok(loaded)
    }

    /// Reads what is not remembered under its path: from a remembered file of the same content, or by parsing
    /// it (`true`).
    fn read_missing(
        &self,
        missing: Vec<(Arc<str>, BlobId)>,
        same: &BTreeMap<BlobId, Arc<FileResult>>,
        read: &Read<'_>,
    ) -> Result<Vec<(Remembered, bool)>, LoadError> {
        let results: Vec<Result<_, LoadError>> = missing
            .into_par_iter()
            .map(|(path, blob)| {
                let (result, parsed) = match same.get(&blob) {
                    Some(other) => (other.moved_to(&path), false),
                    None => {
                        let bytes = read(&path, blob).map_err(|source| LoadError::Read {
                            path: path.to_string(),
                            source,
                        })?;
                        (read_file(&path, &bytes, self.identities.as_ref()), true)
                    }
                };
                let result = Arc::new(result);
                Ok((Remembered { path, blob, result }, parsed))
            })
            .collect();
        // One after the other, so that of several failures the first by path is told.
        results.into_iter().collect()
    }
}

/// The rules of `.banyanignore`, and whether they differ from those that `memory` was made by.
fn ignore(
    memory: &Memory,
    files: &BTreeMap<String, BlobId>,
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

/// The files of this load, against those of the last one.
#[derive(Default)]
struct Sorted {
    /// Unchanged, sorted by path.
    kept: Vec<Remembered>,
    /// No longer there under this path, or with other content.
    left: Vec<Remembered>,
    /// To be had, sorted by path.
    missing: Vec<(Arc<str>, BlobId)>,
}

/// Walks both lists side by side; both are sorted by path.
fn sort_out(
    files: &BTreeMap<String, BlobId>,
    known: &[Remembered],
    ignore: &Ignore,
    ignore_changed: bool,
) -> Sorted {
    let mut sorted = Sorted::default();
    let mut known = known.iter().cloned().peekable();
    for (path, blob) in files.iter().filter(|(path, _)| is_document(path)) {
        while let Some(gone) = known.next_if(|k| *k.path < **path) {
            sorted.left.push(gone);
        }
        let before = known.next_if(|k| *k.path == **path);
        // A path that was read before is one that the same rules do not exclude.
        if (before.is_none() || ignore_changed) && ignore.excludes(path) {
            sorted.left.extend(before);
            continue;
        }
        match before {
            Some(same) if same.blob == *blob => sorted.kept.push(same),
            before => {
                sorted.left.extend(before);
                sorted.missing.push((path.as_str().into(), *blob));
            }
        }
    }
    sorted.left.extend(known);
    sorted
}

fn same_content<'a>(
    known: impl Iterator<Item = &'a Remembered>,
    missing: &[(Arc<str>, BlobId)],
) -> BTreeMap<BlobId, Arc<FileResult>> {
    let wanted: BTreeSet<BlobId> = missing.iter().map(|(_, blob)| *blob).collect();
    if wanted.is_empty() {
        return BTreeMap::new();
    }
    known
        .filter(|remembered| wanted.contains(&remembered.blob))
        .map(|remembered| (remembered.blob, Arc::clone(&remembered.result)))
        .collect()
}

/// Puts the files together, in the order of their paths.
fn gather(files: &[Remembered], about_ignore: &[Finding], parsed: usize) -> Loaded {
    let mut loaded = Loaded {
        findings: about_ignore.to_vec(),
        parsed,
        files: files.len(),
        ..Loaded::default()
    };
    for remembered in files {
        let result = &remembered.result;
        for document in &result.documents {
            document.add_to(&mut loaded.documents);
        }
        loaded.findings.extend(result.findings.iter().cloned());
        loaded.closed += result.closed;
    }
    sort_findings(&mut loaded.findings);
    loaded
}
