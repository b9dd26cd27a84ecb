//! Reads at one revision, in pages that stay small whatever the entry sizes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use banyan_store::{Compare, Entry, KeyRange, Page, Revision, Snapshot, StoreError, Txn};
use etcd_client::{GetOptions, GetResponse, KeyValue};

use crate::failure::{Failure, Kind, Repeat};
use crate::keys::{RawRange, raw_revision};
use crate::store::Inner;

/// The page size in entries before the entry sizes are known, and the maximum.
const MOST: usize = 512;
/// The target size of a page, in bytes.
const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// The maximum size of an answer, in bytes: above the largest entry that a server accepts.
const ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// The store at one revision.
pub(crate) struct EtcdSnapshot {
    inner: Arc<Inner>,
    revision: Revision,
    /// The current estimate of how many entries fill a page of the target size.
    page: AtomicUsize,
}

impl EtcdSnapshot {
    /// Takes the newest revision that a majority of the members knows.
    pub(crate) async fn take(inner: &Arc<Inner>) -> Result<Self, StoreError> {
        let probe = inner.keys.probe();
        let ask = |client: etcd_client::Client| {
            let options = GetOptions::new().with_keys_only();
            let probe = probe.clone();
            async move { client.kv_client().get(probe, Some(options)).await }
        };
        let answer = inner.links.call(Repeat::Always, ask).await;
        let answer = answer.map_err(|failure| failure.into_error("taking a snapshot"))?;
        let at = answer
            .header()
            .map_or(0, etcd_client::ResponseHeader::revision);
        Ok(Self {
            inner: Arc::clone(inner),
            revision: crate::keys::revision(at),
            page: AtomicUsize::new(MOST),
        })
    }

    async fn ask(&self, key: Vec<u8>, options: GetOptions) -> Result<GetResponse, Failure> {
        let options = options.with_revision(raw_revision(self.revision));
        let ask = |client: etcd_client::Client| {
            let (key, options) = (key.clone(), options.clone());
            async move {
                let kv = client.kv_client();
                let mut kv = kv.max_decoding_message_size(ANSWER_BYTES);
                kv.get(key, Some(options)).await
            }
        };
        self.inner.links.call(Repeat::Always, ask).await
    }

    /// The first entries of a range as the server has them, and whether there are more. Requests
    /// fewer entries while the answer is too large.
    async fn raw_page(
        &self,
        range: &RawRange,
        limit: usize,
    ) -> Result<(Vec<KeyValue>, bool), StoreError> {
        loop {
            let count = limit.min(self.page.load(Ordering::Relaxed)).clamp(1, MOST);
            let wanted = GetOptions::new().with_range(range.end.clone());
            let wanted = wanted.with_limit(i64::try_from(count).unwrap_or(1));
            match self.ask(range.start.clone(), wanted).await {
                Ok(mut answer) => {
                    let (entries, more) = (answer.take_kvs(), answer.more());
                    self.learn_size(&entries);
                    return Ok((entries, more));
                }
                Err(failure) if failure.kind == Kind::AnswerTooLarge && count > 1 => {
                    self.page.store(count / 4, Ordering::Relaxed);
                }
                Err(failure) => return Err(self.explain(failure, "reading a range")),
            }
        }
    }

    fn learn_size(&self, entries: &[KeyValue]) {
        let sizes = entries
            .iter()
            .map(|entry| entry.key().len() + entry.value().len());
        let bytes = sizes.fold(0, usize::saturating_add);
        if let Some(mean) = bytes.checked_div(entries.len()) {
            let fitting = PAGE_BYTES / mean.max(1);
            self.page.store(fitting.clamp(1, MOST), Ordering::Relaxed);
        }
    }

    fn explain(&self, failure: Failure, doing: &'static str) -> StoreError {
        match failure.kind {
            Kind::Compacted => StoreError::unavailable(
                doing,
                format!(
                    "revision {} of this snapshot has been compacted on the server; take a new snapshot",
                    self.revision
                ),
            ),
            _ => failure.into_error(doing),
        }
    }
}

#[async_trait]
impl Snapshot for EtcdSnapshot {
    fn revision(&self) -> Revision {
        self.revision
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        check_key(key)?;
        let answer = self.ask(self.inner.keys.raw(key), GetOptions::new()).await;
        let answer = answer.map_err(|failure| self.explain(failure, "reading a key"))?;
        Ok(answer
            .kvs()
            .iter()
            .find_map(|raw| self.inner.keys.entry(raw)))
    }

    async fn range(&self, range: &KeyRange, limit: usize) -> Result<Page, StoreError> {
        let empty = Page {
            entries: Vec::new(),
            more: false,
        };
        // With this option, etcd answers with a single key or with all of them.
        if range.end.as_ref().is_some_and(|end| *end <= range.start) {
            return Ok(empty);
        }
        let mut rest = self.inner.keys.range(range);
        loop {
            let (raw, more) = self.raw_page(&rest, limit.max(1)).await?;
            let entries: Vec<Entry> = raw
                .iter()
                .filter_map(|raw| self.inner.keys.entry(raw))
                .collect();
            match raw.last() {
                // The page held only foreign keys: a page must have an entry if there are more.
                Some(last) if more && entries.is_empty() => {
                    rest = self.inner.keys.continued_after(&rest, last.key());
                }
                _ => return Ok(Page { entries, more }),
            }
        }
    }
}

/// Key validity is defined by the interface.
fn check_key(key: &str) -> Result<(), StoreError> {
    let key = key.to_owned();
    Txn::new().when(Compare::Present { key }).check()
}
