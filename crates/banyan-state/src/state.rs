//! The state: reads use the live view; writes go to the store and are acknowledged once the view shows them.

use std::sync::Arc;
use std::time::Duration;

use banyan_core::{CommitInfo, Finding, Floor, Name, Target};
use banyan_store::{Compare, Op, Revision, Store, StoreError, Txn, report};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use crate::builder::Builder;
use crate::engines::PublishedStatus;
use crate::follow::{self, Follower, Freshness, Shared};
use crate::replica::Replica;
use crate::stage::{Fence, Records, batches, stage};
use crate::stored::{self, FORMAT, Pointer, Sum};
use crate::tampering::describe;
use crate::{AdvanceError, HistoryEntry, Outcome, StateError, Term, View, garbage, key};

/// How long a write waits until the view shows it. After that the write is on disk, but may not be served yet.
const ACKNOWLEDGE_WITHIN: Duration = Duration::from_secs(10);

/// How a store is followed.
#[derive(Default)]
pub struct Options {
    /// Interval of reads that confirm the view; for remote stores.
    pub probe: Option<Duration>,
    /// The copy to use if the store cannot be reached at first.
    pub replica: Option<Replica>,
    /// Whether to start without the store, with the copy's content or with none.
    pub may_start_without: bool,
}

/// The state above a store.
pub struct State {
    pub(crate) store: Arc<dyn Store>,
    shared: Arc<Shared>,
    /// Whether this is the only process that writes to the store.
    own: bool,
    /// Serializes permission changes.
    pub(crate) powers: tokio::sync::Mutex<()>,
    _follower: AbortOnDropHandle<()>,
}

impl State {
    /// Reads everything and starts to follow a store used by this process only. Requires a tokio runtime.
    ///
    /// # Errors
    /// If the store fails, or contains something this program cannot read.
    pub async fn open(store: Arc<dyn Store>) -> Result<Self, StateError> {
        Self::open_with(store, Options::default()).await
    }

    /// Reads everything and starts to follow a store. Requires a tokio runtime.
    ///
    /// # Errors
    /// If the store fails and is required, or contains something this program cannot read.
    pub async fn open_with(store: Arc<dyn Store>, options: Options) -> Result<Self, StateError> {
        let sent = Instant::now();
        let (shared, watch) = match follow::start(&*store, None).await {
            Ok((builder, watch)) => {
                let freshness = Freshness {
                    following: true,
                    confirmed: Some(sent),
                    trouble: None,
                };
                (Shared::new(builder, freshness), Some(watch))
            }
            Err(error) if options.may_start_without => {
                (without(options.replica.as_ref(), error).await?, None)
            }
            Err(error) => return Err(error),
        };
        let own = options.probe.is_none();
        let shared = Arc::new(shared);
        let follower = Follower {
            store: Arc::clone(&store),
            shared: Arc::clone(&shared),
            replica: options.replica.map(Replica::follow),
            probe: options.probe,
            unanswered: std::sync::atomic::AtomicBool::new(false),
        };
        Ok(Self {
            store,
            shared,
            own,
            powers: tokio::sync::Mutex::new(()),
            _follower: AbortOnDropHandle::new(tokio::spawn(follower.run(watch))),
        })
    }

