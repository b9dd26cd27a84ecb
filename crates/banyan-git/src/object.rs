//! Reading single objects, loose ones by our own hand.
//!
//! libgit2 1.9.7 never returns from reading a loose object whose file is cut off: its inflate loop waits for input
//! that cannot come. A crash or a bad disk leaves such files, and a hung thread is worse than an error, so a loose
//! file is inflated and its hash computed here; only packed objects are left to libgit2.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use flate2::bufread::ZlibDecoder;
use git2::{ObjectFormat, ObjectType, Odb, Oid, Repository};

use crate::error::GitError;

/// The longest header of a loose object: kind, size, NUL.
const MAX_HEADER: u64 = 32;
/// The largest object that is read at all, in bytes.
const MAX_SIZE: usize = 1 << 30;
/// The most object directories that are followed through `info/alternates`.
const MAX_ALTERNATES: usize = 32;

/// An object's kind and content.
pub(crate) struct Object {
    pub(crate) kind: ObjectType,
    pub(crate) data: Vec<u8>,
}

/// The objects of a repository.
pub(crate) struct Objects<'r> {
    odb: Odb<'r>,
    format: ObjectFormat,
    /// Where loose objects are: the repository's own directory, then those it borrows from.
    dirs: Vec<PathBuf>,
}

impl<'r> Objects<'r> {
    pub(crate) fn of(git: &'r Repository) -> Result<Self, GitError> {
        let odb = git.odb().map_err(|source| GitError::Corrupt {
            what: format!("the objects of {}", git.path().display()),
            source,
        })?;
        Ok(Self {
            odb,
            format: git.object_format(),
            dirs: object_dirs(git.commondir().join("objects")),
        })
    }

    /// The length of an id, in bytes.
    pub(crate) fn id_len(&self) -> usize {
        match self.format {
            ObjectFormat::Sha256 => 32,
            _ => 20,
        }
    }

    pub(crate) fn odb(&self) -> &Odb<'r> {
        &self.odb
    }

    /// An object, its hash verified.
    pub(crate) fn read(&self, what: &'static str, id: Oid) -> Result<Object, GitError> {
        let (size, _) = self.header(what, id)?;
        if size > MAX_SIZE {
            return Err(too_large(what, id, size, MAX_SIZE));
        }
        if let Some(file) = self.loose(id) {
            return read_loose(&file, id);
        }
        let object = self
            .odb
            .read(id)
            .map_err(|e| GitError::object(what, id, e))?;
        Ok(Object {
            kind: object.kind(),
            data: object.data().to_vec(),
        })
    }

    /// An object that must be of one kind and no larger than `limit` bytes.
    pub(crate) fn read_kind(
        &self,
        kind: ObjectType,
        id: Oid,
        limit: usize,
    ) -> Result<Vec<u8>, GitError> {
        let what = kind.str();
        let (size, found) = self.header(what, id)?;
        if found != kind {
            return Err(GitError::Kind {
                id: id.to_string(),
                expected: what,
                found: found.to_string(),
            });
        }
        if size > limit {
            return Err(too_large(what, id, size, limit));
        }
        let object = self.read(what, id)?;
        Ok(object.data)
    }

    /// An object's size and kind, as its header claims.
    pub(crate) fn header(
        &self,
        what: &'static str,
        id: Oid,
    ) -> Result<(usize, ObjectType), GitError> {
        if id.as_bytes().len() != self.id_len() {
            // A repository of the other object format has no such object.
            return Err(GitError::absent(what, id));
        }
        self.odb
            .read_header(id)
            .map_err(|e| GitError::object(what, id, e))
    }

    /// Fails if the object is loose and its file damaged, so that libgit2 may read it afterwards.
    pub(crate) fn check_loose(&self, id: Oid) -> Result<(), GitError> {
        match self.loose(id) {
            Some(file) => read_loose(&file, id).map(drop),
            None => Ok(()),
        }
    }

    fn loose(&self, id: Oid) -> Option<PathBuf> {
        let hex = id.to_string();
        let (folder, name) = hex.split_at_checked(2)?;
        self.dirs
            .iter()
            .map(|dir| dir.join(folder).join(name))
            .find(|file| fs::symlink_metadata(file).is_ok())
    }
}

