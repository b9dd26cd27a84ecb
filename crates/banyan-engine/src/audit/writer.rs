//! The task that writes the audit log: in batches, with retries while the store is unavailable, and draining the queue
//! at shutdown.

use std::sync::Arc;
use std::time::Duration;

use banyan_core::audit::{Action, Actor, AuditEntry, Head};
use banyan_state::{AuditLog, MAX_BATCH, StateError};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{Dropped, Job};
use crate::ops::metrics::Metrics;

/// The initial and the maximum retry delay.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);
/// How often old entries are removed.
const TRIM: Duration = Duration::from_secs(60 * 60);
/// How long draining the queue may take at shutdown.
pub(crate) const DRAIN: Duration = Duration::from_secs(5);

/// Writes the audit log.
pub(crate) struct Writer {
    log: AuditLog,
    keep: u64,
    queue: mpsc::Receiver<Job>,
    dropped: Dropped,
    head: watch::Sender<Option<Head>>,
    metrics: Arc<Metrics>,
    /// The entries being written, oldest first, and the callers to notify.
    entries: Vec<AuditEntry>,
    waiting: Vec<Option<oneshot::Sender<()>>>,
    retry: Duration,
    /// Whether it was logged that nothing can be written.
    unwritten: bool,
}

impl Writer {
    pub(super) fn new(
        log: AuditLog,
        keep: u64,
        queue: mpsc::Receiver<Job>,
        dropped: Dropped,
        head: watch::Sender<Option<Head>>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            log,
            keep,
            queue,
            dropped,
            head,
            metrics,
            entries: Vec::new(),
            waiting: Vec::new(),
            retry: FIRST_RETRY,
            unwritten: false,
        }
    }

    /// Writes until cancelled, then drains the queue for a limited time.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut trim = interval(TRIM);
        trim.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut jobs = Vec::with_capacity(MAX_BATCH);
        let dropped = self.dropped.clone();
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => break,
                count = self.queue.recv_many(&mut jobs, MAX_BATCH) => if count == 0 {
                    // All senders are gone.
                    break;
                },
                () = dropped.0.noticed.notified() => {}
                _ = trim.tick() => if !self.trim().await {
                    trim.reset_after(LAST_RETRY);
                },
            }
            self.take(&mut jobs);
            self.write(&stop).await;
        }
        self.finish().await;
    }

    fn take(&mut self, jobs: &mut Vec<Job>) {
        for job in jobs.drain(..) {
            self.entries.push(job.entry);
            self.waiting.push(job.written);
        }
        if let Some(entry) = self.dropped.take() {
            self.entries.push(entry);
            self.waiting.push(None);
        }
    }

    /// Writes the received entries; while the store is unavailable, retries until shutdown.
    async fn write(&mut self, stop: &CancellationToken) {
        while !self.entries.is_empty() {
            match self.log.append(&self.entries).await {
                Ok(appended) => self.written(appended.written, appended.head),
                Err(error) => {
                    self.failed(&error);
                    let wait = self.wait();
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(wait) => {}
                    }
                }
            }
        }
    }

    fn written(&mut self, count: usize, head: Head) {
        self.entries.drain(..count.min(self.entries.len()));
        for caller in self.waiting.drain(..count.min(self.waiting.len())) {
            // A caller that no longer waits is ignored.
            let _ = caller.map(|caller| caller.send(()));
        }
        self.metrics.audit_written(count);
        self.show(head);
        self.answers();
    }

    fn answers(&mut self) {
        self.retry = FIRST_RETRY;
        if std::mem::take(&mut self.unwritten) {
            info!("the audit log can be written again");
        }
    }

    fn show(&self, head: Head) {
        self.metrics.audit_head(head);
        self.head.send_replace(Some(head));
    }

    fn failed(&mut self, error: &StateError) {
        if !std::mem::replace(&mut self.unwritten, true) {
            warn!(
                error = crate::report(error),
                "the audit log cannot be written; entries wait for the store"
            );
        }
    }

    /// The delay before the next attempt: exponential, with jitter.
    fn wait(&mut self) -> Duration {
        let wait = self.retry;
        self.retry = (wait * 2).min(LAST_RETRY);
        wait.mul_f64(0.5 + crate::random::jitter() / 2.0)
    }

    /// Removes old entries; returns whether that is finished. Reads the head in any case, to publish it.
    async fn trim(&mut self) -> bool {
        let trimmed = self.log.trim(self.keep).await;
        let head = self.log.head(crate::clock::now()).await;
        match (trimmed, head) {
            (Ok(trimmed), Ok(head)) => {
                self.show(head);
                self.answers();
                if let Some(broken) = trimmed.broken {
                    error!(%broken, "the audit log was changed out of band");
                    self.entries.push(
                        AuditEntry::new(crate::clock::now(), Actor::Engine, Action::AUDIT_BROKEN)
                            .detail(&format!("{broken}; found while trimming the log")),
                    );
                    self.waiting.push(None);
                }
                true
            }
            (Err(error), _) | (_, Err(error)) => {
                self.failed(&error);
                false
            }
        }
    }

    /// Writes the remaining entries.
    async fn finish(mut self) {
        self.queue.close();
        let until = Instant::now() + DRAIN;
        let mut jobs = Vec::new();
        while let Ok(job) = self.queue.try_recv() {
            jobs.push(job);
        }
        self.take(&mut jobs);
        let never = CancellationToken::new();
        let drained = tokio::time::timeout_at(until, self.write(&never)).await;
        if drained.is_err() {
            let lost = self.entries.len();
            self.metrics.audit_dropped(lost);
            error!(
                entries = lost,
                "the engine stops before the audit log could be written; these entries are lost"
            );
        }
    }
}
