//! Files that get their name when they are whole and on disk.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Writes a file that only its owner can read; one of that name is replaced. A crash at any instant leaves the old file
/// or the new one.
pub(super) fn write_private(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    refuse_special(path)?;
    let draft = draft(path);
    remove(&draft)?;
    let written = write_draft(&draft, write).and_then(|()| put_in_place(&draft, path));
    if written.is_err() {
        // What stands in the way of removing it stood in the way of writing it, and is what is reported.
        let _ = remove(&draft);
    }
    written
}

/// Gives a file that is on disk its name, for good.
pub(super) fn put_in_place(draft: &Path, path: &Path) -> io::Result<()> {
    std::fs::rename(draft, path)?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

/// Removes a file, if there is one.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A link or a device would be replaced by a file, which nobody means.
fn refuse_special(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => Err(io::Error::new(
            ErrorKind::InvalidInput,
            "there is something else than a file under that name; give another name, or `-` for standard output",
        )),
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn draft(path: &Path) -> PathBuf {
    path.with_added_extension(format!("{}.new", std::process::id()))
}

fn write_draft(
    draft: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let options = options.write(true).create_new(true).mode(0o600);
    let mut out = BufWriter::new(options.open(draft)?);
    write(&mut out)?;
    out.into_inner()?.sync_all()
}
