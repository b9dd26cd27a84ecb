//! The recent history of a store, shared by all its watchers.
//!
//! Watchers read one ring at their own pace and have no buffers of their own, so a slow or
//! forgotten watcher costs nothing; a watcher that the ring has overtaken gets an error.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::{Batch, Event, WatchError};
use crate::Revision;

/// How much history a store keeps for watchers; the newest transaction is always kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// The maximum number of transactions.
    pub batches: usize,
    /// The maximum size of keys and values, in bytes.
    pub bytes: usize,
}

impl Default for History {
    fn default() -> Self {
        Self {
            batches: 4096,
            bytes: 8 * 1024 * 1024,
        }
    }
}

/// The writing end, owned by the store; watches end when it is dropped.
#[derive(Debug)]
pub(crate) struct Hub {
    ring: Arc<Mutex<Ring>>,
    changed: watch::Sender<()>,
}

/// The reading end, owned by a watch.
#[derive(Debug)]
pub(crate) struct Reader {
    ring: Arc<Mutex<Ring>>,
    changed: watch::Receiver<()>,
    prefix: String,
    after: Revision,
}

#[derive(Debug)]
struct Ring {
    batches: VecDeque<Arc<Batch>>,
    bytes: usize,
    limits: History,
    /// Every transaction above this revision is in `batches`.
    oldest: Revision,
    closed: bool,
}

impl Hub {
    /// A history that starts after `revision`.
    pub(crate) fn new(limits: History, revision: Revision) -> Self {
        let ring = Ring {
            batches: VecDeque::new(),
            bytes: 0,
            limits,
            oldest: revision,
            closed: false,
        };
        Self {
            ring: Arc::new(Mutex::new(ring)),
            changed: watch::Sender::new(()),
        }
    }

    /// Adds the next transaction; its events are in key order.
    pub(crate) fn publish(&self, revision: Revision, events: Vec<Event>) {
        lock(&self.ring).push(Batch { revision, events });
        self.changed.send_replace(());
    }

    /// Forgets everything up to `revision`, because the changes that led there are unknown.
    pub(crate) fn restart_at(&self, revision: Revision) {
        let mut ring = lock(&self.ring);
        ring.batches.clear();
        ring.bytes = 0;
        ring.oldest = revision;
        drop(ring);
        self.changed.send_replace(());
    }

    /// Ends every watch after it has read what is published.
    pub(crate) fn close(&self) {
        lock(&self.ring).closed = true;
        self.changed.send_replace(());
    }

    /// The newest revision published.
    pub(crate) fn newest(&self) -> Revision {
        let ring = lock(&self.ring);
        ring.batches.back().map_or(ring.oldest, |b| b.revision)
    }

    pub(crate) fn reader(&self, prefix: &str, after: Revision) -> Reader {
        Reader {
            ring: Arc::clone(&self.ring),
            changed: self.changed.subscribe(),
            prefix: prefix.to_owned(),
            after,
        }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.close();
    }
}

impl Reader {
    pub(crate) async fn next(&mut self) -> Result<Batch, WatchError> {
        loop {
            // Registered before checking, so that a publication after the check wakes us.
            self.changed.borrow_and_update();
            if let Some(found) = self.look() {
                return found;
            }
            if self.changed.changed().await.is_err() {
                return self.look().unwrap_or(Err(WatchError::Closed));
            }
        }
    }

    fn look(&mut self) -> Option<Result<Batch, WatchError>> {
        let ring = lock(&self.ring);
        if self.after < ring.oldest {
            let oldest = ring.oldest;
            return Some(Err(WatchError::Compacted { oldest }));
        }
        let start = ring.batches.partition_point(|b| b.revision <= self.after);
        for batch in ring.batches.range(start..) {
            self.after = batch.revision;
            let events = under(&self.prefix, &batch.events);
            if !events.is_empty() {
                return Some(Ok(Batch {
                    revision: batch.revision,
                    events: events.to_vec(),
                }));
            }
        }
        ring.closed.then_some(Err(WatchError::Closed))
    }
}

