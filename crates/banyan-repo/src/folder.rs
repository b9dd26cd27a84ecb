//! The files of a plain folder, as the loader takes them. Nothing here knows what is in them.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use banyan_core::{BlobId, FileMap};
use banyan_manifest::ReadError;

use crate::tree::{READ_LIMIT, Tree};

/// The most entries and the deepest nesting, as for the trees of commits.
const MAX_ENTRIES: usize = 250_000;
const MAX_DEPTH: usize = 64;

/// Why the files of a folder cannot be listed.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A folder cannot be read.
    #[error("cannot list {}", path.display())]
    List {
        /// The folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// There is more in it than a cluster repo has.
    #[error("{} goes {what}", path.display())]
    TooMuch {
        /// The folder.
        path: PathBuf,
        /// `more than 64 deep`.
        what: String,
    },
}

/// The files below a folder.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    /// Path below the root to its number in the order of finding: one program run reads a file once.
    files: FileMap,
    /// What a commit of the folder would hold, but which is not read: links and names that are no UTF-8.
    left_out: Vec<String>,
}

impl Folder {
    /// Lists a folder. Hidden folders are left alone: no document can be in them.
    ///
    /// # Errors
    /// A folder cannot be read, or there is more in it than a cluster repo has.
    pub fn list(root: &Path) -> Result<Self, FolderError> {
        let mut folder = Self {
            root: root.to_owned(),
            files: FileMap::new(),
            left_out: Vec::new(),
        };
        folder.add(&mut Vec::new())?;
        Ok(folder)
    }

    /// What a commit of the folder would hold, but which is not read: links and names that are no UTF-8.
    #[must_use]
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// The text of a file, where it can be had.
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
            return Err(too_much(&dir, format!("more than {MAX_DEPTH} deep")));
        }
        for entry in fs::read_dir(&dir).map_err(cannot)? {
            let entry = entry.map_err(cannot)?;
            let kind = entry.file_type().map_err(cannot)?;
            self.entry(&entry.file_name().to_string_lossy(), &entry, kind, below)?;
            if self.files.len() > MAX_ENTRIES {
                return Err(too_much(&dir, format!("more than {MAX_ENTRIES} files")));
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

/// An id that no other file of this run has.
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
