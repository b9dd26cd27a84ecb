//! Removes the oldest entries, to bound the log.

use banyan_core::audit::{Break, Fault, Head, Link};
use banyan_store::{Outcome, Snapshot};

use super::{AuditLog, Known, MAX_BATCH, Trimmed, head_of};
use crate::{StateError, key};

/// The oldest entries, to be removed.
struct Oldest {
    broken: Option<Break>,
    head: Head,
}

impl AuditLog {
    /// Removes the oldest entries, except the newest `keep` (at least one); writes nothing if there are no more than
    /// that. Entries are verified before they are removed.
    ///
    /// # Errors
    /// If the store failed. Entries removed until then stay removed; the next call removes the rest.
    pub async fn trim(&self, keep: u64) -> Result<Trimmed, StateError> {
        let mut trimmed = Trimmed::default();
        loop {
            let mut tail = self.tail.lock().await;
            let snapshot = self.store.snapshot().await?;
            let entry = self.stored_head(&*snapshot).await?;
            // Without a head there is nothing to trim; appending creates one.
            let Some((entry, head)) = entry.and_then(|e| head_of(&e).map(|head| (e, head))) else {
                return Ok(trimmed);
            };
            let surplus = head.kept().saturating_sub(keep.max(1));
            if surplus == 0 {
                return Ok(trimmed);
            }
            let count = surplus.min(u64::try_from(MAX_BATCH).unwrap_or(1));
            let oldest = self.oldest(&*snapshot, head, count).await?;
            let mut txn = self.moving(entry.modified, &oldest.head)?;
            for seq in head.first..oldest.head.first {
                txn = txn.delete(key::audit(&self.engine, seq));
            }
            tail.known = None;
            if let Outcome::Committed(at) = self.store.commit(txn).await? {
                trimmed.removed += count;
                trimmed.broken = trimmed.broken.or(oldest.broken);
                // If a response is missing, appending has to read anyway.
                let settled = tail.attempt.links.is_empty();
                let head = oldest.head;
                tail.known = settled.then_some(Known { head, at });
            }
        }
    }

    /// Verifies the `count` oldest entries and returns the head without them.
    async fn oldest(
        &self,
        snapshot: &dyn Snapshot,
        mut head: Head,
        count: u64,
    ) -> Result<Oldest, StateError> {
        let end = head.first.saturating_add(count);
        let mut links = self.links(snapshot, head.first, end).await?.into_iter();
        let mut link = links.next();
        let (mut last, mut broken) = (head.before, None);
        for seq in head.first..end {
            let here = link.take_if(|(at, _)| *at == seq);
            let judged = judge(seq, here.as_ref().map(|(_, link)| link.as_ref()), last);
            if here.is_some() {
                link = links.next();
            }
            last = here
                .and_then(|(_, link)| link)
                .map_or(last, |link| link.hash);
            broken = broken.or(judged);
        }
        // The next entry's recorded previous hash counts, not the hash stored now.
        let next = link.filter(|(at, _)| *at == end).and_then(|(_, link)| link);
        head.before = next.map_or(last, |next| next.prev);
        head.first = end;
        Ok(Oldest { broken, head })
    }

    /// The links at these positions, from `begin` to `end`; `None` where unreadable.
    pub(super) async fn links(
        &self,
        snapshot: &dyn Snapshot,
        begin: u64,
        end: u64,
    ) -> Result<Vec<(u64, Option<Link>)>, StateError> {
        let mut links = Vec::new();
        let mut pages = self.pages_between(begin, end);
        while let Some(entries) = pages.next(snapshot).await? {
            let read = entries.iter().filter_map(|entry| {
                let seq = key::audit_seq(&self.engine, &entry.key)?;
                Some((seq, self.link(entry)))
            });
            links.extend(read);
        }
        Ok(links)
    }
}

/// The fault at a position, if any.
fn judge(seq: u64, there: Option<Option<&Link>>, last: banyan_core::Digest) -> Option<Break> {
    let fault = match there {
        None => Fault::Missing,
        Some(None) => Fault::Unreadable,
        Some(Some(link)) if !link.is_intact() => Fault::Altered,
        Some(Some(link)) if link.prev != last => Fault::Unlinked,
        Some(Some(_)) => return None,
    };
    Some(fault.at(seq))
}
