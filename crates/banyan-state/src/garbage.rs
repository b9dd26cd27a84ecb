//! Garbage collection: superseded versions, tombstones, old history.

use std::collections::BTreeMap;
use std::sync::Arc;

use banyan_store::{Op, Outcome, Store, Txn};
use jiff::Timestamp;

use crate::history::MAX_HISTORY;
use crate::stage::batches;
use crate::{HistoryEntry, StateError, Term};

/// Deletes keys, in bounded transactions. Safe to interrupt and to repeat.
pub(crate) async fn collect(
    store: &dyn Store,
    term: &Term,
    keys: Vec<String>,
) -> Result<(), StateError> {
    for ops in batches(keys.into_iter().map(|key| Op::Delete { key })) {
        let txn = Txn {
            compares: term.compare().into_iter().collect(),
            ops,
        };
        if let Outcome::Conflict { .. } = store.commit(txn).await? {
            return Err(StateError::NotLeading);
        }
    }
    Ok(())
}

/// The keys of the entries beyond [`MAX_HISTORY`], oldest first, except those that a guard still counts at `now`.
pub(crate) fn old_history(
    history: &BTreeMap<String, Arc<HistoryEntry>>,
    now: Timestamp,
) -> Vec<String> {
    let surplus = history.len().saturating_sub(MAX_HISTORY);
    let oldest = history.iter().take(surplus);
    let idle = oldest.filter(|(_, entry)| entry.counted(now).next().is_none());
    idle.map(|(key, _)| key.clone()).collect()
}
