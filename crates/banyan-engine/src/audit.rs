//! The engine's audit log: whatever happens is handed over without waiting, and a task of its own writes it down.
//!
//! Nothing is lost in silence: what cannot wait any more is counted, and an entry says so as soon as there is room.

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

/// How many entries may wait to be written.
const QUEUE: usize = 4096;
/// How long a caller waits until its entry is written.
const PATIENCE: Duration = Duration::from_secs(5);

/// The feeding end of the audit log. Clones feed the same one.
#[derive(Clone)]
pub(crate) struct Audit(Arc<Shared>);

struct Shared {
    queue: mpsc::Sender<Job>,
    dropped: Dropped,
    head: watch::Receiver<Option<Head>>,
}

/// An entry on its way, and whom to tell when it is written.
struct Job {
    entry: AuditEntry,
    written: Option<oneshot::Sender<()>>,
}

/// What was lost for want of room, until an entry says so.
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

/// An entry is not written yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unrecorded {
    /// It waits, and is written when the store answers again.
    #[error(
        "the audit log could not be written in time, because the store does not answer; it is written when the store answers again"
    )]
    Late,
    /// Too much waits already: it is lost.
    #[error("the audit log takes no more entries until the store answers again")]
    Full,
}

impl Audit {
    /// The log's feeding end, and the task's value. The newest `keep` entries are kept.
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

    /// Hands an entry over. Never waits.
    pub(crate) fn record(&self, entry: AuditEntry) {
        // Whether it is lost is said by what counts it.
        let _ = self.hand_over(Job {
            entry,
            written: None,
        });
    }

    /// Hands an entry over and waits until it is in the store. Whoever stops waiting does not take it back.
    ///
    /// # Errors
    /// It is not in the store yet.
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

    /// Where the log ends, as soon as that is known.
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
            warn!("more is to be written to the audit log than can wait; entries are lost");
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

    /// The entry that says what was lost since the last one.
    fn take(&self) -> Option<AuditEntry> {
        let Lost { count, first, last } = self.lock().take()?;
        let entry = AuditEntry::new(crate::clock::now(), Actor::Engine, Action::AUDIT_DROPPED);
        Some(entry.detail(&format!(
            "{count} entries between {first} and {last}: more than could wait to be written"
        )))
    }
}
