//! The files of a plain folder, as the loader takes them. Nothing here knows what is in them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use banyan_core::BlobId;
use banyan_manifest::{LoadError, Loaded, Loader, MAX_FILE_BYTES, ReadError};

use crate::error::Failure;

/// The most entries and the deepest nesting, as for the trees of commits.
const MAX_ENTRIES: usize = 200_000;
const MAX_DEPTH: usize = 64;

/// The files below a folder.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
    /// Path below the root to its number in the order of finding: one program run reads a file once.
    files: BTreeMap<String, BlobId>,
    /// What a commit of the folder would hold, but which is not read: links and names that are no UTF-8.
    left_out: Vec<String>,
}

impl Folder {
    /// Lists a folder. Hidden folders are left alone: no document can be in them.
    pub(crate) fn list(root: &Path) -> Result<Self, Failure> {
        let mut folder = Self {
            root: root.to_owned(),
            files: BTreeMap::new(),
            left_out: Vec::new(),
        };
        folder.add(&mut Vec::new())?;
        Ok(folder)
    }

    pub(crate) fn files(&self) -> &BTreeMap<String, BlobId> {
        &self.files
    }

    pub(crate) fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// The text of a file, where it can be had.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        let bytes = self.bytes(path).ok()?;
        String::from_utf8(bytes).ok()
    }

    /// Loads the folder's documents.
    pub(crate) fn load(&self, loader: &Loader) -> Result<Loaded, Failure> {
        let read = |path: &str, _| self.bytes(path).map_err(ReadError::new);
        loader
            .load_once(&self.files, &read)
            .map_err(|error| self.cannot_load(&error))
    }

    /// Loads the folder's documents, and keeps the content of every file that this took.
    pub(crate) fn load_and_keep(
        &self,
        loader: &Loader,
    ) -> Result<(Loaded, BTreeMap<String, Vec<u8>>), Failure> {
        let kept = Mutex::new(BTreeMap::new());
        let read = |path: &str, _| {
            let bytes = self.bytes(path).map_err(ReadError::new)?;
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.insert(path.to_owned(), bytes.clone());
            Ok(bytes)
        };
        let loaded = loader
            .load_once(&self.files, &read)
            .map_err(|error| self.cannot_load(&error))?;
        let kept = kept.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok((loaded, kept))
    }

    fn cannot_load(&self, error: &LoadError) -> Failure {
        Failure::refused(format!("cannot load {}", self.root.display())).because(error)
    }

    /// A file's content; of one that is too large, enough to see that it is.
    pub(crate) fn bytes(&self, path: &str) -> io::Result<Vec<u8>> {
        let file = File::open(self.root.join(path))?;
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES as u64 + 1)
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn add(&mut self, below: &mut Vec<String>) -> Result<(), Failure> {
        let dir = match below.is_empty() {
            true => self.root.clone(),
            false => self.root.join(below.join("/")),
        };
        let cannot = |error: &io::Error| {
            Failure::refused(format!("cannot list {}", dir.display()))
                .because(error)
                .hint("name a folder that you may read")
        };
        if below.len() > MAX_DEPTH {
            return Err(too_much(&dir, &format!("more than {MAX_DEPTH} deep")));
        }
        for entry in fs::read_dir(&dir).map_err(|e| cannot(&e))? {
            let entry = entry.map_err(|e| cannot(&e))?;
            let kind = entry.file_type().map_err(|e| cannot(&e))?;
            self.entry(&entry.file_name().to_string_lossy(), &entry, kind, below)?;
            if self.files.len() > MAX_ENTRIES {
                return Err(too_much(&dir, &format!("more than {MAX_ENTRIES} files")));
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
    ) -> Result<(), Failure> {
        let path = match below.is_empty() {
            true => name.to_owned(),
            false => format!("{}/{name}", below.join("/")),
        };
        let is_text = entry.file_name().to_str().is_some();
        if !is_text || kind.is_symlink() {
            self.left_out.push(path);
        } else if kind.is_file() {
            let id = number(self.files.len());
            self.files.insert(path, id);
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

fn too_much(dir: &Path, what: &str) -> Failure {
    Failure::refused(format!("{} goes {what}", dir.display()))
        .hint("name the folder of the cluster repo itself")
}
