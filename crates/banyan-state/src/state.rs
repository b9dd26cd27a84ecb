//! The state: reads are of the live view, writes go through the store and are acknowledged once the view has them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use banyan_core::{Finding, Target};
use banyan_store::{Compare, Op, Revision, Store, Txn};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::follow::{self, Shared};
use crate::stage::{Fence, stage};
use crate::stored::{self, FORMAT, Pointer};
use crate::{AdvanceError, HistoryEntry, Outcome, StateError, View, garbage, key};

/// How long a write waits for the view to show it. It is on disk by then; only that it is served is not known.
const PATIENCE: Duration = Duration::from_secs(10);

/// The state above a store.
pub struct State {
    pub(crate) store: Arc<dyn Store>,
    shared: Arc<Shared>,
    _follower: AbortOnDropHandle<()>,
}

impl State {
    /// Reads everything and starts to follow the store. Needs a running tokio runtime.
    ///
    /// # Errors
    /// The store does not answer, or holds what this program cannot read.
    pub async fn open(store: Arc<dyn Store>) -> Result<Self, StateError> {
        let (builder, watch) = follow::start(&*store).await?;
        let view = builder.view();
        let shared = Arc::new(Shared {
            seen: watch::Sender::new(view.revision),
            view: ArcSwap::new(view),
            builder: Mutex::new(builder),
        });
        let follower = follow::run(Arc::clone(&store), Arc::clone(&shared), watch);
        Ok(Self {
            store,
            shared,
            _follower: AbortOnDropHandle::new(tokio::spawn(follower)),
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

    /// Brings a target into force. When this returns, the view shows it and it is on disk.
    ///
    /// `took_ms` is how long the pass has taken so far, for the history.
    ///
    /// # Errors
    /// Another generation got into force meanwhile, or the store failed; what was in force then still is.
    pub async fn advance(&self, target: &Target, took_ms: u64) -> Result<(), AdvanceError> {
        let (store, parent) = (&*self.store, target.parent());
        let fence = Fence::new(store, parent).await?;
        stage(store, &fence, target).await?;
        let revision = fence.commit(store, parent, flip(target, took_ms)?).await?;
        self.wait_for(revision).await?;
        Ok(())
    }

    /// Writes a refusal into the history, unless its newest entry says the same already.
    ///
    /// # Errors
    /// The store failed.
    pub async fn refuse(&self, entry: HistoryEntry) -> Result<(), StateError> {
        let known = self.view().history().next().is_some_and(|newest| {
            newest.commit.id == entry.commit.id && newest.outcome == entry.outcome
        });
        if known {
            return Ok(());
        }
        let key = key::history(entry.at, entry.commit.id);
        let txn = Txn {
            compares: vec![Compare::Absent { key: key.clone() }],
            ops: vec![put(key, stored::encode(&entry)?)],
        };
        if let banyan_store::Outcome::Committed(revision) = self.store.commit(txn).await? {
            self.wait_for(revision).await?;
        }
        Ok(())
    }

    /// Removes what no reader needs any more. Not urgent: what is left for the next time only takes room.
    ///
    /// # Errors
    /// The store failed.
    pub async fn collect_garbage(&self, now: Timestamp) -> Result<(), StateError> {
        let mut keys: Vec<String> = {
            let builder = self.shared.builder.lock();
            let builder = builder.unwrap_or_else(PoisonError::into_inner);
            builder.garbage().iter().cloned().collect()
        };
        keys.extend(garbage::old_history(&self.view().history, now));
        garbage::collect(&*self.store, keys).await
    }

    /// Waits until the view has a revision.
    async fn wait_for(&self, revision: Revision) -> Result<(), StateError> {
        let mut seen = self.changes();
        let reached = tokio::time::timeout(PATIENCE, seen.wait_for(|at| *at >= revision)).await;
        match reached {
            Ok(Ok(_)) => Ok(()),
            _ => Err(StateError::Stopped),
        }
    }
}

fn put(key: String, value: Arc<[u8]>) -> Op {
    Op::Put {
        key,
        value,
        lease: None,
    }
}

/// The transaction that moves the pointer.
fn flip(target: &Target, took_ms: u64) -> Result<Vec<Op>, StateError> {
    let applied = target.applied();
    let pointer = Pointer {
        format: FORMAT,
        applied: applied.clone(),
    };
    let entry = HistoryEntry {
        at: applied.at,
        commit: applied.commit.clone(),
        took_ms,
        outcome: Outcome::Applied {
            generation: applied.generation,
            counts: target.counts(),
            reductions: target.reductions().to_vec(),
        },
    };
    let history = key::history(applied.at, applied.commit.id);
    Ok(vec![
        put(key::POINTER.to_owned(), stored::encode(&pointer)?),
        put(history, stored::encode(&entry)?),
    ])
}

impl Outcome {
    /// The most findings that a refusal keeps.
    pub const MAX_FINDINGS: usize = 50;

    /// A refusal with the first of its findings.
    #[must_use]
    pub fn refused(findings: &[Finding]) -> Self {
        Self::Refused {
            findings: findings.iter().take(Self::MAX_FINDINGS).cloned().collect(),
            total: findings.len(),
        }
    }
}