    /// What is in force now. Does no IO.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        self.shared.view.load_full()
    }

    /// The view's revision, to wait for changes.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Revision> {
        self.shared.seen.subscribe()
    }

    /// The maximum age of the view: the time since it was last confirmed. `None` if it never was.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        let freshness = self.shared.freshness.borrow();
        let confirmed = freshness.confirmed.map(|at| at.elapsed());
        // A store without other writers reports every change, so it is not probed.
        if self.own && freshness.following {
            return Some(Duration::ZERO);
        }
        confirmed
    }

    /// Whether the view is up to date. A new confirmation time alone does not notify receivers.
    #[must_use]
    pub fn freshness(&self) -> watch::Receiver<Freshness> {
        self.shared.freshness.subscribe()
    }

    pub(crate) fn builder(&self) -> std::sync::MutexGuard<'_, Builder> {
        self.shared.builder()
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Applies a commit's target. On return, the view shows it and it is on disk.
    ///
    /// `took_ms` is how long the pass has taken so far, for the history.
    ///
    /// # Errors
    /// If another generation was applied meanwhile, the set of users changed since the decision, another engine leads,
    /// or the store failed; what was in force still is.
    pub async fn advance(
        &self,
        term: &Term,
        target: &Target,
        took_ms: u64,
    ) -> Result<(), AdvanceError> {
        let outcome = Outcome::Applied {
            generation: target.applied().generation,
            counts: target.counts(),
            reductions: target.reductions().to_vec(),
        };
        self.apply_target(term, target, took_ms, outcome).await
    }

    /// Applies a target that restores altered records to what their commit declares.
    ///
    /// # Errors
    /// As [`Self::advance`].
    pub async fn restore(
        &self,
        term: &Term,
        target: &Target,
        took_ms: u64,
    ) -> Result<(), AdvanceError> {
        let what = (target.changes().iter())
            .map(|change| format!("{} {}", change.kind, change.name))
            .collect();
        self.apply_target(term, target, took_ms, Outcome::restored(what))
            .await
    }

    async fn apply_target(
        &self,
        term: &Term,
        target: &Target,
        took_ms: u64,
        outcome: Outcome,
    ) -> Result<(), AdvanceError> {
        self.may_write(term).await?;
        let (store, parent) = (&*self.store, target.parent());
        let (fence, records, left_over, flip) = {
            let builder = self.shared.builder();
            if builder.current().in_force.generation() != parent {
                return Err(AdvanceError::Superseded { parent });
            }
            let records = Records::of(target, &builder)?;
            let floor = builder.current().floor.is_some();
            let floor = floor && matches!(outcome, Outcome::Applied { .. });
            let flip = flip(target, records.sum, took_ms, outcome, floor)?;
            let fence =
                Fence::new(term, parent, &builder).and_people(target.people().map(Revision));
            (fence, records, builder.left_over(), flip)
        };
        stage(store, &fence, left_over, records.puts).await?;
        let revision = fence.commit(store, flip).await?;
        self.wait_for(revision).await?;
        Ok(())
    }

    /// Undoes the known out-of-band changes to records in force; returns descriptions of what was restored.
    ///
    /// # Errors
    /// If another engine leads, something else was applied meanwhile, or the store failed.
    pub async fn put_back(&self, term: &Term, now: Timestamp) -> Result<Vec<String>, AdvanceError> {
        self.may_write(term).await?;
        let (fence, repairs, what, commit) = {
            let builder = self.shared.builder();
            let view = builder.current();
            let Some(applied) = &view.in_force.applied else {
                return Ok(Vec::new());
            };
            let what = view.tampered.iter();
            let what: Vec<String> = what.map(|(key, what)| describe(key, *what)).collect();
            let fence = Fence::new(term, applied.generation, &builder);
            (fence, builder.repairs()?, what, applied.commit.clone())
        };
        if repairs.is_empty() {
            return Ok(Vec::new());
        }
        let entry = HistoryEntry {
            at: now,
            commit,
            took_ms: 0,
            outcome: Outcome::restored(what.clone()),
        };
        let history = put(
            key::history(entry.at, entry.commit.id),
            stored::encode(&entry)?,
        );
        let mut last = Revision(0);
        // The history first: once the pointer is restored, the fence differs.
        let mut repairs = repairs;
        let at = repairs.len().saturating_sub(1);
        repairs.insert(at, history);
        for batch in batches(repairs) {
            last = fence.commit(&*self.store, batch).await?;
        }
        self.wait_for(last).await?;
        Ok(what)
    }

    /// Records in the history that an engine undid a change outside the store. Any engine may do so, since nothing
    /// depends on it.
    ///
    /// # Errors
    /// If the store failed.
    pub async fn note(&self, what: Vec<String>, now: Timestamp) -> Result<(), StateError> {
        let Some(applied) = self.view().in_force.applied.clone() else {
            return Ok(());
        };
        let entry = HistoryEntry {
            at: now,
            commit: applied.commit,
            took_ms: 0,
            outcome: Outcome::restored(what),
        };
        let key = key::history(entry.at, entry.commit.id);
        let absent = Compare::Absent { key: key.clone() };
        let txn = Txn::new().when(absent).put(key, stored::encode(&entry)?);
        self.commit(txn, "another entry was written at the same instant")
            .await?;
        Ok(())
    }

    /// Records a refusal in the history, unless the newest entry is the same refusal; returns whether it was written.
    ///
    /// `seen` is the view it was decided on. A refusal decided on an outdated view is not written: otherwise a commit
    /// that was accepted meanwhile would appear as refused.
    ///
    /// # Errors
    /// If what is in force, the floor or the users changed meanwhile, another engine leads, or the store failed.
    pub async fn refuse(
        &self,
        term: &Term,
        entry: HistoryEntry,
        seen: &View,
    ) -> Result<bool, AdvanceError> {
        self.may_write(term).await?;
        let parent = seen.in_force.generation();
        let fence = {
            let builder = self.shared.builder();
            if !builder.current().judges_as(seen) {
                return Err(AdvanceError::Superseded { parent });
            }
            let people = Revision(seen.people.revision);
            Fence::new(term, parent, &builder)
                .and_people(Some(people))
                .and_floor(&builder)
        };
        let known = self.view().history().next().is_some_and(|newest| {
            newest.commit.id == entry.commit.id && newest.outcome == entry.outcome
        });
        if known {
            return Ok(false);
        }
        let key = key::history(entry.at, entry.commit.id);
        let ops = vec![put(key, stored::encode(&entry)?)];
        let revision = fence.commit(&*self.store, ops).await?;
        self.wait_for(revision).await?;
        Ok(true)
    }

    /// Publishes the result of the last pass for the other engines; writes nothing if it is unchanged.
    ///
    /// # Errors
    /// If another engine leads, or the store failed.
    pub async fn publish(&self, term: &Term, status: &PublishedStatus) -> Result<(), StateError> {
        let known = self.view().published_status.clone();
        // A later time, or another failure of the same kind, is not a change.
        let same = known.is_some_and(|known| {
            *known
                == PublishedStatus {
                    at: known.at,
                    failures: known.failures,
                    ..status.clone()
                }
        });
        if same {
            return Ok(());
        }
        let ops = vec![put(
            key::PUBLISHED_STATUS.to_owned(),
            stored::encode(status)?,
        )];
        self.write(term, ops).await
    }

    /// Allows a commit that does not descend from the one in force, or blocks all commits.
    ///
    /// # Errors
    /// If the store failed.
    pub async fn set_floor(&self, floor: &Floor) -> Result<(), StateError> {
        let txn = Txn::new().put(key::FLOOR, stored::encode(floor)?);
        self.commit(txn, "another request came first").await?;
        Ok(())
    }

    /// Requests a pass from the leader; returns the number that [`PublishedStatus::served`] reaches when it is done.
    ///
    /// # Errors
    /// If the store failed.
    pub async fn hint(&self) -> Result<u64, StateError> {
        let txn = Txn::new().put(key::HINT, *b"1");
        let revision = self.commit(txn, "another request came first").await?;
        Ok(revision.0)
    }

    /// Removes an engine that is not running from the cluster, so that its recipient is no longer guarded.
    ///
    /// # Errors
    /// If it is running, or the store failed.
    pub async fn remove_engine(&self, name: &Name) -> Result<(), StateError> {
        let mut txn = Txn::new()
            .when(Compare::Absent {
                key: key::alive(name),
            })
            .delete(key::engine(name));
        if self.view().v4_holder.as_ref() == Some(name) {
            txn = txn.delete(key::ENGINE_V4);
        }
        self.commit(txn, "the engine is running; stop it first")
            .await?;
        Ok(())
    }

    /// Removes entries that no reader needs any more. Not urgent: leftovers only take space until the next time.
    ///
    /// # Errors
    /// If another engine leads, or the store failed.
    pub async fn collect_garbage(&self, term: &Term, now: Timestamp) -> Result<(), StateError> {
        let mut keys: Vec<String> = self.shared.builder().garbage().iter().cloned().collect();
        keys.extend(garbage::old_history(&self.view().history, now));
        garbage::collect(&*self.store, term, keys).await
    }

    /// A write under the leader's term.
    async fn write(&self, term: &Term, ops: Vec<Op>) -> Result<(), StateError> {
        self.may_write(term).await?;
        let txn = Txn {
            compares: term.compare().into_iter().collect(),
            ops,
        };
        match self.store.commit(txn).await? {
            banyan_store::Outcome::Committed(revision) => self.wait_for(revision).await,
            banyan_store::Outcome::Conflict { .. } => Err(StateError::NotLeading),
        }
    }

    /// A write that any engine may make; returns its revision once the view shows it.
    pub(crate) async fn commit(&self, txn: Txn, otherwise: &str) -> Result<Revision, StateError> {
        match self.store.commit(txn).await? {
            banyan_store::Outcome::Committed(revision) => {
                self.wait_for(revision).await?;
                Ok(revision)
            }
            banyan_store::Outcome::Conflict { .. } => Err(StateError::Conflict {
                what: otherwise.to_owned(),
            }),
        }
    }

    /// A leader's view must at least include its own election.
    async fn may_write(&self, term: &Term) -> Result<(), StateError> {
        if !term.is_valid() {
            return Err(StateError::NotLeading);
        }
        match term.elected_at() {
            Some(at) => self.wait_for(at).await,
            None => Ok(()),
        }
    }

    /// Waits until the view reaches a revision.
    pub(crate) async fn wait_for(&self, revision: Revision) -> Result<(), StateError> {
        let mut seen = self.changes();
        let reached =
            tokio::time::timeout(ACKNOWLEDGE_WITHIN, seen.wait_for(|at| *at >= revision)).await;
        match reached {
            Ok(Ok(_)) => Ok(()),
            _ => Err(StateError::Stopped),
        }
    }
}

