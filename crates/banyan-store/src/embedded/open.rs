//! Opening a database: its location, whether it is one of ours, and its preparation.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use redb::{DatabaseError, ReadableDatabase, StorageBackend, StorageError, TableHandle};

use super::database::set_revision;
use super::file;
use super::tables::{
    ENTRIES, FORMAT, LEASED, META, META_FORMAT, META_REVISION, Records, unavailable,
};
use crate::{Revision, StoreError, apply::Records as _};

/// The location of a database, and how to open it.
pub(super) struct Source {
    place: String,
    opener: Box<dyn Fn(usize) -> Result<redb::Database, StoreError> + Send + Sync>,
}

impl Source {
    pub(super) fn file(path: &Path) -> Self {
        let path = path.to_owned();
        Self {
            place: path.display().to_string(),
            opener: Box::new(move |cache| file::open(&path, cache)),
        }
    }

    /// A storage that can be opened once.
    pub(super) fn once(backend: impl StorageBackend) -> Self {
        let slot = Mutex::new(Some(backend));
        Self::from_backends(move || slot.lock().unwrap_or_else(PoisonError::into_inner).take())
    }

    /// A storage that is created for each opening, until the source returns none.
    pub(super) fn from_backends<B: StorageBackend>(
        next: impl Fn() -> Option<B> + Send + Sync + 'static,
    ) -> Self {
        let place = "the given storage";
        let opener = move |cache| match next() {
            Some(backend) => {
                database(backend, cache).map_err(|e| e.into_store_error(Path::new(place)))
            }
            None => Err(StoreError::unavailable(
                "reopening its storage",
                "it was given once and has failed",
            )),
        };
        Self {
            place: place.to_owned(),
            opener: Box::new(opener),
        }
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    pub(super) fn open(&self, cache: usize) -> Result<redb::Database, StoreError> {
        (self.opener)(cache)
    }
}

/// Why a database could not be opened.
pub(super) enum OpenError {
    Refused(DatabaseError),
    /// redb detects much file damage by assertions, which panic.
    Panicked,
}

impl OpenError {
    pub(super) fn into_store_error(self, path: &Path) -> StoreError {
        let corrupt = |detail: String| StoreError::Corrupt {
            place: path.display().to_string(),
            detail,
        };
        let error = match self {
            Self::Panicked => return corrupt("its inner structure is damaged".to_owned()),
            Self::Refused(error) => error,
        };
        match error {
            DatabaseError::DatabaseAlreadyOpen => StoreError::Busy {
                path: path.to_owned(),
            },
            DatabaseError::Storage(StorageError::Io(source)) if is_damage(source.kind()) => {
                corrupt(source.to_string())
            }
            DatabaseError::Storage(StorageError::Io(source)) => StoreError::Io {
                doing: "open",
                path: path.to_owned(),
                source,
            },
            DatabaseError::Storage(StorageError::Corrupted(detail)) => corrupt(detail),
            error @ DatabaseError::UpgradeRequired(_) => corrupt(error.to_string()),
            error => StoreError::unavailable("opening its file", redb::Error::from(error)),
        }
    }
}

fn is_damage(kind: std::io::ErrorKind) -> bool {
    use std::io::ErrorKind::{InvalidData, UnexpectedEof};
    matches!(kind, InvalidData | UnexpectedEof)
}

/// Opens a database in a storage, or creates one if the storage is empty.
pub(super) fn database(
    backend: impl StorageBackend,
    cache: usize,
) -> Result<redb::Database, OpenError> {
    guarded(|| {
        let mut builder = redb::Database::builder();
        builder.set_cache_size(cache);
        builder
            .create_with_backend(backend)
            .map_err(OpenError::Refused)
    })
}

/// Runs work on a file that may be damaged, where redb may panic.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, OpenError>) -> Result<T, OpenError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(OpenError::Panicked))
}

/// How to treat leased keys found in a database.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Leased {
    /// Their leases ended with the previous process.
    Delete,
    /// Their leases live in this process.
    Keep,
}

/// Prepares an opened database and returns its revision.
pub(super) fn prepare(
    database: &redb::Database,
    place: &str,
    leased: Leased,
) -> Result<Revision, StoreError> {
    if tables(database).map_err(unavailable)?.is_empty() {
        initialise(database).map_err(unavailable)?;
    }
    let revision = recognise(database, place)?;
    match leased {
        Leased::Delete => delete_leased(database, revision),
        Leased::Keep => Ok(revision),
    }
}

/// Checks without changes that this is a Banyan store, and returns its revision.
pub(super) fn recognise(database: &redb::Database, place: &str) -> Result<Revision, StoreError> {
    let damaged = |detail: String| StoreError::Corrupt {
        place: place.to_owned(),
        detail,
    };
    let stored = meta(database).map_err(|error| damaged(error.to_string()))?;
    let (Some(found), Some(revision)) = stored else {
        return Err(damaged("it is a database of another program".to_owned()));
    };
    if found != FORMAT {
        return Err(StoreError::Format {
            place: place.to_owned(),
            found,
            supported: FORMAT,
        });
    }
    Ok(Revision(revision))
}

/// Creates the tables of an empty store.
pub(super) fn initialise(database: &redb::Database) -> Result<(), redb::Error> {
    let txn = database.begin_write()?;
    drop(Records::open(&txn)?);
    txn.open_table(META)?.insert(META_FORMAT, FORMAT)?;
    set_revision(&txn, Revision(0))?;
    txn.commit()?;
    Ok(())
}

fn tables(database: &redb::Database) -> Result<Vec<String>, redb::Error> {
    let txn = database.begin_read()?;
    let tables = txn.list_tables()?;
    Ok(tables.map(|table| table.name().to_owned()).collect())
}

/// The format and the revision, if present.
fn meta(database: &redb::Database) -> Result<(Option<u64>, Option<u64>), redb::Error> {
    if !tables(database)?.iter().any(|name| name == META.name()) {
        return Ok((None, None));
    }
    let txn = database.begin_read()?;
    let meta = txn.open_table(META)?;
    let number = |name: &str| -> Result<_, redb::Error> { Ok(meta.get(name)?.map(|n| n.value())) };
    let found = (number(META_FORMAT)?, number(META_REVISION)?);
    if found.0 == Some(FORMAT) {
        txn.open_table(ENTRIES)?;
        txn.open_table(LEASED)?;
    }
    Ok(found)
}

fn delete_leased(database: &redb::Database, revision: Revision) -> Result<Revision, StoreError> {
    let txn = database.begin_write().map_err(unavailable)?;
    let mut records = Records::open(&txn).map_err(unavailable)?;
    let leased = records.leased().map_err(unavailable)?;
    leased.iter().try_for_each(|(key, _)| records.remove(key))?;
    drop(records);
    if leased.is_empty() {
        txn.abort().map_err(unavailable)?;
        return Ok(revision);
    }
    set_revision(&txn, revision.next()).map_err(unavailable)?;
    txn.commit().map_err(unavailable)?;
    Ok(revision.next())
}
