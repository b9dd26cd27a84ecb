//! Trees of files, whatever their source, and the documents in them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use banyan_core::{BlobId, FileMap};
use banyan_git::{Files, GitError, Repo};
use banyan_manifest::{LoadError, Loaded, Loader, MAX_FILE_BYTES, Memory, ReadError};

/// The maximum number of bytes read of a file: one more than a document may have, so that the loader notices that it is
/// too large.
pub(crate) const READ_LIMIT: usize = MAX_FILE_BYTES + 1;

/// Files by path, with readable content.
pub trait Tree: Sync {
    /// Path from the root of the cluster repo, with `/`, to content. Equal ids imply equal content.
    fn files(&self) -> &FileMap;

    /// The content of a file; for one that is too large for a document, enough to notice that.
    ///
    /// # Errors
    /// If it cannot be read.
    fn read(&self, path: &str, blob: BlobId) -> Result<Vec<u8>, ReadError>;
}

/// Loads the documents of a tree. Files that `memory` has are taken from there; the others are read.
///
/// # Errors
/// If a file cannot be read; see [`Loader::load`].
pub fn load(
    loader: &Loader,
    memory: &Memory,
    tree: &dyn Tree,
) -> Result<(Loaded, Memory), LoadError> {
    loader.load(memory, tree.files(), &|path, blob| tree.read(path, blob))
}

/// Loads the documents of a tree without a memory, and keeps the content of each file read.
///
/// # Errors
/// As [`load`].
pub fn load_and_keep(
    loader: &Loader,
    tree: &dyn Tree,
) -> Result<(Loaded, BTreeMap<String, Vec<u8>>), LoadError> {
    let kept = Mutex::new(BTreeMap::new());
    let read = |path: &str, blob| {
        let bytes = tree.read(path, blob)?;
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(path.to_owned(), bytes.clone());
        Ok(bytes)
    };
    let loaded = loader.load_once(tree.files(), &read)?;
    Ok((
        loaded,
        kept.into_inner().unwrap_or_else(PoisonError::into_inner),
    ))
}

/// The files of a commit, read from git objects.
#[derive(Debug, Clone, Copy)]
pub struct CommitTree<'r> {
    /// The repo with the objects.
    pub repo: &'r Repo,
    /// The commit's files.
    pub files: &'r Files,
}

impl Tree for CommitTree<'_> {
    fn files(&self) -> &FileMap {
        &self.files.entries
    }

    fn read(&self, _: &str, blob: BlobId) -> Result<Vec<u8>, ReadError> {
        match self.repo.read(blob, READ_LIMIT) {
            Err(GitError::TooLarge { .. }) => Ok(vec![b'#'; READ_LIMIT]),
            other => other.map_err(ReadError::new),
        }
    }
}

/// Files uploaded by a client.
#[derive(Debug)]
pub struct Uploaded<'f> {
    contents: &'f BTreeMap<String, Vec<u8>>,
    files: FileMap,
}

impl<'f> Uploaded<'f> {
    /// A tree of these files. Their ids are git's, so that unchanged files are found in the memory of commits.
    ///
    /// # Errors
    /// If a file is larger than git supports.
    pub fn new(contents: &'f BTreeMap<String, Vec<u8>>) -> Result<Self, LoadError> {
        let id = |(path, content): (&String, &Vec<u8>)| {
            let id = banyan_git::blob_id(content).map_err(|error| LoadError::Read {
                path: path.clone(),
                source: ReadError::new(error),
            })?;
            Ok((Arc::from(path.as_str()), id))
        };
        let files = contents.iter().map(id).collect::<Result<_, LoadError>>()?;
        Ok(Self { contents, files })
    }
}

impl Tree for Uploaded<'_> {
    fn files(&self) -> &FileMap {
        &self.files
    }

    fn read(&self, path: &str, _: BlobId) -> Result<Vec<u8>, ReadError> {
        let content = self.contents.get(path).cloned();
        content.ok_or_else(|| ReadError::new("no such file"))
    }
}

#[cfg(test)]
mod tests;
