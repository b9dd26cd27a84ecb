//! Servers that die, hang, restart or are partitioned.

use std::time::Duration;

use banyan_store::{KeyRange, Revision, Store, StoreError};
use banyan_store_etcd::EtcdOptions;
use banyan_testkit::etcd::Cluster;
use tokio::time::Instant;

use crate::support::{
    SHORT, WATCH_ENDS, assert_unavailable, closed, impatient, live_watch, options, put,
    put_when_healed, store, try_put,
};

/// Three servers, and their numbers with the leader first or last.
fn three(leader_first: bool) -> (Cluster, [usize; 3]) {
    let cluster = Cluster::start(3).unwrap();
    let leader = cluster.leader().unwrap();
    let mut order = [leader, (leader + 1) % 3, (leader + 2) % 3];
    if !leader_first {
        order.reverse();
    }
    (cluster, order)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_calls_fail_and_say_where() {
    let nowhere = store(EtcdOptions::new(["http://127.0.0.1:1"]));
    let error = try_put(&nowhere, "k").await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        cause.contains("127.0.0.1:1") && cause.contains("refused"),
        "{cause}"
    );
    assert_unavailable(&nowhere.watch("", Revision(0)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_its_member_is_killed_a_store_goes_on_over_another() {
    let (mut cluster, order) = three(false);
    let store = impatient(&cluster, &order);
    let mut watch = live_watch(&store).await;
    cluster.kill(order[0]).unwrap();
    assert!(closed(&mut watch).await < Duration::from_secs(2));
    let started = Instant::now();
    put(&store, "k").await;
    let snapshot = store.snapshot().await.unwrap();
    assert!(snapshot.get("k").await.unwrap().is_some());
    assert!(started.elapsed() < SHORT, "{:?}", started.elapsed());
    live_watch(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_leader_is_killed_a_store_goes_on_with_the_next() {
    let (mut cluster, order) = three(true);
    let store = impatient(&cluster, &order);
    let before = put(&store, "k").await;
    cluster.kill(order[0]).unwrap();
    let after = put_when_healed(&store, "k").await;
    assert!(after > before);
    live_watch(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_nothing_is_written_or_read_until_it_is_back() {
    let (mut cluster, order) = three(false);
    let store = impatient(&cluster, &order);
    let before = put(&store, "k").await;
    cluster.kill(order[1]).unwrap();
    cluster.kill(order[2]).unwrap();
    for _ in 0..3 {
        let started = Instant::now();
        assert_unavailable(&try_put(&store, "k").await);
        assert_unavailable(&store.snapshot().await.map(|s| s.revision()));
        assert!(started.elapsed() < SHORT * 5 / 2, "{:?}", started.elapsed());
    }
    cluster.restart(order[1]).unwrap();
    cluster.restart(order[2]).unwrap();
    let after = put_when_healed(&store, "k").await;
    assert!(after > before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_hangs_costs_one_call_its_timeout_and_a_read_nothing_but_time() {
    let (cluster, order) = three(false);
    let (writer, reader) = (impatient(&cluster, &order), impatient(&cluster, &order));
    put(&writer, "k").await;
    let snapshot = reader.snapshot().await.unwrap();
    cluster.stop(order[0]).unwrap();
    let started = Instant::now();
    assert_unavailable(&try_put(&writer, "k").await);
    assert!(started.elapsed() < SHORT * 3 / 2, "{:?}", started.elapsed());
    put(&writer, "k").await;
    let started = Instant::now();
    let page = snapshot.range(&KeyRange::all(), 10).await.unwrap();
    assert_eq!(page.entries.len(), 1);
    assert!(started.elapsed() < SHORT, "{:?}", started.elapsed());
    cluster.cont(order[0]).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_at_a_member_that_hangs_ends() {
    let (cluster, order) = three(false);
    let store = store(options(&cluster, &order));
    let mut watch = live_watch(&store).await;
    cluster.stop(order[0]).unwrap();
    closed(&mut watch).await;
    live_watch(&store).await;
    cluster.cont(order[0]).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_at_a_member_cut_off_from_its_leader_ends() {
    let (cluster, order) = three(false);
    let store = store(options(&cluster, &order[..1]));
    let mut watch = live_watch(&store).await;
    cluster.stop(order[1]).unwrap();
    cluster.stop(order[2]).unwrap();
    assert!(closed(&mut watch).await < WATCH_ENDS);
    cluster.cont(order[1]).unwrap();
    cluster.cont(order[2]).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_server_needs_no_new_store() {
    let mut cluster = Cluster::start(1).unwrap();
    let store = impatient(&cluster, &[0]);
    let mut watch = live_watch(&store).await;
    let before = put(&store, "k").await;
    cluster.kill(0).unwrap();
    assert!(closed(&mut watch).await < Duration::from_secs(1));
    assert_unavailable(&try_put(&store, "k").await);
    cluster.restart(0).unwrap();
    cluster.wait_healthy().unwrap();
    let after = put_when_healed(&store, "k").await;
    assert!(after > before);
    live_watch(&store).await;
}
