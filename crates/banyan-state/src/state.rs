//! The state: reads are of the live view, writes go through the store and are acknowledged once the view has them.

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

/// How long a write waits for the view to show it. It is on disk by then; only that it is served is not known.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a store is followed.
#[derive(Default)]
pub struct Options {
    /// How often the view is confirmed by a read; for stores on other machines.
    pub probe: Option<Duration>,
    /// The copy from which the view is taken when the store cannot be reached at first.
    pub replica: Option<Replica>,
    /// Whether to start without the store, with what the copy holds or with nothing.
    pub may_start_without: bool,
}

/// The state above a store.
pub struct State {
    pub(crate) store: Arc<dyn Store>,
    shared: Arc<Shared>,
    /// Whether no other process writes to the store.
    own: bool,
    /// Changes of who may do what are made one after the other.
    pub(crate) powers: tokio::sync::Mutex<()>,
    _follower: AbortOnDropHandle<()>,
}

impl State {
    /// Reads everything and starts to follow a store of this process's own. Needs a running tokio runtime.
    ///
    /// # Errors
    /// The store does not answer, or holds what this program cannot read.
    pub async fn open(store: Arc<dyn Store>) -> Result<Self, StateError> {
        Self::open_with(store, Options::default()).await
    }

    /// Reads everything and starts to follow a store. Needs a running tokio runtime.
    ///
    /// # Errors
    /// The store does not answer and must, or holds what this program cannot read.
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

