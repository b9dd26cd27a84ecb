//! Appending to the chain.

use banyan_core::audit::{Action, Actor, AuditEntry, Head, Link};
use banyan_store::{MAX_TXN_BYTES, Outcome, Revision, Snapshot};
use jiff::Timestamp;

use super::{Appended, Attempt, AuditLog, Known, MAX_BATCH, Tail, head_of};
use crate::{StateError, key, stored};

/// How many times the head is read again because another process wrote in between.
const ATTEMPTS: u32 = 16;

impl AuditLog {
    /// Appends entries to the log, as many as fit into one transaction, at most [`MAX_BATCH`].
    ///
    /// After an error they may nevertheless have been written. Append the same entries again, alone or followed by
    /// more; entries that exist already are not written twice.
    ///
    /// # Errors
    /// The store failed.
    pub async fn append(&self, entries: &[AuditEntry]) -> Result<Appended, StateError> {
        let texts = entries.iter().take(MAX_BATCH).map(text);
        let texts: Vec<Box<str>> = texts.collect::<Result<_, _>>()?;
        let at = entries.first().map(|entry| entry.at).unwrap_or_default();
        let mut tail = self.tail.lock().await;
        for _ in 0..ATTEMPTS {
            let (known, there) = self.find_end(&mut tail, &texts, at).await?;
            if there > 0 || texts.is_empty() {
                return Ok(Appended {
                    head: known.head,
                    written: there,
                });
            }
            if let Some(appended) = self.put(&mut tail, known, &texts).await? {
                return Ok(appended);
            }
        }
        Err(StateError::Conflict {
            what: "another process keeps writing to the same audit log".to_owned(),
        })
    }

    /// The head of the log. A fault in it is noted for the next entry. Reads the store only if another process may have
    /// written or a response is missing.
    ///
    /// # Errors
    /// The store failed.
    pub async fn head(&self, at: Timestamp) -> Result<Head, StateError> {
        let mut tail = self.tail.lock().await;
        if let Some(known) = tail.known {
            return Ok(known.head);
        }
        let snapshot = self.store.snapshot().await?;
        let known = self.end(&*snapshot, &mut tail, at).await?;
        if tail.attempt.links.is_empty() {
            tail.known = Some(known);
        }
        Ok(known.head)
    }

    /// The end of the log, and how many of the entries of the last request are already stored.
    async fn find_end(
        &self,
        tail: &mut Tail,
        texts: &[Box<str>],
        at: Timestamp,
    ) -> Result<(Known, usize), StateError> {
        if let (Some(known), true) = (tail.known, tail.attempt.links.is_empty()) {
            return Ok((known, 0));
        }
        let snapshot = self.store.snapshot().await?;
        let mut landed = self.landed(&*snapshot, &tail.attempt.links).await?;
        let mut links = std::mem::take(&mut tail.attempt).into_sent(&mut landed, tail);
        let known = self.end(&*snapshot, tail, at).await?;
        links.truncate(landed);
        let same = (links.iter().zip(texts)).take_while(|(link, text)| link.entry == **text);
        let there = same.count();
        tail.known = Some(known);
        Ok((known, there))
    }

    /// How many of these links are in the store, from the first.
    async fn landed(&self, snapshot: &dyn Snapshot, links: &[Link]) -> Result<usize, StateError> {
        let (Some(first), Some(last)) = (links.first(), links.last()) else {
            return Ok(0);
        };
        let there = self.links(snapshot, first.seq, last.seq).await?;
        let same = links.iter().zip(there).take_while(|(link, (_, there))| {
            let there = there.as_ref();
            there.is_some_and(|there| there.hash == link.hash)
        });
        Ok(same.count())
    }

