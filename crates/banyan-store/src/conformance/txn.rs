//! Transactions: compares, limits, atomicity, races.

use std::sync::Arc;

use super::{Bench, commit, get, next, now, put, shown, watch};
use crate::{
    Compare, MAX_COMPARES, MAX_KEY_LEN, MAX_OPS, MAX_TXN_BYTES, Op, Outcome, Revision, Store,
    StoreError, Txn,
};

/// Each kind of compare, on a present and an absent key.
pub async fn every_compare_means_what_it_says(bench: &dyn Bench) {
    let store = bench.open().await;
    let made = put(&*store, "k", "1").await;
    let moved = put(&*store, "k", "2").await;
    let zero = Revision(0);
    for (key, created, modified, there) in [("k", made, moved, true), ("no", zero, zero, false)] {
        let key = || key.to_owned();
        let table = [
            (Compare::Present { key: key() }, there),
            (Compare::Absent { key: key() }, !there),
            (
                Compare::Created {
                    key: key(),
                    at: created,
                },
                true,
            ),
            (
                Compare::Modified {
                    key: key(),
                    at: modified,
                },
                true,
            ),
            (
                Compare::Created {
                    key: key(),
                    at: Revision(modified.0 + 1),
                },
                false,
            ),
            (
                Compare::Modified {
                    key: key(),
                    at: Revision(modified.0 + 1),
                },
                false,
            ),
            (
                Compare::Created {
                    key: key(),
                    at: zero,
                },
                !there,
            ),
            (
                Compare::Modified {
                    key: key(),
                    at: made,
                },
                false,
            ),
        ];
        for (compare, expect) in table {
            let outcome = store.commit(Txn::new().when(compare.clone())).await;
            let held = matches!(outcome, Ok(Outcome::Committed(_)));
            assert_eq!(held, expect, "{compare:?} gave {outcome:?}");
        }
    }
}

/// A conflict reports every failed key once; nothing is written and no event is sent.
pub async fn a_conflict_names_what_failed_and_changes_nothing(bench: &dyn Bench) {
    let store = bench.open().await;
    let at = put(&*store, "there", "").await;
    let mut seen = watch(&*store, "", at).await;
    let present = |key: &str| Compare::Present {
        key: key.to_owned(),
    };
    let txn = Txn::new()
        .when(present("b"))
        .when(present("there"))
        .when(present("a"))
        .when(Compare::Created {
            key: "b".to_owned(),
            at,
        })
        .put("new", *b"x")
        .delete("there");
    let outcome = store.commit(txn).await.expect("an outcome");
    let failed = vec!["b".to_owned(), "a".to_owned()];
    assert_eq!(outcome, Outcome::Conflict { failed });
    assert_eq!(get(&*store, "new").await, None);
    assert!(get(&*store, "there").await.is_some());
    put(&*store, "later", "1").await;
    assert_eq!(shown(&next(&mut seen).await), ["+later=1"]);
}

/// A transaction may write what it compares.
pub async fn compares_are_judged_on_the_state_before(bench: &dyn Bench) {
    let store = bench.open().await;
    let create = || {
        Txn::new()
            .when(Compare::Absent {
                key: "k".to_owned(),
            })
            .put("k", *b"v")
    };
    commit(&*store, create()).await;
    let again = store.commit(create()).await.expect("an outcome");
    assert!(matches!(again, Outcome::Conflict { .. }), "{again:?}");
}

/// An empty transaction or a delete of absent keys leaves the revision alone and sends no event.
pub async fn a_transaction_without_changes_makes_no_revision(bench: &dyn Bench) {
    let store = bench.open().await;
    let at = put(&*store, "k", "1").await;
    let mut seen = watch(&*store, "", at).await;
    let check = Txn::new().when(Compare::Present {
        key: "k".to_owned(),
    });
    for nothing in [Txn::new(), check, Txn::new().delete("no")] {
        assert_eq!(commit(&*store, nothing).await, at);
    }
    assert_eq!(now(&*store).await, at);
    let mixed = commit(&*store, Txn::new().delete("no").put("k", *b"2")).await;
    let batch = next(&mut seen).await;
    assert_eq!(
        (batch.revision, shown(&batch)),
        (mixed, vec!["+k=2".to_owned()])
    );
}

/// The maximum number of operations, compares and bytes is accepted.
pub async fn the_largest_transaction_is_taken_whole(bench: &dyn Bench) {
    let store = bench.open().await;
    let at = now(&*store).await;
    let mut seen = watch(&*store, "big/", at).await;
    let revision = commit(&*store, wide(MAX_OPS, MAX_COMPARES)).await;
    let batch = next(&mut seen).await;
    assert_eq!((batch.revision, batch.events.len()), (revision, MAX_OPS));
    commit(&*store, heavy(MAX_TXN_BYTES)).await;
    assert_eq!(next(&mut seen).await.events.len(), 2);
    let longest = "k".repeat(MAX_KEY_LEN);
    put(&*store, &longest, "v").await;
    assert!(get(&*store, &longest).await.is_some());
}

