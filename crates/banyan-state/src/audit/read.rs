//! Reading a log page by page, and verifying it.

use std::collections::{BTreeMap, BTreeSet};

use banyan_core::Name;
use banyan_core::audit::{Anchor, Fault, Head, Verified, Verifier};
use banyan_store::{Entry, KeyRange, Snapshot, Store, StoreError};

use super::{AuditError, AuditLog, Found, Recorded, head_of};
use crate::{StateError, key};

/// Entries per page.
const PAGE: usize = 256;
/// The maximum number of entries in a list.
const MAX_LISTED: usize = 1_000;

impl AuditLog {
    /// The newest entries, newest first: those below `before`, at most `limit`, never more than 1,000.
    ///
    /// # Errors
    /// The store failed.
    pub async fn list(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Recorded>, StateError> {
        let snapshot = self.store.snapshot().await?;
        let head = self.stored_head(&*snapshot).await?;
        let Some(head) = head.as_ref().and_then(head_of) else {
            return Ok(Vec::new());
        };
        let end = before.map_or(head.seq, |before| before.saturating_sub(1).min(head.seq));
        let limit = u64::try_from(limit.min(MAX_LISTED)).unwrap_or(0);
        let begin = head
            .first
            .max(end.saturating_add(1).saturating_sub(limit))
            .max(1);
        let mut found = self.between(&*snapshot, begin, end).await?;
        let recorded = |seq| {
            let missing = Recorded {
                seq,
                found: Found::Missing,
                hash: None,
            };
            found.remove(&seq).unwrap_or(missing)
        };
        Ok((begin..=end).rev().map(recorded).collect())
    }

    async fn between(
        &self,
        snapshot: &dyn Snapshot,
        begin: u64,
        end: u64,
    ) -> Result<BTreeMap<u64, Recorded>, StateError> {
        if begin > end {
            return Ok(BTreeMap::new());
        }
        let mut found = BTreeMap::new();
        let mut pages = self.pages_between(begin, end);
        while let Some(entries) = pages.next(snapshot).await? {
            for entry in entries {
                if let Some(seq) = key::audit_seq(&self.engine, &entry.key) {
                    found.insert(seq, self.recorded(seq, &entry));
                }
            }
        }
        Ok(found)
    }

    fn recorded(&self, seq: u64, entry: &Entry) -> Recorded {
        let link = self.link(entry);
        let read = (link.as_ref()).and_then(|link| serde_json::from_str(&link.entry).ok());
        Recorded {
            seq,
            found: read.map_or(Found::Unreadable, Found::Entry),
            hash: link.map(|link| link.hash),
        }
    }

    /// Verifies the whole log against its head, and against an anchor if given. Needs memory for one page only.
    ///
    /// # Errors
    /// The first fault, or a failure of the store.
    pub async fn verify(&self, anchor: Option<Anchor>) -> Result<Verified, AuditError> {
        let snapshot = self.store.snapshot().await?;
        let head = match self.stored_head(&*snapshot).await? {
            Some(entry) => head_of(&entry).ok_or(Fault::Headless.at(1))?,
            None => Head::start(&self.engine),
        };
        let headless = head == Head::start(&self.engine);
        let mut verifier = Verifier::new(&self.engine, head, anchor)?;
        let mut pages = self.pages();
        while let Some(entries) = pages.next(&*snapshot).await? {
            for entry in entries {
                let seq = key::audit_seq(&self.engine, &entry.key);
                let seq = seq.ok_or(Fault::Misplaced.at(verifier.expected()))?;
                if headless {
                    return Err(Fault::Headless.at(seq).into());
                }
                let link = self.link(&entry).ok_or(Fault::Unreadable.at(seq))?;
                verifier.take(&link)?;
            }
        }
        Ok(verifier.finish()?)
    }

    /// All entries of the log, in order.
    pub(super) fn pages(&self) -> Pages {
        Pages(Some(KeyRange::prefix(&key::audit_of(&self.engine))))
    }

    /// The entries with these numbers, in order.
    pub(super) fn pages_between(&self, begin: u64, end: u64) -> Pages {
        Pages(Some(KeyRange {
            start: key::audit(&self.engine, begin),
            end: KeyRange::after(&key::audit(&self.engine, end)).start.into(),
        }))
    }
}

/// The remaining part of a range.
pub(super) struct Pages(Option<KeyRange>);

impl Pages {
    pub(super) async fn next(
        &mut self,
        snapshot: &dyn Snapshot,
    ) -> Result<Option<Vec<Entry>>, StoreError> {
        let Some(range) = self.0.take() else {
            return Ok(None);
        };
        let page = snapshot.range(&range, PAGE).await?;
        if let (true, Some(last)) = (page.more, page.entries.last()) {
            self.0 = Some(range.continued_after(&last.key));
        }
        Ok(Some(page.entries))
    }
}

/// The engines that have a head or an entry.
pub(super) async fn engines(store: &dyn Store) -> Result<Vec<Name>, StateError> {
    let snapshot = store.snapshot().await?;
    let mut engines = BTreeSet::new();
    for root in [key::AUDIT_HEADS, key::AUDIT] {
        let mut range = KeyRange::prefix(root);
        loop {
            let page = snapshot.range(&range, 1).await?;
            let Some(entry) = page.entries.first() else {
                break;
            };
            let rest = entry.key.strip_prefix(root).unwrap_or_default();
            let name = rest.split('/').next().unwrap_or_default();
            engines.extend(name.parse::<Name>());
            // One entry per engine is enough: continue after all of its entries.
            let all = KeyRange::prefix(&format!("{root}{name}/"));
            range.start = match all.end {
                Some(end) if rest.contains('/') => end,
                _ => KeyRange::after(&entry.key).start,
            };
        }
    }
    Ok(engines.into_iter().collect())
}
