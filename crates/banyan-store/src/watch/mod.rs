//! Watches: what a watcher receives, and from where. Knows no backend.

mod hub;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::{Entry, Revision};

pub use hub::History;
pub(crate) use hub::Hub;
use hub::Reader;

/// The part of one transaction under the watched prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The revision that the transaction created.
    pub revision: Revision,
    /// All of its changes under the prefix, in key order; never empty.
    pub events: Vec<Event>,
}

/// A change to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The key was created or replaced.
    Put(Entry),
    /// The key was deleted.
    Delete {
        /// The key.
        key: String,
    },
}

impl Event {
    /// The key that changed.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Put(entry) => &entry.key,
            Self::Delete { key } => key,
        }
    }
}

/// Why a watch has ended; it returns nothing more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WatchError {
    /// The next changes are compacted: too much has happened since. Read a snapshot and watch from
    /// its revision.
    #[error(
        "the requested changes are compacted; the history starts after revision {oldest}: take a new snapshot and watch from its revision"
    )]
    Compacted {
        /// The smallest revision that can still be watched from.
        oldest: Revision,
    },
    /// The store is closed or unreachable. Read a snapshot and watch from its revision.
    #[error("the store ended the watch; watch again")]
    Closed,
}

/// A stream of changes. Its buffer is bounded: a reader that lags too far gets
/// [`WatchError::Compacted`].
#[derive(Debug)]
pub struct Watch {
    source: Source,
    ended: Option<WatchError>,
}

#[derive(Debug)]
enum Source {
    History(Reader),
    Channel(Fed),
}

/// The reading end of [`Watch::channel`].
#[derive(Debug)]
struct Fed {
    batches: mpsc::Receiver<Batch>,
    end: Arc<OnceLock<WatchError>>,
}

impl Fed {
    async fn next(&mut self) -> Result<Batch, WatchError> {
        match self.batches.recv().await {
            Some(batch) => Ok(batch),
            None => Err(self.end.get().cloned().unwrap_or(WatchError::Closed)),
        }
    }
}

impl Watch {
    pub(crate) fn reading(reader: Reader) -> Self {
        Self::from_source(Source::History(reader))
    }

    /// A watch fed through the returned sender, for backends whose changes come from elsewhere. It
    /// buffers at most `capacity` batches (0 counts as 1).
    #[must_use]
    pub fn channel(capacity: usize) -> (WatchSender, Self) {
        let (sender, batches) = mpsc::channel(capacity.max(1));
        let end = Arc::new(OnceLock::new());
        let fed = Fed {
            batches,
            end: Arc::clone(&end),
        };
        (
            WatchSender { sender, end },
            Self::from_source(Source::Channel(fed)),
        )
    }

    fn from_source(source: Source) -> Self {
        Self {
            source,
            ended: None,
        }
    }

    /// Waits for the next batch, in revision order. Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// [`WatchError`], and the same error on every later call.
    pub async fn next(&mut self) -> Result<Batch, WatchError> {
        if let Some(error) = &self.ended {
            return Err(error.clone());
        }
        let next = match &mut self.source {
            Source::History(reader) => reader.next().await,
            Source::Channel(fed) => fed.next().await,
        };
        if let Err(error) = &next {
            self.ended = Some(error.clone());
        }
        next
    }
}

/// The sending end of [`Watch::channel`]. Dropping it ends the watch with [`WatchError::Closed`],
/// after the batches already sent.
#[derive(Debug)]
pub struct WatchSender {
    sender: mpsc::Sender<Batch>,
    end: Arc<OnceLock<WatchError>>,
}

impl WatchSender {
    /// Sends one batch; waits while the watch is full, but no longer than `patience`.
    ///
    /// Returns whether it was sent; if not, the reader is gone or too slow: [end](Self::end) the
    /// watch.
    pub async fn send(&self, batch: Batch, patience: Duration) -> bool {
        self.sender.send_timeout(batch, patience).await.is_ok()
    }

    /// Ends the watch with this reason, which the reader gets after the batches already sent. It
    /// needs no buffer space, so the reader of a full watch gets it too.
    pub fn end(self, why: WatchError) {
        // Set before the channel closes, so that a reader that sees it closed also sees the reason.
        let _first = self.end.set(why);
    }

    /// Waits until the reader is gone.
    pub async fn closed(&self) {
        self.sender.closed().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_PATIENCE: Duration = Duration::from_millis(1);

    fn batch(revision: u64) -> Batch {
        Batch {
            revision: Revision(revision),
            events: vec![Event::Delete { key: "k".into() }],
        }
    }

    #[tokio::test]
    async fn the_reader_of_a_full_watch_gets_the_reason_after_what_was_sent() {
        let (sender, mut watch) = Watch::channel(1);
        assert!(sender.send(batch(1), NO_PATIENCE).await);
        assert!(!sender.send(batch(2), NO_PATIENCE).await);
        let oldest = Revision(2);
        sender.end(WatchError::Compacted { oldest });
        assert_eq!(watch.next().await, Ok(batch(1)));
        for _ in 0..2 {
            assert_eq!(watch.next().await, Err(WatchError::Compacted { oldest }));
        }
    }

    #[tokio::test]
    async fn a_dropped_sender_closes_the_watch_after_what_was_sent() {
        let (sender, mut watch) = Watch::channel(1);
        assert!(sender.send(batch(1), NO_PATIENCE).await);
        drop(sender);
        assert_eq!(watch.next().await, Ok(batch(1)));
        assert_eq!(watch.next().await, Err(WatchError::Closed));
    }

    #[tokio::test]
    async fn a_sender_learns_that_nobody_reads() {
        let (sender, watch) = Watch::channel(1);
        drop(watch);
        sender.closed().await;
        assert!(!sender.send(batch(1), NO_PATIENCE).await);
    }
}