/// One more than any limit, and invalid keys, are refused.
pub async fn a_transaction_beyond_a_limit_is_refused(bench: &dyn Bench) {
    let store = bench.open().await;
    let at = now(&*store).await;
    let long = "k".repeat(MAX_KEY_LEN + 1);
    let too_large = [
        wide(MAX_OPS + 1, 0),
        wide(1, MAX_COMPARES + 1),
        heavy(MAX_TXN_BYTES + 1),
        Txn::new().put("ok", *b"").delete(long.clone()),
        Txn::new().when(Compare::Absent { key: long }),
    ];
    for txn in too_large {
        let got = store.commit(txn).await;
        assert!(matches!(got, Err(StoreError::TooLarge { .. })), "{got:?}");
    }
    for bad in ["", "nul\0"] {
        let got = store
            .commit(Txn::new().put("ok", *b"").put(bad, *b""))
            .await;
        assert!(matches!(got, Err(StoreError::BadKey { .. })), "{got:?}");
    }
    assert_eq!(now(&*store).await, at);
    assert_eq!(get(&*store, "ok").await, None);
}

/// Two writes to one key have no order, so the whole transaction is refused.
pub async fn a_key_twice_in_one_transaction_is_refused(bench: &dyn Bench) {
    let store = bench.open().await;
    let twice = [
        Txn::new().put("k", *b"1").put("k", *b"2"),
        Txn::new().put("k", *b"1").put("other", *b"").delete("k"),
        Txn::new().delete("k").delete("k"),
    ];
    for txn in twice {
        let got = store.commit(txn).await;
        assert!(
            matches!(got, Err(StoreError::DuplicateKey { ref key }) if key == "k"),
            "{got:?}"
        );
    }
    assert_eq!(get(&*store, "other").await, None);
}

/// When several transactions create one key, exactly one succeeds.
pub async fn of_racing_creators_one_wins(bench: &dyn Bench) {
    let store = bench.open().await;
    for round in 0..10 {
        let key = format!("race/{round}");
        let racers = (0..4_u8).map(|racer| {
            let store = Arc::clone(&store);
            let txn = Txn::new()
                .when(Compare::Absent { key: key.clone() })
                .put(key.clone(), [racer]);
            tokio::spawn(async move { (racer, store.commit(txn).await.expect("an outcome")) })
        });
        let mut winners = Vec::new();
        for racer in racers.collect::<Vec<_>>() {
            let (racer, outcome) = racer.await.expect("a racer");
            if matches!(outcome, Outcome::Committed(_)) {
                winners.push(racer);
            }
        }
        let entry = get(&*store, &key).await.expect("an entry");
        assert_eq!(winners, *entry.value, "the winner's value is there");
    }
}

/// Read, compare, write from several tasks: every success counts exactly once.
pub async fn counting_under_compare_loses_nothing(bench: &dyn Bench) {
    const TASKS: u64 = 4;
    const EACH: u64 = 10;
    let store = bench.open().await;
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for _ in 0..EACH {
                    while !increment(&*store).await {}
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a counting task");
    }
    assert_eq!(count(&*store).await.0, TASKS * EACH);
}

async fn count(store: &dyn Store) -> (u64, Revision) {
    let Some(entry) = get(store, "count").await else {
        return (0, Revision(0));
    };
    let bytes = (*entry.value).try_into().expect("a number");
    (u64::from_le_bytes(bytes), entry.modified)
}

async fn increment(store: &dyn Store) -> bool {
    let (count, at) = count(store).await;
    let key = "count".to_owned();
    let txn = Txn::new()
        .when(Compare::Modified { key, at })
        .put("count", (count + 1).to_le_bytes());
    matches!(store.commit(txn).await, Ok(Outcome::Committed(_)))
}

fn wide(ops: usize, compares: usize) -> Txn {
    let op = |n| Op::Put {
        key: format!("big/{n:03}"),
        value: Arc::from(*b"v"),
        lease: None,
    };
    let compare = |n| Compare::Absent {
        key: format!("no/{n:03}"),
    };
    Txn {
        compares: (0..compares).map(compare).collect(),
        ops: (0..ops).map(op).collect(),
    }
}

/// A transaction of exactly this many bytes.
fn heavy(bytes: usize) -> Txn {
    let half = bytes / 2;
    let first = vec![1; half - "big/x".len()];
    let second = vec![2; bytes - half - "big/y".len()];
    Txn::new().put("big/x", first).put("big/y", second)
}