/// The view without the store, from the copy on disk. An unusable store should not stop an engine that can serve from
/// its copy; without a copy it is better to fail at once.
async fn without(replica: Option<&Replica>, error: StateError) -> Result<Shared, StateError> {
    let StateError::Store(StoreError::Unavailable { .. } | StoreError::Denied { .. }) = &error
    else {
        return Err(error);
    };
    let copy = match replica {
        Some(replica) => replica.entries().await,
        None => Ok(Vec::new()),
    };
    let builder = copy.and_then(|entries| Builder::new(&entries, Revision(0)));
    let builder = builder.unwrap_or_else(|broken| {
        warn!(
            error = report(&broken),
            "the copy of the state on disk is unusable"
        );
        Builder::default()
    });
    let trouble = report(&error);
    match &builder.current().in_force.applied {
        Some(applied) => {
            let (commit, generation) = (applied.commit.id, applied.generation);
            warn!(error = trouble, %commit, %generation, "the store cannot be used; serving the last good state on disk");
        }
        None if matches!(error, StateError::Store(StoreError::Denied { .. })) => return Err(error),
        None => {
            warn!(
                error = trouble,
                "the store cannot be reached, and there is no state on disk to serve from"
            );
        }
    }
    let freshness = Freshness {
        following: false,
        confirmed: None,
        trouble: Some(trouble),
    };
    Ok(Shared::new(builder, freshness))
}

