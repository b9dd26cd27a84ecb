//! Watching: what a watcher gets, and where it gets it from. It knows no backend.

mod hub;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::{Entry, Revision};

pub use hub::History;
pub(crate) use hub::Hub;
use hub::Reader;

/// One transaction, as far as it is under the watched prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The revision that it made.
    pub revision: Revision,
    /// All of its changes under the prefix, in key order; never empty.
    pub events: Vec<Event>,
}

/// A change to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The key was made or replaced.
    Put(Entry),
    /// The key was removed.
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

/// Why a watch has ended; it gives nothing more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WatchError {
    /// The changes that come next are forgotten: too much happened since. Read a snapshot and watch
    /// from its revision.
    #[error(
        "the changes asked for are no longer kept, only those after revision {oldest}; read everything again"
    )]
    Compacted {
        /// The least revision that can still be watched from.
        oldest: Revision,
    },
    /// The store is closed or out of reach. Read a snapshot and watch from its revision.
    #[error("the store ended the watch; watch again")]
    Closed,
}

/// A stream of changes. What it holds back for a slow reader is bounded: one that lags too far gets
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

    /// A watch that is fed by hand, for backends whose changes come from elsewhere, and the end
    /// that feeds it. It holds back at most `capacity` batches (0 counts as 1).
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

    /// The next batch, in the order of revisions; waits for it. Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// [`WatchError`], and from then on the same again.
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

/// The feeding end of [`Watch::channel`]. Dropping it ends the watch with [`WatchError::Closed`],
/// after what was sent.
#[derive(Debug)]
pub struct WatchSender {
    sender: mpsc::Sender<Batch>,
    end: Arc<OnceLock<WatchError>>,
}

impl WatchSender {
    /// Hands on one batch; waits while the watch is full, but no longer than `patience`.
    ///
    /// Returns whether it was taken; if not, nobody reads any more, or too slowly: [end](Self::end)
    /// the watch.
    pub async fn send(&self, batch: Batch, patience: Duration) -> bool {
        self.sender.send_timeout(batch, patience).await.is_ok()
    }

    /// Ends the watch for this reason, which the reader gets after what was sent. It takes no room:
    /// also the reader of a full watch gets it.
    pub fn end(self, why: WatchError) {
        // Set before the channel closes, so that whoever sees it closed sees the reason too.
        let _first = self.end.set(why);
    }

    /// Waits until nobody reads the watch any more.
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