    /// The end of the log according to the store. A damaged head does not prevent writing, but is recorded.
    async fn end(
        &self,
        snapshot: &dyn Snapshot,
        tail: &mut Tail,
        at: Timestamp,
    ) -> Result<Known, StateError> {
        let entry = self.stored_head(snapshot).await?;
        let modified = entry.as_ref().map_or(Revision(0), |entry| entry.modified);
        let head = entry.as_ref().and_then(head_of);
        let (head, mut trouble) = match head {
            Some(head) => (head, None),
            None => {
                let found = self.last_there(snapshot).await?;
                let what = if entry.is_some() {
                    "the head could not be read"
                } else {
                    "the head was missing"
                };
                let sound = entry.is_none() && found.is_none();
                let trouble = (!sound).then(|| what.to_owned());
                (found.unwrap_or_else(|| Head::start(&self.engine)), trouble)
            }
        };
        let went_back = tail.highest.filter(|highest| {
            let other = head.seq == highest.seq && head.hash != highest.hash;
            head.seq < highest.seq || other
        });
        if let Some(highest) = went_back {
            trouble = Some(format!(
                "the log ended in entry {} with hash {}",
                highest.seq, highest.hash
            ));
        }
        if let Some(trouble) = trouble {
            tracing::error!(engine = %self.engine, trouble, "the audit log was changed out of band");
            let note = AuditEntry::new(at, Actor::Engine, Action::AUDIT_BROKEN)
                .detail(&format!("{trouble}; it continues after entry {}", head.seq));
            tail.note = Some(text(&note)?);
        }
        tail.highest = Some(head);
        Ok(Known { head, at: modified })
    }

    /// A head computed from the existing entries.
    async fn last_there(&self, snapshot: &dyn Snapshot) -> Result<Option<Head>, StateError> {
        let mut pages = self.pages();
        let mut head: Option<Head> = None;
        while let Some(entries) = pages.next(snapshot).await? {
            for entry in entries {
                let Some(seq) = key::audit_seq(&self.engine, &entry.key) else {
                    continue;
                };
                let link = self.link(&entry);
                let start = Head::start(&self.engine);
                let head = head.get_or_insert_with(|| Head {
                    first: seq,
                    before: link.as_ref().map_or(start.before, |link| link.prev),
                    ..start
                });
                head.seq = seq;
                head.hash = link.map_or(head.hash, |link| link.hash);
            }
        }
        Ok(head)
    }

    /// Sends one transaction; `None` if another process wrote first.
    async fn put(
        &self,
        tail: &mut Tail,
        known: Known,
        texts: &[Box<str>],
    ) -> Result<Option<Appended>, StateError> {
        let mut head = known.head;
        let (mut links, mut bytes) = (Vec::new(), 0);
        let mut ops = Vec::new();
        for text in tail.note.iter().chain(texts) {
            let mut after = head;
            let link = after.push(text.clone());
            let value = stored::encode(&link)?;
            bytes += value.len() + key::audit(&self.engine, link.seq).len();
            if bytes > MAX_TXN_BYTES / 2 && !links.is_empty() {
                break;
            }
            head = after;
            ops.push((key::audit(&self.engine, link.seq), value));
            links.push(link);
        }
        let mut txn = self.moving(known.at, &head)?;
        for (key, value) in ops {
            txn = txn.put(key, value);
        }
        let noted = tail.note.is_some();
        let written = links.len() - usize::from(noted);
        tail.known = None;
        tail.attempt = Attempt { links, noted };
        match self.store.commit(txn).await? {
            Outcome::Committed(at) => {
                tail.known = Some(Known { head, at });
                tail.highest = Some(head);
                tail.attempt = Attempt::default();
                tail.note = None;
                Ok(Some(Appended { head, written }))
            }
            Outcome::Conflict { .. } => Ok(None),
        }
    }
}

impl Attempt {
    /// The links for the caller's entries; a note that precedes them is removed, and cleared if it was written.
    fn into_sent(mut self, landed: &mut usize, tail: &mut Tail) -> Vec<Link> {
        if self.noted && !self.links.is_empty() {
            self.links.remove(0);
            if *landed > 0 {
                *landed -= 1;
                tail.note = None;
            }
        }
        self.links
    }
}

fn text(entry: &AuditEntry) -> Result<Box<str>, StateError> {
    let text = serde_json::to_string(entry).map_err(StateError::Encode)?;
    Ok(text.into())
}
