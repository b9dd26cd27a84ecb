//! Converts a transaction to etcd's form, and etcd's answer back.

use std::collections::{BTreeMap, BTreeSet};

use banyan_store::{Compare, LeaseId, Op, Outcome, Revision, Txn};
use etcd_client::{CompareOp, GetOptions, PutOptions, TxnOp, TxnOpResponse, TxnResponse};

use crate::keys::{Keys, raw_revision, revision};

/// Builds the request. If a compare fails, the request reads the compared keys without their
/// values, so that the answer shows which one failed.
pub(crate) fn request(keys: &Keys, txn: &Txn) -> etcd_client::Txn {
    let compares: Vec<_> = txn.compares.iter().map(|c| compare(keys, c)).collect();
    let ops: Vec<_> = txn.ops.iter().map(|op| operation(keys, op)).collect();
    let compared: BTreeSet<&str> = txn.compares.iter().map(Compare::key).collect();
    let gets: Vec<_> = compared
        .into_iter()
        .map(|key| TxnOp::get(keys.raw(key), Some(GetOptions::new().with_keys_only())))
        .collect();
    etcd_client::Txn::new()
        .when(compares)
        .and_then(ops)
        .or_else(gets)
}

fn compare(keys: &Keys, compare: &Compare) -> etcd_client::Compare {
    let key = keys.raw(compare.key());
    match compare {
        Compare::Absent { .. } => etcd_client::Compare::create_revision(key, CompareOp::Equal, 0),
        Compare::Present { .. } => {
            etcd_client::Compare::create_revision(key, CompareOp::Greater, 0)
        }
        Compare::Modified { at, .. } => {
            etcd_client::Compare::mod_revision(key, CompareOp::Equal, raw_revision(*at))
        }
        Compare::Created { at, .. } => {
            etcd_client::Compare::create_revision(key, CompareOp::Equal, raw_revision(*at))
        }
    }
}

fn operation(keys: &Keys, op: &Op) -> TxnOp {
    match op {
        Op::Delete { key } => TxnOp::delete(keys.raw(key), None),
        Op::Put { key, value, lease } => {
            let options = lease.map(|lease| PutOptions::new().with_lease(raw_lease(lease)));
            TxnOp::put(keys.raw(key), value.to_vec(), options)
        }
    }
}

/// A lease id for the wire. One beyond the range was never granted, and neither was -1.
pub(crate) fn raw_lease(lease: LeaseId) -> i64 {
    i64::try_from(lease.0).unwrap_or(-1)
}

/// The leases named by a transaction, each once.
pub(crate) fn leases(txn: &Txn) -> BTreeSet<LeaseId> {
    let named = txn.ops.iter().filter_map(|op| match op {
        Op::Put { lease, .. } => *lease,
        Op::Delete { .. } => None,
    });
    named.collect()
}

/// The outcome of the transaction.
pub(crate) fn outcome(keys: &Keys, txn: &Txn, answer: &TxnResponse) -> Outcome {
    if answer.succeeded() {
        let at = answer
            .header()
            .map_or(0, etcd_client::ResponseHeader::revision);
        return Outcome::Committed(revision(at));
    }
    let found = found(keys, answer);
    let mut named = BTreeSet::new();
    let failed = txn
        .compares
        .iter()
        .filter(|compare| !holds(compare, found.get(compare.key())))
        .filter(|compare| named.insert(compare.key()))
        .map(|compare| compare.key().to_owned());
    Outcome::Conflict {
        failed: failed.collect(),
    }
}

/// The created and modified revisions of a key.
#[derive(Clone, Copy)]
struct Seen {
    created: Revision,
    modified: Revision,
}

fn found(keys: &Keys, answer: &TxnResponse) -> BTreeMap<String, Seen> {
    let mut found = BTreeMap::new();
    for response in answer.op_responses() {
        let TxnOpResponse::Get(got) = response else {
            continue;
        };
        for raw in got.kvs() {
            let seen = Seen {
                created: revision(raw.create_revision()),
                modified: revision(raw.mod_revision()),
            };
            found.extend(keys.ours(raw.key()).map(|key| (key, seen)));
        }
    }
    found
}

fn holds(compare: &Compare, seen: Option<&Seen>) -> bool {
    let created = seen.map_or(Revision(0), |seen| seen.created);
    let modified = seen.map_or(Revision(0), |seen| seen.modified);
    match compare {
        Compare::Absent { .. } => seen.is_none(),
        Compare::Present { .. } => seen.is_some(),
        Compare::Modified { at, .. } => modified == *at,
        Compare::Created { at, .. } => created == *at,
    }
}
