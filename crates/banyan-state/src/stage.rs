//! Staging: writes the changed records of a target beside those in force, in bounded transactions.

use banyan_core::{Change, Generation, Target};
use banyan_store::{Compare, KeyRange, MAX_OPS, MAX_TXN_BYTES, Op, Outcome, Store, Txn, read_all};

use crate::key::{POINTER, RECORDS, RecordKey, records_after};
use crate::stored::{self, Pointer};
use crate::{AdvanceError, StateError};

/// Holds a write to the pointer as it was read: whoever moved it meanwhile wins.
#[derive(Debug, Clone)]
pub(crate) struct Fence(Compare);

impl Fence {
    /// Reads the pointer; refuses when another generation than `parent` is in force.
    pub(crate) async fn new(store: &dyn Store, parent: Generation) -> Result<Self, AdvanceError> {
        let entry = store.snapshot().await?.get(POINTER).await?;
        let (at, compare) = match entry {
            None => (
                Generation(0),
                Compare::Absent {
                    key: POINTER.to_owned(),
                },
            ),
            Some(entry) => {
                let pointer: Pointer = stored::pointer(POINTER, &entry.value)?;
                let key = POINTER.to_owned();
                (
                    pointer.applied.generation,
                    Compare::Modified {
                        key,
                        at: entry.modified,
                    },
                )
            }
        };
        if at == parent {
            Ok(Self(compare))
        } else {
            Err(AdvanceError::Superseded { parent })
        }
    }

    /// Commits under the fence.
    pub(crate) async fn commit(
        &self,
        store: &dyn Store,
        parent: Generation,
        ops: Vec<Op>,
    ) -> Result<banyan_store::Revision, AdvanceError> {
        let txn = Txn {
            compares: vec![self.0.clone()],
            ops,
        };
        match store.commit(txn).await? {
            Outcome::Committed(revision) => Ok(revision),
            Outcome::Conflict { .. } => Err(AdvanceError::Superseded { parent }),
        }
    }
}

/// Clears what an unfinished attempt left behind, then stages the target's records.
pub(crate) async fn stage(
    store: &dyn Store,
    fence: &Fence,
    target: &Target,
) -> Result<(), AdvanceError> {
    let parent = target.parent();
    let left_over = discard(store, parent).await?;
    if !left_over.is_empty() {
        tracing::info!(
            records = left_over.len(),
            "discarding what an unfinished pass had staged"
        );
    }
    let generation = target.applied().generation;
    let puts = target
        .changes()
        .iter()
        .map(|change| put(change, generation));
    let ops: Vec<Op> = puts.collect::<Result<_, _>>()?;
    for batch in batches(left_over.into_iter().chain(ops)) {
        fence.commit(store, parent, batch).await?;
    }
    Ok(())
}

/// The deletes of everything staged after `generation`.
async fn discard(store: &dyn Store, generation: Generation) -> Result<Vec<Op>, StateError> {
    let range = KeyRange {
        start: records_after(generation),
        ..KeyRange::prefix(RECORDS)
    };
    let entries = read_all(&*store.snapshot().await?, &range).await?;
    Ok(entries
        .into_iter()
        .map(|entry| Op::Delete { key: entry.key })
        .collect())
}

fn put(change: &Change, generation: Generation) -> Result<Op, StateError> {
    let key = RecordKey {
        generation,
        kind: change.kind,
        name: change.name.clone(),
    };
    Ok(Op::Put {
        key: key.to_key(),
        value: stored::encode_object(change.after.as_ref())?,
        lease: None,
    })
}

/// Cuts operations into transactions within the store's limits. A key that is deleted and then put never shares a
/// transaction with itself.
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
