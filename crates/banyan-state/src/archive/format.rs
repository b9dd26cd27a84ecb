//! The file format: JSON lines. A header, one line per entry in key order, and the digest of all previous lines.
//!
//! Reading has no side effects: it returns an [`Archive`] only after the last byte was checked.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read as _, Write};
use std::sync::Arc;

use banyan_core::{CommitId, Generation, Name};
use banyan_store::{MAX_KEY_LEN, MAX_TXN_BYTES};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::content::hex;
use super::{Archive, ArchiveError, Summary, Values};
use crate::StateError;
use crate::key::POINTER;

/// The format of backups that this program writes, and the highest it reads.
pub const FORMAT: u32 = 1;
/// The value of the header's field `banyan`.
const MARK: &str = "backup";
/// The maximum line length: the largest entry with each byte as the longest escape (`\u0000`).
const MAX_LINE: usize = (MAX_TXN_BYTES + MAX_KEY_LEN) * 6 + 1024;

/// The fields that identify a backup, and a later format, before the rest is parsed.
#[derive(Deserialize)]
struct Mark {
    banyan: String,
    format: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    banyan: String,
    format: u32,
    made_at: Timestamp,
    entries: usize,
    generation: Generation,
    commit: CommitId,
    cluster: Option<Name>,
}

#[derive(Serialize)]
struct Entry<'a> {
    key: &'a str,
    value: &'a str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnedEntry {
    key: String,
    value: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seal {
    sha256: String,
}

impl Archive {
    /// Writes the archive line by line.
    ///
    /// # Errors
    /// If the writer fails.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut digest = Sha256::new();
        let mut line = |value: Vec<u8>| {
            let line = [value.as_slice(), b"\n"].concat();
            digest.update(&line);
            out.write_all(&line)
        };
        line(serde_json::to_vec(&self.header())?)?;
        for (key, value) in &self.entries {
            let value = std::str::from_utf8(value).map_err(io::Error::other)?;
            line(serde_json::to_vec(&Entry { key, value })?)?;
        }
        let sha256 = hex(&digest.finalize());
        serde_json::to_writer(&mut *out, &Seal { sha256 })?;
        out.write_all(b"\n")
    }

    /// Reads an archive and checks it completely: format, count, order, digest, every key and value.
    ///
    /// # Errors
    /// If it is not a complete and unaltered backup in a known format.
    pub fn read(input: &mut dyn BufRead) -> Result<Self, ArchiveError> {
        let mut lines = Lines::new(input);
        let header = header(&lines.next()?.ok_or(ArchiveError::NotABackup)?)?;
        let mut entries = BTreeMap::new();
        for _ in 0..header.entries {
            let line = lines.require()?;
            take_entry(&mut entries, &line).map_err(|what| lines.altered(what))?;
        }
        lines.finish()?;
        let archive = Self::new(entries, header.made_at).map_err(unsound)?;
        if archive.summary != header.into_summary() {
            return Err(ArchiveError::Altered {
                line: 1,
                what: "does not describe the entries",
            });
        }
        Ok(archive)
    }

    fn header(&self) -> Header {
        let summary = self.summary.clone();
        Header {
            banyan: MARK.to_owned(),
            format: FORMAT,
            made_at: summary.made_at,
            entries: summary.entries,
            generation: summary.generation,
            commit: summary.commit,
            cluster: summary.cluster,
        }
    }
}

impl Header {
    fn into_summary(self) -> Summary {
        Summary {
            made_at: self.made_at,
            entries: self.entries,
            generation: self.generation,
            commit: self.commit,
            cluster: self.cluster,
        }
    }
}

/// Reports a defect as one of the file, not of a store.
fn unsound(error: ArchiveError) -> ArchiveError {
    let key = match error {
        ArchiveError::State(StateError::Corrupt { key, .. }) => key,
        ArchiveError::NothingInForce => POINTER.to_owned(),
        other => return other,
    };
    ArchiveError::Unsound { key }
}

fn header(line: &[u8]) -> Result<Header, ArchiveError> {
    let mark: Mark = serde_json::from_slice(line).map_err(|_| ArchiveError::NotABackup)?;
    if mark.banyan != MARK {
        return Err(ArchiveError::NotABackup);
    }
    if mark.format > FORMAT {
        return Err(ArchiveError::Later {
            found: mark.format,
            known: FORMAT,
        });
    }
    serde_json::from_slice(line).map_err(|_| ArchiveError::Altered {
        line: 1,
        what: "is not a header",
    })
}

fn take_entry(entries: &mut Values, line: &[u8]) -> Result<(), &'static str> {
    let entry: OwnedEntry = serde_json::from_slice(line).map_err(|_| "is not an entry")?;
    if entries
        .last_key_value()
        .is_some_and(|(last, _)| *last >= entry.key)
    {
        return Err("is not in key order");
    }
    entries.insert(entry.key, Arc::from(entry.value.into_bytes()));
    Ok(())
}

/// The lines of a file, with the digest of those already read.
struct Lines<'a> {
    input: &'a mut dyn BufRead,
    number: usize,
    digest: Sha256,
}

impl<'a> Lines<'a> {
    fn new(input: &'a mut dyn BufRead) -> Self {
        Self {
            input,
            number: 0,
            digest: Sha256::new(),
        }
    }

    /// The next line, including its line end; `None` after the last.
    fn next(&mut self) -> Result<Option<Vec<u8>>, ArchiveError> {
        let line = self.raw()?;
        if let Some(line) = &line {
            self.digest.update(line);
        }
        Ok(line)
    }

    fn require(&mut self) -> Result<Vec<u8>, ArchiveError> {
        let line = self.next()?;
        line.ok_or(ArchiveError::CutOff { line: self.number })
    }

    /// Checks the digest line, and that it is the last.
    fn finish(mut self) -> Result<(), ArchiveError> {
        let Some(line) = self.raw()? else {
            return Err(ArchiveError::CutOff { line: self.number });
        };
        let seal: Seal = serde_json::from_slice(&line)
            .map_err(|_| self.altered("is not the digest that ends a backup"))?;
        if seal.sha256 != hex(&self.digest.clone().finalize()) {
            return Err(self.altered("does not match the digest of the previous lines"));
        }
        match self.raw()? {
            None => Ok(()),
            Some(_) => Err(self.altered("comes after the end")),
        }
    }

    fn raw(&mut self) -> Result<Option<Vec<u8>>, ArchiveError> {
        let mut line = Vec::new();
        let limit = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
        let read = (&mut *self.input)
            .take(limit)
            .read_until(b'\n', &mut line)
            .map_err(ArchiveError::Read)?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        match line.last() {
            Some(b'\n') => Ok(Some(line)),
            _ if read == MAX_LINE => Err(self.altered("is longer than any entry")),
            _ if self.number == 1 => Err(ArchiveError::NotABackup),
            _ => Err(ArchiveError::CutOff { line: self.number }),
        }
    }

    fn altered(&self, what: &'static str) -> ArchiveError {
        ArchiveError::Altered {
            line: self.number,
            what,
        }
    }
}
