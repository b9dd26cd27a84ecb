//! Watches on a healthy server: how they start, continue and end.

use std::time::Duration;

use banyan_store::{Revision, Store, Txn, Watch, WatchError};
use banyan_store_etcd::{EtcdOptions, Lag};
use banyan_testkit::etcd::Cluster;
use tokio::time::{Instant, timeout};

use crate::support::{HEALS, closed, live_watch, options, put, store};

/// The number of watchers on the server.
fn watchers(cluster: &Cluster) -> u32 {
    let metrics = cluster.ask(0, "/metrics").unwrap();
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("etcd_debugging_mvcc_watcher_total "));
    line.unwrap().parse().unwrap()
}

async fn has_no_watchers(cluster: &Cluster) {
    let deadline = Instant::now() + HEALS;
    while watchers(cluster) > 0 {
        assert!(Instant::now() < deadline, "the watch is still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_watch_is_canceled_at_the_server() {
    let cluster = Cluster::start(1).unwrap();
    let store = store(options(&cluster, &[0]));
    let watch = live_watch(&store).await;
    assert_eq!(watchers(&cluster), 1);
    drop(watch);
    has_no_watchers(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_last_handle_of_a_store_its_watches_end() {
    let cluster = Cluster::start(1).unwrap();
    let store = store(options(&cluster, &[0]));
    let mut watch = live_watch(&store).await;
    drop(store.clone());
    put(&store, "k").await;
    assert!(watch.next().await.is_ok(), "a handle is left");
    drop(store);
    closed(&mut watch).await;
    has_no_watchers(&cluster).await;
}

/// etcd closes connections that ping too often; progress requests are not pings.
#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_watch_goes_on() {
    let cluster = Cluster::start(1).unwrap();
    let store = store(options(&cluster, &[0]));
    let mut watch = live_watch(&store).await;
    let quiet = timeout(Duration::from_secs(15), watch.next()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    let at = put(&store, "k").await;
    assert_eq!(watch.next().await.unwrap().revision, at);
}

/// A compaction while the server has more pending events for a watcher than it can send.
#[tokio::test(flavor = "multi_thread")]
async fn compaction_ends_a_watch_that_is_behind() {
    let cluster = Cluster::start(1).unwrap();
    let store = store(EtcdOptions {
        lag: Lag {
            batches: 1,
            patience: Duration::from_secs(60),
        },
        ..options(&cluster, &[0])
    });
    let mut watch = live_watch(&store).await;
    for _ in 0..24 {
        let large = Txn::new().put("large", vec![0; 1_000_000]);
        store.commit(large).await.unwrap();
    }
    // More than the server buffers for one stream of watches.
    let mut last = Revision(0);
    for _ in 0..1400 {
        last = put(&store, "k").await;
    }
    cluster.compact().unwrap();
    let end = timeout(HEALS, end_of(&mut watch)).await.unwrap();
    let WatchError::Compacted { oldest } = end else {
        panic!("{end:?}");
    };
    assert!(oldest <= last);
    let mut again = store.watch("", oldest).await.unwrap();
    let at = put(&store, "k").await;
    while again.next().await.unwrap().revision < at {}
}

async fn end_of(watch: &mut Watch) -> WatchError {
    loop {
        if let Err(end) = watch.next().await {
            return end;
        }
    }
}

/// A deletion is not kept at the revision of a compaction.
#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_at_the_compacted_revision_is_not_missed_in_silence() {
    let cluster = Cluster::start(1).unwrap();
    let store = store(options(&cluster, &[0]));
    let at = put(&store, "k").await;
    store.commit(Txn::new().delete("k")).await.unwrap();
    cluster.compact().unwrap();
    let mut watch = store.watch("", at).await.unwrap();
    put(&store, "other").await;
    let next = watch.next().await;
    assert!(
        matches!(next, Err(WatchError::Compacted { .. })),
        "{next:?}"
    );
}
