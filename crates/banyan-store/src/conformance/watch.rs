//! Watches: whole transactions, in order, none missed, and an explicit end.

use std::sync::Arc;
use std::time::Duration;

use super::{Bench, commit, compacted, next, now, put, shown, watch};
use crate::{Event, KeyRange, Revision, Txn, WatchError, read_all};

/// A transaction is one batch.
pub async fn a_watch_gets_a_transaction_whole_and_in_key_order(bench: &dyn Bench) {
    let store = bench.open().await;
    let at = put(&*store, "w/b", "0").await;
    let mut seen = watch(&*store, "w/", at).await;
    let txn = Txn::new().put("w/c", *b"1").delete("w/b").put("w/a", *b"1");
    let revision = commit(&*store, txn).await;
    let batch = next(&mut seen).await;
    assert_eq!(batch.revision, revision);
    assert_eq!(shown(&batch), ["+w/a=1", "-w/b", "+w/c=1"]);
    let Some(Event::Put(entry)) = batch.events.first() else {
        panic!("a put");
    };
    assert_eq!((entry.created, entry.modified), (revision, revision));
}

/// Events start after `after`, complete, one batch per transaction.
pub async fn a_watch_from_the_past_gets_all_since(bench: &dyn Bench) {
    let store = bench.open().await;
    let first = put(&*store, "k", "1").await;
    let second = put(&*store, "k", "2").await;
    let third = commit(&*store, Txn::new().delete("k")).await;
    let mut seen = watch(&*store, "k", first).await;
    let batches = [next(&mut seen).await, next(&mut seen).await];
    assert_eq!(batches.each_ref().map(|b| b.revision), [second, third]);
    assert_eq!(shown(&batches[0]), ["+k=2"]);
    assert_eq!(shown(&batches[1]), ["-k"]);
}

/// A watch waits until something happens; cancelling the wait loses nothing.
pub async fn a_watch_waits_for_what_comes(bench: &dyn Bench) {
    let store = bench.open().await;
    let at = put(&*store, "k", "1").await;
    let mut seen = watch(&*store, "k", at).await;
    let early = tokio::time::timeout(Duration::from_millis(50), seen.next()).await;
    assert!(early.is_err(), "nothing has happened: {early:?}");
    let writer = Arc::clone(&store);
    let written = tokio::spawn(async move { put(&*writer, "k", "2").await });
    assert_eq!(shown(&next(&mut seen).await), ["+k=2"]);
    written.await.expect("the writer");
}

/// A transaction shows only its changes under the prefix, and none if it has none there.
pub async fn a_watch_sees_its_prefix_only(bench: &dyn Bench) {
    let store = bench.open().await;
    let at = now(&*store).await;
    let mut seen = watch(&*store, "a/", at).await;
    put(&*store, "b/1", "no").await;
    let txn = Txn::new()
        .put("a/1", *b"yes")
        .put("a", *b"no")
        .put("a0", *b"no");
    commit(&*store, txn).await;
    assert_eq!(shown(&next(&mut seen).await), ["+a/1=yes"]);
}

/// A snapshot plus the changes since gives the state at any later time.
pub async fn a_snapshot_and_its_watch_miss_nothing(bench: &dyn Bench) {
    const WRITES: u64 = 60;
    let store = bench.open().await;
    let writer = Arc::clone(&store);
    let writing = tokio::spawn(async move {
        for n in 0..WRITES {
            put(&*writer, &format!("n/{n:03}"), "").await;
        }
    });
    tokio::task::yield_now().await;
    let snapshot = store.snapshot().await.expect("a snapshot");
    let mut seen = watch(&*store, "n/", snapshot.revision()).await;
    let read = read_all(&*snapshot, &KeyRange::prefix("n/")).await;
    let mut keys: Vec<String> = read.expect("a read").into_iter().map(|e| e.key).collect();
    while keys.len() < WRITES as usize {
        let batch = next(&mut seen).await;
        keys.extend(batch.events.iter().map(|event| event.key().to_owned()));
    }
    let expect: Vec<String> = (0..WRITES).map(|n| format!("n/{n:03}")).collect();
    assert_eq!(keys, expect);
    writing.await.expect("the writer");
}

/// A watcher that does not read is ended with the revision it can resume from, and resuming there
/// works.
pub async fn a_watch_that_lags_too_far_is_told_so(bench: &dyn Bench) {
    let store = bench.open().await;
    let at = now(&*store).await;
    let mut slow = watch(&*store, "", at).await;
    put(&*store, "k", "1").await;
    bench.forget_history(&*store).await;
    let oldest = compacted(&mut slow).await;
    assert!(oldest > at, "{oldest} is after {at}");
    let again = slow.next().await;
    assert_eq!(
        again,
        Err(WatchError::Compacted { oldest }),
        "it stays ended"
    );
    let newest = now(&*store).await;
    if oldest < newest {
        let mut rest = watch(&*store, "", oldest).await;
        assert!(next(&mut rest).await.revision > oldest);
    }
    let mut fresh = watch(&*store, "k", newest).await;
    put(&*store, "k", "2").await;
    assert_eq!(shown(&next(&mut fresh).await), ["+k=2"]);
}

/// Watching a compacted revision fails instead of waiting.
pub async fn a_watch_from_forgotten_history_is_told_so(bench: &dyn Bench) {
    let store = bench.open().await;
    put(&*store, "k", "1").await;
    bench.forget_history(&*store).await;
    let mut late = watch(&*store, "k", Revision(0)).await;
    let oldest = compacted(&mut late).await;
    assert!(oldest <= now(&*store).await);
}