impl Ring {
    fn push(&mut self, batch: Batch) {
        self.bytes = self.bytes.saturating_add(weight(&batch));
        self.batches.push_back(Arc::new(batch));
        while self.batches.len() > 1
            && (self.batches.len() > self.limits.batches || self.bytes > self.limits.bytes)
        {
            if let Some(gone) = self.batches.pop_front() {
                self.bytes = self.bytes.saturating_sub(weight(&gone));
                self.oldest = gone.revision;
            }
        }
    }
}

/// The events under a prefix; they are contiguous, because events are in key order.
fn under<'a>(prefix: &str, events: &'a [Event]) -> &'a [Event] {
    let start = events.partition_point(|e| e.key() < prefix);
    let tail = events.get(start..).unwrap_or_default();
    let len = tail.partition_point(|e| e.key().starts_with(prefix));
    tail.get(..len).unwrap_or_default()
}

fn weight(batch: &Batch) -> usize {
    let of = |event: &Event| match event {
        Event::Put(entry) => entry.key.len().saturating_add(entry.value.len()),
        Event::Delete { key } => key.len(),
    };
    batch.events.iter().map(of).sum()
}

fn lock(ring: &Mutex<Ring>) -> MutexGuard<'_, Ring> {
    ring.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Entry, Watch};

    fn put(key: &str, size: usize) -> Event {
        Event::Put(Entry {
            key: key.into(),
            value: vec![0; size].into(),
            created: Revision(1),
            modified: Revision(1),
            lease: None,
        })
    }

    #[tokio::test]
    async fn a_watcher_overtaken_by_count_or_bytes_is_told_so() {
        for limits in [
            History {
                batches: 2,
                bytes: usize::MAX,
            },
            History {
                batches: usize::MAX,
                bytes: 250,
            },
        ] {
            let hub = Hub::new(limits, Revision(10));
            let mut slow = Watch::reading(hub.reader("", Revision(10)));
            for revision in 11..=13 {
                hub.publish(Revision(revision), vec![put("k", 100)]);
            }
            let oldest = Revision(11);
            assert_eq!(slow.next().await, Err(WatchError::Compacted { oldest }));
            let mut again = Watch::reading(hub.reader("", oldest));
            assert_eq!(again.next().await.unwrap().revision, Revision(12));
        }
    }

    #[tokio::test]
    async fn one_transaction_above_the_byte_limit_is_still_delivered() {
        let hub = Hub::new(
            History {
                batches: 8,
                bytes: 10,
            },
            Revision(0),
        );
        let mut watch = Watch::reading(hub.reader("", Revision(0)));
        hub.publish(Revision(1), vec![put("k", 1000)]);
        assert_eq!(watch.next().await.unwrap().revision, Revision(1));
    }

    #[tokio::test]
    async fn other_prefixes_are_skipped_however_close() {
        let hub = Hub::new(History::default(), Revision(0));
        let mut watch = Watch::reading(hub.reader("b/", Revision(0)));
        let keys = ["a/z", "b", "b-", "b/1", "b/2", "b0", "c/1"];
        hub.publish(Revision(1), keys.iter().map(|k| put(k, 1)).collect());
        let batch = watch.next().await.unwrap();
        let got: Vec<_> = batch.events.iter().map(Event::key).collect();
        assert_eq!(got, ["b/1", "b/2"]);
    }

    #[tokio::test]
    async fn a_closed_store_ends_the_watch_after_what_there_is_to_read() {
        let hub = Hub::new(History::default(), Revision(0));
        let mut watch = Watch::reading(hub.reader("", Revision(0)));
        hub.publish(Revision(1), vec![put("k", 1)]);
        drop(hub);
        assert!(watch.next().await.is_ok());
        assert_eq!(watch.next().await, Err(WatchError::Closed));
        assert_eq!(watch.next().await, Err(WatchError::Closed));
    }
}
