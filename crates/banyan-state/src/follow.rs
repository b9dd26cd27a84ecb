//! Keeps the live view in step with the store, and tracks whether it is.
//!
//! A watch that ends is resumed where it ended; if that revision is compacted, or the store was replaced, everything is
//! read again. The last good view is served in the meantime. If the store is remote, a read that only a majority of its
//! members can answer confirms the view every second: a silent watch may mean no changes or no connection.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use banyan_store::{
    Batch, KeyRange, Revision, Store, StoreError, Watch, WatchError, read_all, report,
};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::builder::Builder;
use crate::key::{POINTER, ROOT};
use crate::people::is_of_people;
use crate::replica::Writer;
use crate::{StateError, View};

/// The initial and the maximum retry delay.
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(1);
/// The time limit of a read that confirms the view.
const PROBE_LIMIT: Duration = Duration::from_secs(3);

/// Whether the live view is up to date with the store.
#[derive(Debug, Clone)]
pub struct Freshness {
    /// Whether it follows the store now.
    pub following: bool,
    /// The view holds every write that was acknowledged before this instant; `None` when it never followed.
    pub confirmed: Option<Instant>,
    /// Why it does not follow.
    pub trouble: Option<String>,
}

/// What the follower and the readers of the view share.
pub(crate) struct Shared {
    pub(crate) view: ArcSwap<View>,
    /// The revision of the view; grows with every swap.
    pub(crate) seen: watch::Sender<Revision>,
    pub(crate) freshness: watch::Sender<Freshness>,
    builder: Mutex<Builder>,
}

impl Shared {
    pub(crate) fn new(builder: Builder, freshness: Freshness) -> Self {
        let view = builder.view();
        Self {
            seen: watch::Sender::new(view.revision),
            view: ArcSwap::new(view),
            freshness: watch::Sender::new(freshness),
            builder: Mutex::new(builder),
        }
    }

    pub(crate) fn builder(&self) -> MutexGuard<'_, Builder> {
        self.builder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, view: Arc<View>) {
        let revision = view.revision;
        self.view.store(view);
        self.seen.send_replace(revision);
    }

    /// The view was confirmed as of `at`.
    fn confirm(&self, at: Instant) {
        self.freshness.send_if_modified(|freshness| {
            let news = !freshness.following;
            freshness.following = true;
            freshness.confirmed = Some(at);
            freshness.trouble = None;
            news
        });
    }

    fn doubt(&self, trouble: String) {
        self.freshness.send_if_modified(|freshness| {
            let news = freshness.following || freshness.trouble.as_ref() != Some(&trouble);
            freshness.following = false;
            freshness.trouble = Some(trouble);
            news
        });
    }
}

/// Reads everything once and starts the watch right after it. `known` is the view so far.
pub(crate) async fn start(
    store: &dyn Store,
    known: Option<&Shared>,
) -> Result<(Builder, Watch), StateError> {
    let snapshot = store.snapshot().await?;
    let entries = read_all(&*snapshot, &KeyRange::prefix(ROOT)).await?;
    let builder = match known {
        Some(shared) => shared.builder().renewed(&entries, snapshot.revision())?,
        None => Builder::new(&entries, snapshot.revision())?,
    };
    let watch = store.watch(ROOT, snapshot.revision()).await?;
    Ok((builder, watch))
}

/// How to resume following.
enum End {
    /// From the revision where the watch ended.
    Resume(String),
    /// By reading everything.
    Renew(String),
}

/// The task that keeps the view in step.
pub(crate) struct Follower {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) replica: Option<Writer>,
    /// The interval at which the view is confirmed, if the store is remote.
    pub(crate) probe: Option<Duration>,
    /// Whether it was logged that the store does not answer.
    pub(crate) unanswered: AtomicBool,
}

impl Follower {
    /// Follows the store forever. Without a watch, everything is read first.
    pub(crate) async fn run(self, watch: Option<Watch>) {
        let mut watch = match watch {
            Some(watch) => {
                self.copy_all().await;
                watch
            }
            None => {
                // The caller that opened the store without its answer has logged it.
                self.unanswered.store(true, Ordering::Relaxed);
                self.renew().await
            }
        };
        loop {
            let started = Instant::now();
            let end = self.follow(&mut watch).await;
            // A store that accepts every watch and ends it at once must not be retried without
            // delay.
            tokio::time::sleep_until(started + FIRST_RETRY).await;
            watch = match end {
                End::Resume(why) => {
                    self.lost(&why);
                    self.resume().await
                }
                End::Renew(why) => {
                    self.lost(&why);
                    self.renew().await
                }
            };
        }
    }

    fn lost(&self, why: &str) {
        debug!(reason = why, "following the store again");
        // On a local store, reading everything again is fast.
        if self.probe.is_some() {
            self.shared.doubt(why.to_owned());
        }
    }

