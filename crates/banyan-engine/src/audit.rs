//! The engine's audit log: entries are queued without blocking, and a separate task writes them.
//!
//! Losses are never silent: entries that do not fit into the queue are counted, and an entry reports them once there is
//! room.

#[cfg(test)]
mod tests;
mod unsettled;
mod writer;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use banyan_core::audit::{Action, Actor, AuditEntry, Head};
use banyan_state::AuditLog;
use jiff::Timestamp;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tracing::warn;

pub(crate) use unsettled::Unsettled;
pub(crate) use writer::Writer;

use crate::ops::metrics::Metrics;

/// The capacity of the queue.
const QUEUE: usize = 4096;
/// How long a caller waits until its entry is written.
const PATIENCE: Duration = Duration::from_secs(5);

/// The sending end of the audit log. Clones share the queue.
#[derive(Clone)]
pub(crate) struct Audit(Arc<Shared>);

struct Shared {
    queue: mpsc::Sender<Job>,
    dropped: Dropped,
    head: watch::Receiver<Option<Head>>,
}

/// A queued entry, and the caller to notify when it is written.
struct Job {
    entry: AuditEntry,
    written: Option<oneshot::Sender<()>>,
}

/// The entries lost because the queue was full, until an entry reports them.
#[derive(Clone)]
struct Dropped(Arc<DroppedShared>);

struct DroppedShared {
    lost: Mutex<Option<Lost>>,
    noticed: Notify,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Clone, Copy)]
struct Lost {
    count: u64,
    first: Timestamp,
    last: Timestamp,
}

/// An entry is not in the store yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unrecorded {
    /// It is queued and will be written when the store answers again.
    #[error(
        "the audit log could not be written in time, because the store does not answer; the entry will be written when it does"
    )]
    Late,
    /// The queue is full: the entry is lost.
    #[error("the audit log accepts no more entries until the store answers again")]
    Full,
}

impl Audit {
    /// The sending end of the log, and its task. The newest `keep` entries are retained.
    pub(crate) fn new(log: AuditLog, keep: u64, metrics: Arc<Metrics>) -> (Self, Writer) {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let (shown, head) = watch::channel(None);
        let dropped = Dropped(Arc::new(DroppedShared {
            lost: Mutex::default(),
            noticed: Notify::new(),
            metrics: Arc::clone(&metrics),
        }));
        let writer = Writer::new(log, keep, jobs, dropped.clone(), shown, metrics);
        let shared = Shared {
            queue,
            dropped,
            head,
        };
        (Self(Arc::new(shared)), writer)
    }

    /// Queues an entry. Never blocks.
    pub(crate) fn record(&self, entry: AuditEntry) {
        // A loss is counted and reported elsewhere.
        let _ = self.hand_over(Job {
            entry,
            written: None,
        });
    }

    /// Queues an entry and waits until it is in the store. Dropping the future does not remove the entry.
    ///
    /// # Errors
    /// If it is not in the store yet.
    pub(crate) async fn record_and_wait(&self, entry: AuditEntry) -> Result<(), Unrecorded> {
        let (written, answer) = oneshot::channel();
        self.hand_over(Job {
            entry,
            written: Some(written),
        })?;
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Unrecorded::Late),
        }
    }

    /// The head of the log, once it is known.
    pub(crate) fn head(&self) -> Option<Head> {
        *self.0.head.borrow()
    }

    fn hand_over(&self, job: Job) -> Result<(), Unrecorded> {
        self.0.queue.try_send(job).map_err(|error| {
            self.0.dropped.add(error.into_inner().entry.at);
            Unrecorded::Full
        })
    }
}

impl Dropped {
    fn lock(&self) -> MutexGuard<'_, Option<Lost>> {
        self.0.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, at: Timestamp) {
        self.0.metrics.audit_dropped(1);
        let mut lost = self.lock();
        if lost.is_none() {
            warn!("the audit log's queue is full; entries are lost");
        }
        let lost = lost.get_or_insert(Lost {
            count: 0,
            first: at,
            last: at,
        });
        lost.count = lost.count.saturating_add(1);
        lost.last = at;
        self.0.noticed.notify_one();
    }

    /// An entry about the losses since the last one.
    fn take(&self) -> Option<AuditEntry> {
        let Lost { count, first, last } = self.lock().take()?;
        let entry = AuditEntry::new(crate::clock::now(), Actor::Engine, Action::AUDIT_DROPPED);
        Some(entry.detail(&format!(
            "{count} entries between {first} and {last}: the queue was full"
        )))
    }
}
