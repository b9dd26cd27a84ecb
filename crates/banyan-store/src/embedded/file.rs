//! The file of the embedded store: created completely or not at all, and not modified until it is known to be a store.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;

use super::open::{OpenError, database, guarded, initialise, recognise};
use super::overlay::Overlay;
use super::tables::unavailable;
use crate::StoreError;

/// Enough memory to create an empty store.
const SMALL_CACHE: usize = 1024 * 1024;

/// Opens the store in a file, or creates it.
pub(super) fn open(path: &Path, cache: usize) -> Result<redb::Database, StoreError> {
    if !path.try_exists().map_err(io_error("look for", path))? {
        create(path)?;
    }
    prove(path, cache)?;
    let file = open_file(path)?;
    backend(file)
        .and_then(|backend| database(backend, cache))
        .map_err(|e| e.into_store_error(path))
}

/// Opens the file through an overlay that keeps writes in memory: redb marks and repairs a file as
/// soon as it accepts it, even one that turns out to be beyond repair.
fn prove(path: &Path, cache: usize) -> Result<(), StoreError> {
    let corrupt = |detail: &str| StoreError::Corrupt {
        place: path.display().to_string(),
        detail: detail.to_owned(),
    };
    let file = open_file(path)?;
    // redb would create a new store in an empty file; if a store was there before, that hides its
    // loss.
    if file.metadata().map_err(io_error("read", path))?.len() == 0 {
        return Err(corrupt("it is empty"));
    }
    let trial = backend(file)
        .and_then(|base| database(Overlay::over(base), cache))
        .map_err(|e| e.into_store_error(path))?;
    guarded(|| Ok(recognise(&trial, &path.display().to_string())))
        .map_err(|e| e.into_store_error(path))??;
    guarded(move || {
        drop(trial);
        Ok(())
    })
    .map_err(|e| e.into_store_error(path))
}

/// Creates the file of an empty store. The file gets its name once it is complete and on disk,
/// unless another process created it first.
fn create(path: &Path) -> Result<(), StoreError> {
    let image = empty_store()?;
    let draft = draft_path(path);
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(io_error("remove", &draft)(error));
        }
        _ => {}
    }
    write_draft(&draft, &image).map_err(io_error("write", &draft))?;
    let linked = match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        linked => linked.map_err(io_error("make", path)),
    };
    fs::remove_file(&draft).map_err(io_error("remove", &draft))?;
    linked?;
    let folder = folder_of(path);
    File::open(folder)
        .and_then(|opened| opened.sync_all())
        .map_err(io_error("sync", folder))
}

fn empty_store() -> Result<Vec<u8>, StoreError> {
    let memory = Overlay::empty();
    let made = database(memory.clone(), SMALL_CACHE)
        .map_err(|e| e.into_store_error(Path::new("a new store")))?;
    initialise(&made).map_err(unavailable)?;
    drop(made);
    memory
        .bytes()
        .map_err(|e| StoreError::unavailable("making a new store", e))
}

fn write_draft(draft: &Path, image: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(draft)?;
    file.write_all(image)?;
    file.sync_all()
}

fn draft_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    name.into()
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn open_file(path: &Path) -> Result<File, StoreError> {
    let mut options = OpenOptions::new();
    let opened = options.read(true).write(true).open(path);
    opened.map_err(io_error("open", path))
}

fn backend(file: File) -> Result<FileBackend, OpenError> {
    FileBackend::new(file).map_err(OpenError::Refused)
}

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io {
        doing,
        path,
        source,
    }
}