    async fn follow(&self, watch: &mut Watch) -> End {
        let first = self.probe.map(|_| Duration::ZERO);
        let mut probe = Box::pin(self.probe_after(first));
        loop {
            tokio::select! {
                next = watch.next() => match next {
                    Ok(batch) => if let Err(error) = self.apply(&batch).await {
                        return End::Renew(error.to_string());
                    },
                    Err(error @ WatchError::Compacted { .. }) => return End::Renew(error.to_string()),
                    Err(error) => return End::Resume(error.to_string()),
                },
                (sent, answer) = &mut probe => {
                    match answer {
                        Ok(revision) if revision < self.shared.view.load().revision => {
                            return End::Renew(format!("the store went back to revision {revision}"));
                        }
                        Ok(_) => self.confirm(sent),
                        Err(error) => self.doubt(&error),
                    }
                    probe.set(self.probe_after(self.probe));
                }
            }
        }
    }

    fn doubt(&self, error: &StoreError) {
        let trouble = report(error);
        if !self.unanswered.swap(true, Ordering::Relaxed) {
            warn!(
                error = trouble,
                "the store does not answer; serving the last known state"
            );
        }
        self.shared.doubt(trouble);
    }

    fn confirm(&self, at: Instant) {
        if self.unanswered.swap(false, Ordering::Relaxed) {
            info!("the store answers again");
        }
        self.shared.confirm(at);
    }

    /// Reads the store's revision after a delay; never resolves if no probes are needed.
    async fn probe_after(&self, wait: Option<Duration>) -> (Instant, Result<Revision, StoreError>) {
        let Some(wait) = wait else {
            return std::future::pending().await;
        };
        tokio::time::sleep(wait).await;
        let sent = Instant::now();
        let answer = tokio::time::timeout(PROBE_LIMIT, self.store.snapshot()).await;
        let late = |_| StoreError::unavailable("confirming the view", "no answer in time");
        let revision = answer.map_err(late).and_then(|answer| answer);
        (sent, revision.map(|snapshot| snapshot.revision()))
    }

    async fn apply(&self, batch: &Batch) -> Result<(), StateError> {
        let (view, taken) = {
            let mut builder = self.shared.builder();
            let mut taken = builder.apply(batch.revision, &batch.events)?;
            taken.retain(|event| !is_of_people(event.key()));
            (builder.view(), taken)
        };
        if let Some(replica) = &self.replica {
            replica.apply(&taken).await;
            let decides = taken.iter().any(|event| event.key() == POINTER);
            if decides && !replica.flush().await {
                self.copy_all().await;
            }
        }
        self.shared.show(view);
        Ok(())
    }

    /// Sends everything to the replica.
    async fn copy_all(&self) {
        let Some(replica) = &self.replica else {
            return;
        };
        let entries = self.shared.builder().entries();
        match entries {
            Ok(entries) => {
                replica.replace(entries).await;
                replica.flush().await;
            }
            Err(error) => warn!(%error, "the state could not be copied to disk"),
        }
    }

    /// Resumes the watch where it ended, or reads everything if necessary.
    async fn resume(&self) -> Watch {
        let mut retry = Retry::new();
        loop {
            let after = self.shared.view.load().revision;
            match self.store.watch(ROOT, after).await {
                Ok(watch) => {
                    if self.probe.is_none() {
                        self.confirm(Instant::now());
                    }
                    return watch;
                }
                Err(error) => self.doubt(&error),
            }
            retry.wait().await;
        }
    }

    /// Reads everything, retrying until it succeeds.
    async fn renew(&self) -> Watch {
        let mut retry = Retry::new();
        loop {
            let sent = Instant::now();
            match start(&*self.store, Some(&self.shared)).await {
                Ok((builder, watch)) => {
                    let view = builder.view();
                    info!(revision = view.revision.0, generation = %view.in_force.generation(), "read the whole state again");
                    *self.shared.builder() = builder;
                    self.copy_all().await;
                    self.shared.show(view);
                    self.confirm(sent);
                    return watch;
                }
                Err(StateError::Store(error)) => self.doubt(&error),
                Err(error) => {
                    let trouble = report(&error);
                    let known = self.shared.freshness.borrow().trouble.as_ref() == Some(&trouble);
                    if !known {
                        warn!(
                            error = trouble,
                            "the live view cannot follow the store; serving the last good one"
                        );
                    }
                    self.shared.doubt(trouble);
                }
            }
            retry.wait().await;
        }
    }
}

/// Waits with exponential backoff.
struct Retry(Duration);

impl Retry {
    fn new() -> Self {
        Self(FIRST_RETRY)
    }

    async fn wait(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(LAST_RETRY);
    }
}
