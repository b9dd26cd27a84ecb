//! Checks whether keys and values form a valid state, and summarizes it.

use std::sync::Arc;

use banyan_core::people::Account;
use banyan_core::{Floor, Generation, Kind, Name};
use banyan_store::{Compare, Revision, Txn};
use jiff::Timestamp;
use serde::de::IgnoredAny;
use sha2::{Digest as _, Sha256};

use super::{ArchiveError, Summary, Values, lasts};
use crate::key::{ACCOUNTS, FLOOR, HISTORY, POINTER, RECORDS, RecordKey};
use crate::marks::RESTORING;
use crate::{HistoryEntry, StateError, stored};

/// Checks every key and value, so that an archive can always be written, and what was written can be read.
pub(super) fn check(entries: &Values, made_at: Timestamp) -> Result<Summary, ArchiveError> {
    let pointer = entries.get(POINTER).ok_or(ArchiveError::NothingInForce)?;
    let applied = stored::pointer(POINTER, pointer)?.applied;
    let mut cluster = None;
    for (key, value) in entries {
        if !is_writable(key, value) {
            return Err(corrupt(key).into());
        }
        if let Some(record) = readable(key, value)? {
            take_name(&mut cluster, &record, value, applied.generation);
        }
    }
    Ok(Summary {
        made_at,
        entries: entries.len(),
        generation: applied.generation,
        commit: applied.commit.id,
        cluster,
    })
}

/// Drops unreadable entries that do not decide what is in force: they do not stop an engine, so they must not prevent a
/// backup.
pub(super) fn leave_out_broken(entries: &mut Values) {
    entries.retain(|key, value| {
        let decides = key == POINTER || key.starts_with(RECORDS);
        let sound = decides || (readable(key, value).is_ok() && is_writable(key, value));
        if !sound {
            tracing::warn!(
                key,
                "an unreadable entry of the store is omitted from the backup"
            );
        }
        sound
    });
}

/// Whether a store accepts the entry, in a transaction of [`restore`](super::restore).
fn is_writable(key: &str, value: &Arc<[u8]>) -> bool {
    let fence = Compare::Modified {
        key: RESTORING.to_owned(),
        at: Revision(0),
    };
    let txn = Txn::new().when(fence).put(key, Arc::clone(value));
    lasts(key) && txn.check().is_ok()
}

/// Checks that the entry is part of a valid state; returns its record key, if it is a record.
fn readable(key: &str, value: &[u8]) -> Result<Option<RecordKey>, StateError> {
    if std::str::from_utf8(value).is_err() {
        return Err(corrupt(key));
    }
    if key.starts_with(RECORDS) {
        let record = RecordKey::parse(key).ok_or_else(|| corrupt(key))?;
        stored::object(record.kind, key, value)?;
        return Ok(Some(record));
    }
    if key.starts_with(HISTORY) {
        stored::decode::<HistoryEntry>(key, value)?;
    } else if key.starts_with(ACCOUNTS) {
        stored::decode::<Account>(key, value)?;
    } else if key == FLOOR {
        stored::decode::<Floor>(key, value)?;
    } else if key != POINTER {
        stored::decode::<IgnoredAny>(key, value)?;
    }
    Ok(None)
}

/// Tracks the cluster's name through the generations, which are visited in order.
fn take_name(cluster: &mut Option<Name>, record: &RecordKey, value: &[u8], in_force: Generation) {
    if record.kind != Kind::Cluster || record.generation > in_force {
        return;
    }
    if value != b"null" {
        *cluster = Some(record.name.clone());
    } else if cluster.as_ref() == Some(&record.name) {
        *cluster = None;
    }
}

fn corrupt(key: &str) -> StateError {
    StateError::Corrupt {
        key: key.to_owned(),
        source: None,
    }
}

/// The digest of keys and values, independent of the file format and the time.
pub(super) fn digest(entries: &Values) -> String {
    let mut digest = Sha256::new();
    for (key, value) in entries {
        for part in [key.as_bytes(), value] {
            digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            digest.update(part);
        }
    }
    hex(&digest.finalize())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
