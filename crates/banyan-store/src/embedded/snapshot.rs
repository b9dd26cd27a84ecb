//! Reading the embedded store at one revision.

use std::sync::Arc;

use async_trait::async_trait;
use redb::{ReadOnlyTable, ReadTransaction};

use super::database::blocking;
use super::tables::{ENTRIES, META, META_REVISION, Row, entry, unavailable};
use crate::txn::check_key;
use crate::{Entry, KeyRange, Page, Revision, Snapshot, StoreError};

/// The tables as a read transaction sees them.
pub(super) struct Frozen {
    revision: Revision,
    entries: ReadOnlyTable<&'static str, Row>,
}

pub(super) struct EmbeddedSnapshot {
    frozen: Arc<Frozen>,
}

impl Frozen {
    pub(super) fn take(txn: &ReadTransaction) -> Result<Self, redb::Error> {
        let revision = txn.open_table(META)?.get(META_REVISION)?;
        Ok(Self {
            revision: Revision(revision.map_or(0, |row| row.value())),
            entries: txn.open_table(ENTRIES)?,
        })
    }

    fn get(&self, key: &str) -> Result<Option<Entry>, redb::Error> {
        Ok(self.entries.get(key)?.map(|row| entry(key, &row)))
    }

    fn page(&self, range: &KeyRange, limit: usize) -> Result<Page, redb::Error> {
        let mut entries = Vec::new();
        if range.is_empty() {
            return Ok(Page {
                entries,
                more: false,
            });
        }
        let rows = match &range.end {
            Some(end) => self.entries.range(&*range.start..&**end)?,
            None => self.entries.range(&*range.start..)?,
        };
        for row in rows {
            if entries.len() == limit {
                return Ok(Page {
                    entries,
                    more: true,
                });
            }
            let (key, row) = row?;
            entries.push(entry(key.value(), &row));
        }
        Ok(Page {
            entries,
            more: false,
        })
    }
}

impl EmbeddedSnapshot {
    pub(super) fn new(frozen: Frozen) -> Self {
        Self {
            frozen: Arc::new(frozen),
        }
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Frozen) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let frozen = Arc::clone(&self.frozen);
        blocking("reading", move || work(&frozen).map_err(unavailable)).await
    }
}

#[async_trait]
impl Snapshot for EmbeddedSnapshot {
    fn revision(&self) -> Revision {
        self.frozen.revision
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        check_key(key)?;
        let key = key.to_owned();
        self.read(move |frozen| frozen.get(&key)).await
    }

    async fn range(&self, range: &KeyRange, limit: usize) -> Result<Page, StoreError> {
        let range = range.clone();
        let limit = limit.max(1);
        self.read(move |frozen| frozen.page(&range, limit)).await
    }
}
