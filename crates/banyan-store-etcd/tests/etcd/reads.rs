//! Reading values that are large, foreign or compacted.

use std::time::Duration;

use banyan_store::{Event, KeyRange, Store, Txn, read_all};
use banyan_store_etcd::EtcdOptions;
use banyan_testkit::etcd::Cluster;
use etcd_client::{Client, TxnOp};

use crate::support::{PREFIX, assert_unavailable, options, put, store};

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_large_values_are_read_whole() {
    const ENTRIES: usize = 3000;
    const SIZE: usize = 30_000;
    let cluster = Cluster::start(1).unwrap();
    let store = store(EtcdOptions {
        request_timeout: Duration::from_secs(20),
        ..options(&cluster, &[0])
    });
    let keys: Vec<String> = (0..ENTRIES).map(|n| format!("k/{n:04}")).collect();
    for part in keys.chunks(30) {
        let txn = part
            .iter()
            .fold(Txn::new(), |txn, key| txn.put(key, vec![7; SIZE]));
        store.commit(txn).await.unwrap();
    }
    let snapshot = store.snapshot().await.unwrap();
    let all = read_all(&*snapshot, &KeyRange::all()).await.unwrap();
    assert!(all.iter().map(|entry| &entry.key).eq(&keys));
    assert!(all.iter().all(|entry| entry.value.len() == SIZE));
}

/// A foreign `etcdctl put` must not make the store unusable.
#[tokio::test(flavor = "multi_thread")]
async fn keys_that_cannot_be_ours_do_no_harm() {
    let cluster = Cluster::start(1).unwrap();
    let store = store(options(&cluster, &[0]));
    let at = put(&store, "a").await;
    let mut watch = store.watch("", at).await.unwrap();
    let mut raw = Client::connect(cluster.endpoints(), None).await.unwrap();
    let foreign = |n: u16| [PREFIX.as_bytes(), &[0xff], &n.to_be_bytes()].concat();
    let between = |n: u16| [PREFIX.as_bytes(), b"a/\xff", &n.to_be_bytes()].concat();
    for part in 0..6 {
        let of = |n: u16| part * 100 + n;
        let ops: Vec<TxnOp> = (0..50)
            .flat_map(|n| [foreign(of(n)), between(of(n))])
            .map(|key| TxnOp::put(key, "x", None))
            .collect();
        raw.txn(etcd_client::Txn::new().and_then(ops))
            .await
            .unwrap();
    }
    raw.put(PREFIX, "the prefix itself", None).await.unwrap();
    raw.put("beside", "x", None).await.unwrap();
    let both = [
        TxnOp::put([PREFIX.as_bytes(), b"\xfe"].concat(), "x", None),
        TxnOp::put(format!("{PREFIX}b"), "x", None),
    ];
    raw.txn(etcd_client::Txn::new().and_then(both))
        .await
        .unwrap();
    let batch = watch.next().await.unwrap();
    assert_eq!(
        batch.events.iter().map(Event::key).collect::<Vec<_>>(),
        ["b"]
    );
    let snapshot = store.snapshot().await.unwrap();
    let all = read_all(&*snapshot, &KeyRange::all()).await.unwrap();
    assert_eq!(
        all.iter().map(|e| e.key.as_str()).collect::<Vec<_>>(),
        ["a", "b"]
    );
    let page = snapshot.range(&KeyRange::after("a"), 1).await.unwrap();
    assert_eq!(page.entries.first().map(|e| e.key.as_str()), Some("b"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_compacted_away_says_so() {
    let cluster = Cluster::start(1).unwrap();
    let store = store(options(&cluster, &[0]));
    put(&store, "k").await;
    let snapshot = store.snapshot().await.unwrap();
    put(&store, "k").await;
    cluster.compact().unwrap();
    let got = snapshot.get("k").await;
    assert_unavailable(&got);
    let error = got.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("take a new snapshot"), "{cause}");
    assert_unavailable(&snapshot.range(&KeyRange::all(), 1).await);
    let again = store.snapshot().await.unwrap();
    assert!(again.get("k").await.unwrap().is_some());
}
