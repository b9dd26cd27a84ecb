//! Helpers shared by the tests.

use std::time::Duration;

use banyan_store::{Outcome, Revision, Store, StoreError, Txn, Watch, WatchError};
use banyan_store_etcd::{EtcdOptions, EtcdStore};
use banyan_testkit::etcd::Cluster;
use tokio::time::{Instant, timeout};

/// The request timeout of stores in tests that wait for it to pass.
pub(crate) const SHORT: Duration = Duration::from_secs(2);
/// A watch that cannot continue reports it within this time.
pub(crate) const WATCH_ENDS: Duration = Duration::from_secs(6);
/// How long a cluster may take to find a new leader, on a loaded machine.
pub(crate) const HEALS: Duration = Duration::from_secs(20);

pub(crate) const PREFIX: &str = "banyan/";

/// Options for these servers of a cluster, in this order.
pub(crate) fn options(cluster: &Cluster, order: &[usize]) -> EtcdOptions {
    let endpoints = cluster.endpoints();
    let mut options = EtcdOptions::new(order.iter().map(|n| endpoints[*n].clone()));
    options.prefix = PREFIX.to_owned();
    options
}

pub(crate) fn store(options: EtcdOptions) -> EtcdStore {
    EtcdStore::connect(options).unwrap()
}

/// A store on these servers, whose operations take no longer than [`SHORT`].
pub(crate) fn impatient(cluster: &Cluster, order: &[usize]) -> EtcdStore {
    store(EtcdOptions {
        request_timeout: SHORT,
        ..options(cluster, order)
    })
}

pub(crate) async fn try_put(store: &dyn Store, key: &str) -> Result<Revision, StoreError> {
    match store.commit(Txn::new().put(key, *b"v")).await? {
        Outcome::Committed(at) => Ok(at),
        other => panic!("a put without compares gave {other:?}"),
    }
}

pub(crate) async fn put(store: &dyn Store, key: &str) -> Revision {
    try_put(store, key).await.unwrap()
}

/// Retries a put until it succeeds; no attempt takes longer than the store's timeout.
pub(crate) async fn put_when_healed(store: &dyn Store, key: &str) -> Revision {
    let deadline = Instant::now() + HEALS;
    loop {
        let started = Instant::now();
        match try_put(store, key).await {
            Ok(at) => return at,
            Err(error) => {
                assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
                assert!(started.elapsed() < SHORT * 2, "{:?}", started.elapsed());
                assert!(Instant::now() < deadline, "it does not heal: {error:?}");
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A watch on everything, known to be working.
pub(crate) async fn live_watch(store: &dyn Store) -> Watch {
    let at = put(store, "before").await;
    let mut watch = store.watch("", at).await.unwrap();
    let at = put(store, "since").await;
    assert_eq!(watch.next().await.unwrap().revision, at);
    watch
}

/// The time until the watch is closed, ignoring what it delivers before.
pub(crate) async fn closed(watch: &mut Watch) -> Duration {
    let started = Instant::now();
    let end = async {
        loop {
            if let Err(end) = watch.next().await {
                return end;
            }
        }
    };
    let end = timeout(WATCH_ENDS, end).await.expect("an end");
    assert_eq!(end, WatchError::Closed);
    started.elapsed()
}

pub(crate) fn assert_unavailable<T: std::fmt::Debug>(got: &Result<T, StoreError>) {
    assert!(
        matches!(got, Err(StoreError::Unavailable { .. })),
        "{got:?}"
    );
}

pub(crate) fn assert_denied<T: std::fmt::Debug>(got: &Result<T, StoreError>) {
    assert!(matches!(got, Err(StoreError::Denied { .. })), "{got:?}");
}