    /// What is in force now. Costs no IO.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        self.shared.view.load_full()
    }

    /// The view's revision, to await changes with.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Revision> {
        self.shared.seen.subscribe()
    }

    /// How old the view may be: since when it has not been confirmed. `None` when it never was.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        let freshness = self.shared.freshness.borrow();
        let confirmed = freshness.confirmed.map(|at| at.elapsed());
        // A store of one's own says each change itself, and need not be asked.
        if self.own && freshness.following {
            return Some(Duration::ZERO);
        }
        confirmed
    }

    /// Whether the view is what the store says. Changes of the time alone wake nobody.
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

    /// Brings a commit's target into force. When this returns, the view shows it and it is on disk.
    ///
    /// `took_ms` is how long the pass has taken so far, for the history.
    ///
    /// # Errors
    /// Another generation got into force meanwhile, who there is was changed by a call, another engine leads, or the store failed; what was in force then
    /// still is.
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

    /// Brings a target into force that says again what its commit said, against what somebody did to the records.
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

    /// Puts back what somebody did to records in force, as far as it is known; gives what was put back, for people.
    ///
    /// # Errors
    /// Another engine leads, something else got into force meanwhile, or the store failed.
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
        // The history goes before the pointer: what comes after a pointer that was put back has another fence.
        let mut repairs = repairs;
        let at = repairs.len().saturating_sub(1);
        repairs.insert(at, history);
        for batch in batches(repairs) {
            last = fence.commit(&*self.store, batch).await?;
        }
        self.wait_for(last).await?;
        Ok(what)
    }

    /// Writes into the history what an engine put right elsewhere than in the store. Any engine may, for it decides
    /// nothing.
    ///
    /// # Errors
    /// The store failed.
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
        self.commit(txn, "something else was written down at this very instant")
            .await?;
        Ok(())
    }

    /// Writes a refusal into the history, unless its newest entry says the same already; whether it was written.
    ///
    /// `seen` is the view on which it was decided. A refusal that was decided on what is past is not written: a commit
    /// that was accepted meanwhile would stand there as refused.
    ///
    /// # Errors
    /// What is in force, the floor or the users changed meanwhile, another engine leads, or the store failed.
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

    /// Says how the last pass stands, for the other engines to show; nothing is written when it is known.
    ///
    /// # Errors
    /// Another engine leads, or the store failed.
    pub async fn publish(&self, term: &Term, standing: &PublishedStatus) -> Result<(), StateError> {
        let known = self.view().standing.clone();
        // The time, and one failure more of the same kind, are no news.
        let same = known.is_some_and(|known| {
            *known
                == PublishedStatus {
                    at: known.at,
                    failures: known.failures,
                    ..standing.clone()
                }
        });
        if same {
            return Ok(());
        }
        let ops = vec![put(key::STANDING.to_owned(), stored::encode(standing)?)];
        self.write(term, ops).await
    }

    /// Lets a commit get into force that does not descend from the one in force, or says that nothing may.
    ///
    /// # Errors
    /// The store failed.
    pub async fn set_floor(&self, floor: &Floor) -> Result<(), StateError> {
        let txn = Txn::new().put(key::FLOOR, stored::encode(floor)?);
        self.commit(txn, "another request came first").await?;
        Ok(())
    }

    /// Asks whichever engine leads for a pass; gives the number under which [`PublishedStatus::served`] answers.
    ///
    /// # Errors
    /// The store failed.
    pub async fn hint(&self) -> Result<u64, StateError> {
        let txn = Txn::new().put(key::HINT, *b"1");
        let revision = self.commit(txn, "another request came first").await?;
        Ok(revision.0)
    }

    /// Removes an engine that does not run from the cluster: its recipient is no longer guarded.
    ///
    /// # Errors
    /// It runs, or the store failed.
    pub async fn remove_engine(&self, name: &Name) -> Result<(), StateError> {
        let mut txn = Txn::new()
            .when(Compare::Absent {
                key: key::alive(name),
            })
            .delete(key::engine(name));
        if self.view().v4_holder.as_ref() == Some(name) {
            txn = txn.delete(key::ENGINE_V4);
        }
        self.commit(txn, "the engine runs; stop it first").await?;
        Ok(())
    }

    /// Removes what no reader needs any more. Not urgent: what is left for the next time only takes room.
    ///
    /// # Errors
    /// Another engine leads, or the store failed.
    pub async fn collect_garbage(&self, term: &Term, now: Timestamp) -> Result<(), StateError> {
        let mut keys: Vec<String> = self.shared.builder().garbage().iter().cloned().collect();
        keys.extend(garbage::old_history(&self.view().history, now));
        garbage::collect(&*self.store, term, keys).await
    }

    /// A write in the name of the leader.
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

    /// A write that any engine may do; gives its revision once the view has it.
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

    /// A leader writes by a view that has at least its own election in it.
    async fn may_write(&self, term: &Term) -> Result<(), StateError> {
        if !term.is_valid() {
            return Err(StateError::NotLeading);
        }
        match term.elected_at() {
            Some(at) => self.wait_for(at).await,
            None => Ok(()),
        }
    }

    /// Waits until the view has a revision.
    pub(crate) async fn wait_for(&self, revision: Revision) -> Result<(), StateError> {
        let mut seen = self.changes();
        let reached = tokio::time::timeout(PATIENCE, seen.wait_for(|at| *at >= revision)).await;
        match reached {
            Ok(Ok(_)) => Ok(()),
            _ => Err(StateError::Stopped),
        }
    }
}

/// The view without the store: what the copy on disk holds. A store that refuses us is no reason to serve nobody, but
/// where there is nothing to serve it is better said at once.
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
            "the copy of the state on disk cannot be used"
        );
        Builder::default()
    });
    let trouble = report(&error);
    match &builder.current().in_force.applied {
        Some(applied) => {
            let (commit, generation) = (applied.commit.id, applied.generation);
            warn!(error = trouble, %commit, %generation, "the store cannot be used; the last good state on disk is served");
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

/// The transaction that moves the pointer. What was accepted about rewritten history is used up by it.
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
    /// The most findings that a refusal keeps, and the most names that a restoration does.
    pub const MAX_FINDINGS: usize = 50;

    /// A refusal with the first of its findings.
    #[must_use]
    pub fn refused(findings: &[Finding]) -> Self {
        Self::Refused {
            findings: findings.iter().take(Self::MAX_FINDINGS).cloned().collect(),
            total: findings.len(),
        }
    }

    /// A restoration with the first of what was put back.
    #[must_use]
    pub fn restored(mut what: Vec<String>) -> Self {
        let total = what.len();
        what.truncate(Self::MAX_FINDINGS);
        Self::Restored { what, total }
    }
}
