//! Staging: writes a target's changed records beside those in force, in bounded transactions.

use banyan_core::{Change, Generation, Target};
use banyan_store::{Compare, MAX_OPS, MAX_TXN_BYTES, Op, Outcome, Revision, Store, Txn};

use crate::builder::Builder;
use crate::key::{FLOOR, LEADER, POINTER, RecordKey};
use crate::people::unchanged;
use crate::stored::{self, Sum};
use crate::{AdvanceError, StateError, Term};

/// Makes every write conditional on the leader's term and on the pointer as it was seen, so that it fails if another
/// engine took over or moved the pointer.
#[derive(Debug, Clone)]
pub(crate) struct Fence {
    parent: Generation,
    compares: Vec<Compare>,
}

impl Fence {
    /// A fence around what is in force in this view of the store.
    pub(crate) fn new(term: &Term, parent: Generation, builder: &Builder) -> Self {
        let pointer = Compare::Modified {
            key: POINTER.to_owned(),
            at: builder.pointer_at(),
        };
        Self {
            parent,
            compares: term.compare().into_iter().chain([pointer]).collect(),
        }
    }

    /// Also requires the set of users and permissions to be unchanged.
    pub(crate) fn and_people(mut self, at: Option<Revision>) -> Self {
        self.compares.extend(at.map(unchanged));
        self
    }

    /// Also requires the floor to be unchanged.
    pub(crate) fn and_floor(mut self, builder: &Builder) -> Self {
        self.compares.push(Compare::Modified {
            key: FLOOR.to_owned(),
            at: builder.floor_at(),
        });
        self
    }

    /// Commits a transaction under the fence.
    pub(crate) async fn commit(
        &self,
        store: &dyn Store,
        ops: Vec<Op>,
    ) -> Result<Revision, AdvanceError> {
        let txn = Txn {
            compares: self.compares.clone(),
            ops,
        };
        match store.commit(txn).await? {
            Outcome::Committed(revision) => Ok(revision),
            Outcome::Conflict { failed } if failed.iter().any(|key| key == LEADER) => {
                Err(AdvanceError::State(StateError::NotLeading))
            }
            Outcome::Conflict { .. } => Err(AdvanceError::Superseded {
                parent: self.parent,
            }),
        }
    }
}

/// The encoded changed records of a target, and the sum of all records after it.
pub(crate) struct Records {
    pub(crate) puts: Vec<Op>,
    pub(crate) sum: Sum,
}

impl Records {
    pub(crate) fn of(target: &Target, builder: &Builder) -> Result<Self, StateError> {
        let generation = target.applied().generation;
        let mut puts = Vec::with_capacity(target.changes().len());
        let mut sums = Vec::with_capacity(target.changes().len());
        for change in target.changes() {
            let value = stored::encode_object(change.after.as_ref())?;
            let present = change.after.is_some();
            let sum = present.then(|| Sum::of(change.kind, &change.name, &value));
            sums.push((change.kind, &change.name, sum));
            puts.push(Op::Put {
                key: key_of(change, generation),
                value,
                lease: None,
            });
        }
        let sum = builder.sum_after(sums.into_iter());
        Ok(Self { puts, sum })
    }
}

fn key_of(change: &Change, generation: Generation) -> String {
    let key = RecordKey {
        generation,
        kind: change.kind,
        name: change.name.clone(),
    };
    key.to_key()
}

/// Clears what an unfinished attempt left behind, then stages the records.
pub(crate) async fn stage(
    store: &dyn Store,
    fence: &Fence,
    left_over: Vec<String>,
    puts: Vec<Op>,
) -> Result<(), AdvanceError> {
    if !left_over.is_empty() {
        tracing::info!(
            records = left_over.len(),
            "discarding records staged by an unfinished pass"
        );
    }
    let deletes = left_over.into_iter().map(|key| Op::Delete { key });
    for batch in batches(deletes.chain(puts)) {
        fence.commit(store, batch).await?;
    }
    Ok(())
}

/// Splits operations into transactions within the store's limits. Operations on the same key go into different
/// transactions, in order.
pub(crate) fn batches(ops: impl IntoIterator<Item = Op>) -> Vec<Vec<Op>> {
    let mut batches: Vec<Vec<Op>> = Vec::new();
    let mut keys = std::collections::BTreeSet::new();
    let mut bytes = 0;
    for op in ops {
        let size = op.key().len()
            + match &op {
                Op::Put { value, .. } => value.len(),
                Op::Delete { .. } => 0,
            };
        let full = batches.last().is_none_or(|batch| batch.len() >= MAX_OPS)
            || bytes + size > MAX_TXN_BYTES / 2
            || keys.contains(op.key());
        if full {
            batches.push(Vec::new());
            keys.clear();
            bytes = 0;
        }
        bytes += size;
        keys.insert(op.key().to_owned());
        if let Some(batch) = batches.last_mut() {
            batch.push(op);
        }
    }
    batches
}
