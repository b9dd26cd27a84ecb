//! The files of a plain directory, in the form the loader takes. Nothing here interprets their content.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use banyan_core::{BlobId, FileMap};
use banyan_manifest::ReadError;

use crate::tree::{READ_LIMIT, Tree};

/// The maximum number of entries and nesting depth, as for the trees of commits.
const MAX_ENTRIES: usize = 250_000;
const MAX_DEPTH: usize = 64;

/// Why the files of a directory cannot be listed.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A directory cannot be read.
    #[error("cannot list {}", path.display())]
    List {
        /// The directory.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// It exceeds the limits of a cluster repo.
    #[error("{} is {what}", path.display())]
    TooMuch {
        /// The directory.
        path: PathBuf,
        /// The exceeded limit: `nested more than 64 levels deep`.
        what: String,
    },
}

/// The files below a directory.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    /// Path below the root to the number of the file in listing order; each file is read once per run.
    files: FileMap,
    /// Entries that a commit would contain but that are not read: links and names that are not UTF-8.
    left_out: Vec<String>,
}

impl Folder {
    /// Lists a directory. Hidden directories are skipped: they cannot contain documents.
    ///
    /// # Errors
    /// If a directory cannot be read, or the limits are exceeded.
    pub fn list(root: &Path) -> Result<Self, FolderError> {
        let mut folder = Self {
            root: root.to_owned(),
            files: FileMap::new(),
            left_out: Vec::new(),
        };
        folder.add(&mut Vec::new())?;
        Ok(folder)
    }

    /// Entries that a commit would contain but that are not read: links and names that are not UTF-8.
    #[must_use]
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// The text of a file; `None` if it cannot be read.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<String> {
        let bytes = self.bytes(path).ok()?;
        String::from_utf8(bytes).ok()
    }

    fn bytes(&self, path: &str) -> io::Result<Vec<u8>> {
        let file = File::open(self.root.join(path))?;
        let mut bytes = Vec::new();
        file.take(READ_LIMIT as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn add(&mut self, below: &mut Vec<String>) -> Result<(), FolderError> {
        let dir = match below.is_empty() {
            true => self.root.clone(),
            false => self.root.join(below.join("/")),
        };
        let cannot = |source| FolderError::List {
            path: dir.clone(),
            source,
        };
        if below.len() > MAX_DEPTH {
            return Err(too_much(
                &dir,
                format!("nested more than {MAX_DEPTH} levels deep"),
            ));
        }
        for entry in fs::read_dir(&dir).map_err(cannot)? {
            let entry = entry.map_err(cannot)?;
            let kind = entry.file_type().map_err(cannot)?;
            self.entry(&entry.file_name().to_string_lossy(), &entry, kind, below)?;
            if self.files.len() > MAX_ENTRIES {
                return Err(too_much(
                    &dir,
                    format!("too large: more than {MAX_ENTRIES} files"),
                ));
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        name: &str,
        entry: &fs::DirEntry,
        kind: fs::FileType,
        below: &mut Vec<String>,
    ) -> Result<(), FolderError> {
        let path = match below.is_empty() {
            true => name.to_owned(),
            false => format!("{}/{name}", below.join("/")),
        };
        let is_text = entry.file_name().to_str().is_some();
        if !is_text || kind.is_symlink() {
            self.left_out.push(path);
        } else if kind.is_file() {
            let id = number(self.files.len());
            self.files.insert(path.into(), id);
        } else if kind.is_dir() && !name.starts_with('.') {
            below.push(name.to_owned());
            self.add(below)?;
            below.pop();
        }
        Ok(())
    }
}

/// An id that is unique within this run.
fn number(index: usize) -> BlobId {
    let mut id = [0; 20];
    for (byte, digit) in id.iter_mut().zip(index.to_le_bytes()) {
        *byte = digit;
    }
    BlobId::from_sha1(id)
}

fn too_much(path: &Path, what: String) -> FolderError {
    let path = path.to_owned();
    FolderError::TooMuch { path, what }
}

impl Tree for Folder {
    fn files(&self) -> &FileMap {
        &self.files
    }

    fn read(&self, path: &str, _: BlobId) -> Result<Vec<u8>, ReadError> {
        self.bytes(path).map_err(ReadError::new)
    }
}