fn put(key: String, value: Arc<[u8]>) -> Op {
    Op::Put {
        key,
        value,
        lease: None,
    }
}

/// The transaction that moves the pointer. It also consumes the acceptance of a commit.
fn flip(
    target: &Target,
    sum: Sum,
    took_ms: u64,
    outcome: Outcome,
    floor: bool,
) -> Result<Vec<Op>, StateError> {
    let applied = target.applied();
    let pointer = Pointer {
        format: FORMAT,
        applied: applied.clone(),
        sum: Some(sum),
    };
    let entry = HistoryEntry {
        at: applied.at,
        commit: CommitInfo::clone(&applied.commit),
        took_ms,
        outcome,
    };
    let history = key::history(applied.at, applied.commit.id);
    let mut ops = vec![
        put(key::POINTER.to_owned(), stored::encode(&pointer)?),
        put(history, stored::encode(&entry)?),
    ];
    if floor {
        ops.push(Op::Delete {
            key: key::FLOOR.to_owned(),
        });
    }
    Ok(ops)
}

impl Outcome {
    /// The maximum number of findings in a refusal and of names in a restoration.
    pub const MAX_FINDINGS: usize = 50;

    /// A refusal with its first findings.
    #[must_use]
    pub fn refused(findings: &[Finding]) -> Self {
        Self::Refused {
            findings: findings.iter().take(Self::MAX_FINDINGS).cloned().collect(),
            total: findings.len(),
        }
    }

    /// A restoration with the first restored objects.
    #[must_use]
    pub fn restored(mut what: Vec<String>) -> Self {
        let total = what.len();
        what.truncate(Self::MAX_FINDINGS);
        Self::Restored { what, total }
    }
}
