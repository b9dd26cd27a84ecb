//! Reads: entries, ranges, snapshots, and the state after a restart.

use super::{Bench, commit, get, put};
use crate::{Entry, KeyRange, MAX_KEY_LEN, Snapshot, StoreError, Txn, read_all};

/// A key that was never put is `None`, even if its neighbour exists.
pub async fn an_absent_key_reads_as_nothing(bench: &dyn Bench) {
    let store = bench.open().await;
    assert_eq!(get(&*store, "a/1").await, None);
    put(&*store, "a/10", "x").await;
    assert_eq!(get(&*store, "a/1").await, None);
}

/// Values are arbitrary bytes and come back unchanged.
pub async fn a_put_is_read_back(bench: &dyn Bench) {
    let store = bench.open().await;
    let values: [&[u8]; 4] = [b"", b"text", &[0, 255, 0], &[7; 100_000]];
    for value in values {
        let at = commit(&*store, Txn::new().put("ключ/1", value)).await;
        let entry = get(&*store, "ключ/1").await.expect("an entry");
        assert_eq!((&*entry.value, entry.modified), (value, at));
        assert_eq!((entry.key.as_str(), entry.lease), ("ключ/1", None));
    }
}

/// Replacing keeps the created revision, even if the value is the same.
pub async fn created_stays_while_modified_moves(bench: &dyn Bench) {
    let store = bench.open().await;
    let first = put(&*store, "k", "v").await;
    let second = put(&*store, "k", "v").await;
    assert!(second > first, "an equal put is a write");
    let entry = get(&*store, "k").await.expect("an entry");
    assert_eq!((entry.created, entry.modified), (first, second));
}

/// Deleting resets the created revision.
pub async fn a_key_made_again_is_new(bench: &dyn Bench) {
    let store = bench.open().await;
    put(&*store, "k", "1").await;
    commit(&*store, Txn::new().delete("k")).await;
    assert_eq!(get(&*store, "k").await, None);
    let again = put(&*store, "k", "2").await;
    let entry = get(&*store, "k").await.expect("an entry");
    assert_eq!((entry.created, entry.modified), (again, again));
}

/// A snapshot does not change.
pub async fn a_snapshot_does_not_see_later_writes(bench: &dyn Bench) {
    let store = bench.open().await;
    let at = commit(&*store, Txn::new().put("a", *b"1").put("b", *b"1")).await;
    let snapshot = store.snapshot().await.expect("a snapshot");
    assert_eq!(snapshot.revision(), at);
    commit(
        &*store,
        Txn::new().put("a", *b"2").delete("b").put("c", *b"2"),
    )
    .await;
    assert_eq!(keys(&*snapshot, &KeyRange::all()).await, ["a", "b"]);
    let a = snapshot.get("a").await.expect("a read").expect("an entry");
    assert_eq!(&*a.value, b"1");
    assert_eq!(snapshot.get("c").await.expect("a read"), None);
    assert_eq!(get(&*store, "b").await, None);
}

/// Ranges are half open; inverted ranges are empty.
pub async fn a_range_has_its_start_and_not_its_end(bench: &dyn Bench) {
    let store = bench.open().await;
    for key in ["a", "b", "ba", "c"] {
        put(&*store, key, "").await;
    }
    let snapshot = store.snapshot().await.expect("a snapshot");
    let table: [(&str, Option<&str>, &[&str]); 5] = [
        ("a", Some("c"), &["a", "b", "ba"]),
        ("b", None, &["b", "ba", "c"]),
        ("", Some("b"), &["a"]),
        ("b", Some("b"), &[]),
        ("c", Some("a"), &[]),
    ];
    for (start, end, expect) in table {
        let range = KeyRange {
            start: start.to_owned(),
            end: end.map(str::to_owned),
        };
        assert_eq!(keys(&*snapshot, &range).await, expect, "{range:?}");
    }
    assert_eq!(keys(&*snapshot, &KeyRange::after("b")).await, ["ba", "c"]);
}

/// Neighbouring keys do not belong to the prefix.
pub async fn a_prefix_range_leaves_out_its_neighbours(bench: &dyn Bench) {
    let store = bench.open().await;
    for key in ["a", "a.", "a/", "a/1", "a/é", "a0", "b/1"] {
        put(&*store, key, "").await;
    }
    let snapshot = store.snapshot().await.expect("a snapshot");
    let found = keys(&*snapshot, &KeyRange::prefix("a/")).await;
    assert_eq!(found, ["a/", "a/1", "a/é"]);
}

/// Paging by any limit gives each key once, in order; `more` is exact.
pub async fn pages_join_without_gap_or_repeat(bench: &dyn Bench) {
    let store = bench.open().await;
    let all: Vec<String> = (0..300).map(|n| format!("p/{n:04}")).collect();
    for part in all.chunks(100) {
        let txn = part.iter().fold(Txn::new(), |txn, key| txn.put(key, *b"v"));
        commit(&*store, txn).await;
    }
    put(&*store, "q", "").await;
    let snapshot = store.snapshot().await.expect("a snapshot");
    let range = KeyRange::prefix("p/");
    assert_eq!(keys(&*snapshot, &range).await, all);
    for limit in [0, 1, 7, 299, 300, 301] {
        assert_eq!(paged(&*snapshot, &range, limit).await, all, "by {limit}");
    }
}

/// Keys that cannot be written cannot be read.
pub async fn a_bad_key_cannot_be_read(bench: &dyn Bench) {
    let store = bench.open().await;
    let snapshot = store.snapshot().await.expect("a snapshot");
    for bad in ["", "a\0b"] {
        let got = snapshot.get(bad).await;
        assert!(matches!(got, Err(StoreError::BadKey { .. })), "{got:?}");
    }
    let got = snapshot.get(&"k".repeat(MAX_KEY_LEN + 1)).await;
    assert!(matches!(got, Err(StoreError::TooLarge { .. })), "{got:?}");
}

/// Acknowledged writes survive with their revisions, and revisions continue from there.
pub async fn a_reopened_store_has_everything(bench: &dyn Bench) {
    let store = bench.open().await;
    put(&*store, "a", "1").await;
    put(&*store, "b", "1").await;
    commit(&*store, Txn::new().put("a", *b"2").delete("b")).await;
    let before = everything(&*store.snapshot().await.expect("a snapshot")).await;
    let revision = super::now(&*store).await;
    drop(store);
    let store = bench.open().await;
    assert_eq!(
        everything(&*store.snapshot().await.expect("a snapshot")).await,
        before
    );
    assert_eq!(before.len(), 1);
    assert!(super::now(&*store).await >= revision);
    assert!(put(&*store, "c", "").await > revision);
}

async fn everything(snapshot: &dyn Snapshot) -> Vec<Entry> {
    read_all(snapshot, &KeyRange::all()).await.expect("a read")
}

async fn keys(snapshot: &dyn Snapshot, range: &KeyRange) -> Vec<String> {
    let entries = read_all(snapshot, range).await.expect("a read");
    entries.into_iter().map(|entry| entry.key).collect()
}

async fn paged(snapshot: &dyn Snapshot, range: &KeyRange, limit: usize) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = range.clone();
    loop {
        let page = snapshot.range(&rest, limit).await.expect("a page");
        assert!(page.entries.len() <= limit.max(1), "no more than asked");
        assert!(!page.more || !page.entries.is_empty(), "a page gets on");
        found.extend(page.entries.into_iter().map(|entry| entry.key));
        match found.last() {
            Some(last) if page.more => rest = range.continued_after(last),
            _ => return found,
        }
    }
}
