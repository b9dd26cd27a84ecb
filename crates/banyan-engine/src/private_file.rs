//! Directories and files that only their owner can read.

use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use crate::Failure;

/// Creates a directory that only its owner can enter.
pub(crate) fn make_private_dir(path: &Path) -> Result<(), Failure> {
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path);
    made.map_err(|error| {
        Failure::setup(
            format!("create the state directory {}", path.display()),
            error,
        )
    })
}

/// Writes a secret to a new file that only its owner can read. The file is renamed into place when it is complete and
/// on disk, so a crash at any instant leaves all of the secret or none.
pub(crate) fn write_secret(path: &Path, text: &str) -> std::io::Result<()> {
    if path.try_exists()? {
        return Err(ErrorKind::AlreadyExists.into());
    }
    replace_secret(path, text)
}

/// [`write_secret`], replacing an existing file: a crash at any instant leaves the old text or the new one.
pub(crate) fn replace_secret(path: &Path, text: &str) -> std::io::Result<()> {
    let draft = path.with_added_extension("new");
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    std::fs::rename(&draft, path)?;
    match path.parent() {
        Some(folder) => std::fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_written_once_and_whole_whatever_a_crash_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(folder.path().join("key.new"), "ha").unwrap();
        write_secret(&path, "whole").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "whole\n");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        let again = write_secret(&path, "other").unwrap_err();
        assert_eq!(again.kind(), ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "whole\n");
    }
}