fn read_loose(file: &Path, id: Oid) -> Result<Object, GitError> {
    let damaged = |why: &str| GitError::Corrupt {
        what: format!("object {id} in {}", file.display()),
        source: git2::Error::from_str(why),
    };
    let bytes = File::open(file)
        .and_then(|mut opened| {
            let mut bytes = Vec::new();
            opened.read_to_end(&mut bytes).map(|_| bytes)
        })
        .map_err(|error| damaged(&error.to_string()))?;
    inflate(&bytes, id).map_err(damaged)
}

fn inflate(bytes: &[u8], id: Oid) -> Result<Object, &'static str> {
    let mut stream = ZlibDecoder::new(bytes);
    let mut header = Vec::new();
    let mut byte = [0];
    for _ in 0..MAX_HEADER {
        match stream.read(&mut byte) {
            Ok(1) if byte == [0] => break,
            Ok(1) => header.extend(byte),
            Ok(_) | Err(_) => return Err("its header is cut off"),
        }
    }
    let header = std::str::from_utf8(&header).map_err(|_| "its header is no text")?;
    let (kind, size) = header.split_once(' ').ok_or("its header has no size")?;
    let kind = ObjectType::from_str(kind).ok_or("it is of an unknown kind")?;
    let size: usize = size.parse().map_err(|_| "its size is no number")?;
    let mut data = Vec::new();
    let limit = u64::try_from(size.min(MAX_SIZE))
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    stream
        .take(limit)
        .read_to_end(&mut data)
        .map_err(|_| "its content is cut off or damaged")?;
    if data.len() != size {
        return Err("its content is not as long as its header says");
    }
    match Oid::hash_object_ext(kind, &data, id.object_format()) {
        Ok(hash) if hash == id => Ok(Object { kind, data }),
        Ok(_) | Err(_) => Err("its content does not match its name"),
    }
}

/// A directory of objects and those it borrows from (`info/alternates`).
fn object_dirs(own: PathBuf) -> Vec<PathBuf> {
    let mut dirs: Vec<PathBuf> = vec![own];
    let mut at = 0;
    while let Some(dir) = dirs.get(at).cloned() {
        let text = fs::read_to_string(dir.join("info/alternates")).unwrap_or_default();
        for line in text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            let other = dir.join(line);
            if dirs.len() < MAX_ALTERNATES && !dirs.contains(&other) {
                dirs.push(other);
            }
        }
        at += 1;
    }
    dirs
}

fn too_large(kind: &'static str, id: Oid, size: usize, limit: usize) -> GitError {
    GitError::TooLarge {
        kind,
        id: id.to_string(),
        size,
        limit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write as _;

    fn deflated(text: &[u8]) -> Vec<u8> {
        let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        writer.write_all(text).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn a_loose_object_is_read_whole_or_not_at_all() {
        let id = Oid::hash_object(ObjectType::Blob, b"hello").unwrap();
        let good = deflated(b"blob 5\0hello");
        assert_eq!(
            inflate(&good, id).map(|object| object.data),
            Ok(b"hello".to_vec())
        );
        for end in 0..good.len() {
            // Without its checksum alone the content is still proven by its hash.
            let cut = inflate(&good[..end], id);
            assert!(cut.is_err() || cut.is_ok_and(|object| object.data == b"hello"));
        }
        for bad in [
            "blob 4\0hello",
            "blob 6\0hello",
            "tree 5\0hello",
            "blob 5\0hallo",
            "x 5\0hello",
            "blob x\0",
            "",
        ] {
            assert!(inflate(&deflated(bad.as_bytes()), id).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_file_panics(raw in proptest::collection::vec(any::<u8>(), 0..80), wrap: bool) {
            let bytes = if wrap { deflated(&raw) } else { raw };
            prop_assert!(inflate(&bytes, Oid::ZERO_SHA1).is_err());
        }
    }
}
