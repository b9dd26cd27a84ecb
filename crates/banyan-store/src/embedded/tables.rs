//! The database format: its tables, and how records are read and written.

use redb::{AccessGuard, ReadableTable, Table, TableDefinition, WriteTransaction};

use crate::apply;
use crate::{Entry, LeaseId, Revision, StoreError};

/// The format this version reads and writes.
pub(super) const FORMAT: u64 = 1;

/// Created and modified revision, lease (0: none), value.
pub(super) type Row = (u64, u64, u64, &'static [u8]);

pub(super) const ENTRIES: TableDefinition<'_, &str, Row> = TableDefinition::new("entries");
/// The keys that belong to a lease, so that neither opening nor expiry scans everything.
pub(super) const LEASED: TableDefinition<'_, &str, u64> = TableDefinition::new("leased");
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
pub(super) const META_FORMAT: &str = "format";
pub(super) const META_REVISION: &str = "revision";

/// The records of one write transaction.
pub(super) struct Records<'t> {
    entries: Table<'t, &'static str, Row>,
    leased: Table<'t, &'static str, u64>,
}

impl<'t> Records<'t> {
    pub(super) fn open(txn: &'t WriteTransaction) -> Result<Self, redb::Error> {
        Ok(Self {
            entries: txn.open_table(ENTRIES)?,
            leased: txn.open_table(LEASED)?,
        })
    }

    /// Every key that belongs to a lease, and its lease.
    pub(super) fn leased(&self) -> Result<Vec<(String, LeaseId)>, redb::Error> {
        let rows = self.leased.iter()?;
        rows.map(|row| {
            let (key, lease) = row?;
            Ok((key.value().to_owned(), LeaseId(lease.value())))
        })
        .collect()
    }

    fn try_put(&mut self, entry: &Entry) -> Result<(), redb::Error> {
        let lease = entry.lease.map_or(0, |lease| lease.0);
        let row = (entry.created.0, entry.modified.0, lease, &*entry.value);
        self.entries.insert(&*entry.key, row)?;
        match entry.lease {
            Some(lease) => self.leased.insert(&*entry.key, lease.0)?,
            None => self.leased.remove(&*entry.key)?,
        };
        Ok(())
    }

    fn try_remove(&mut self, key: &str) -> Result<(), redb::Error> {
        self.entries.remove(key)?;
        self.leased.remove(key)?;
        Ok(())
    }
}

impl apply::Records for Records<'_> {
    fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        let row = self.entries.get(key).map_err(unavailable)?;
        Ok(row.map(|row| entry(key, &row)))
    }

    fn put(&mut self, entry: &Entry) -> Result<(), StoreError> {
        self.try_put(entry).map_err(unavailable)
    }

    fn remove(&mut self, key: &str) -> Result<(), StoreError> {
        self.try_remove(key).map_err(unavailable)
    }

    fn keys_of(&self, lease: LeaseId) -> Result<Vec<String>, StoreError> {
        let leased = self.leased().map_err(unavailable)?;
        let of = leased.into_iter().filter(|(_, by)| *by == lease);
        Ok(of.map(|(key, _)| key).collect())
    }
}

/// The entry stored in a row.
pub(super) fn entry(key: &str, row: &AccessGuard<'_, Row>) -> Entry {
    let (created, modified, lease, value) = row.value();
    Entry {
        key: key.to_owned(),
        value: value.into(),
        created: Revision(created),
        modified: Revision(modified),
        lease: (lease != 0).then_some(LeaseId(lease)),
    }
}

pub(super) fn unavailable(error: impl Into<redb::Error>) -> StoreError {
    StoreError::unavailable("using its file", error.into())
}
