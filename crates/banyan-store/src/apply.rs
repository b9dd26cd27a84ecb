//! Applies a transaction to a set of records: the commit semantics shared by all backends that keep
//! records themselves. Knows no locks, durability or watchers.

use std::collections::BTreeSet;

use crate::{Compare, Entry, Event, LeaseId, Op, Revision, StoreError, Txn};

/// The records a transaction is applied to. On an error the backend discards all changes made so
/// far.
pub(crate) trait Records {
    fn get(&self, key: &str) -> Result<Option<Entry>, StoreError>;
    fn put(&mut self, entry: &Entry) -> Result<(), StoreError>;
    fn remove(&mut self, key: &str) -> Result<(), StoreError>;
    fn keys_of(&self, lease: LeaseId) -> Result<Vec<String>, StoreError>;
}

/// The result of a transaction.
pub(crate) enum Applied {
    /// The compares on these keys failed; nothing changed.
    Conflict(Vec<String>),
    /// There was nothing to change.
    Unchanged,
    /// These changes were made at the next revision, in key order.
    Changed(Vec<Event>),
}

/// Evaluates a checked transaction and applies its changes at `revision`.
pub(crate) fn apply(
    records: &mut impl Records,
    txn: &Txn,
    revision: Revision,
) -> Result<Applied, StoreError> {
    let failed = failed_compares(records, &txn.compares)?;
    if !failed.is_empty() {
        return Ok(Applied::Conflict(failed));
    }
    write(records, txn.ops.clone(), revision)
}

/// Deletes every key of a lease.
pub(crate) fn end_lease(records: &mut impl Records, lease: LeaseId) -> Result<Applied, StoreError> {
    let keys = records.keys_of(lease)?;
    let ops = keys.into_iter().map(|key| Op::Delete { key }).collect();
    write(records, ops, Revision::default())
}

fn failed_compares(
    records: &impl Records,
    compares: &[Compare],
) -> Result<Vec<String>, StoreError> {
    let mut seen = BTreeSet::new();
    let mut failed = Vec::new();
    for compare in compares {
        let key = compare.key();
        if !holds(compare, records.get(key)?.as_ref()) && seen.insert(key) {
            failed.push(key.to_owned());
        }
    }
    Ok(failed)
}

fn holds(compare: &Compare, entry: Option<&Entry>) -> bool {
    match compare {
        Compare::Absent { .. } => entry.is_none(),
        Compare::Present { .. } => entry.is_some(),
        Compare::Modified { at, .. } => entry.map_or(Revision(0), |e| e.modified) == *at,
        Compare::Created { at, .. } => entry.map_or(Revision(0), |e| e.created) == *at,
    }
}

fn write(
    records: &mut impl Records,
    mut ops: Vec<Op>,
    revision: Revision,
) -> Result<Applied, StoreError> {
    ops.sort_by(|a, b| a.key().cmp(b.key()));
    let mut events = Vec::new();
    for op in ops {
        let before = records.get(op.key())?;
        match op {
            Op::Put { key, value, lease } => {
                let entry = Entry {
                    created: before.map_or(revision, |e| e.created),
                    modified: revision,
                    key,
                    value,
                    lease,
                };
                records.put(&entry)?;
                events.push(Event::Put(entry));
            }
            Op::Delete { key } if before.is_some() => {
                records.remove(&key)?;
                events.push(Event::Delete { key });
            }
            Op::Delete { .. } => {}
        }
    }
    Ok(if events.is_empty() {
        Applied::Unchanged
    } else {
        Applied::Changed(events)
    })
}
