//! Leases: keys that are deleted when their holder stops renewing.

use std::time::Duration;

use super::{Bench, commit, get, next, now, put, shown, watch};
use crate::{LeaseId, MAX_TTL, MIN_TTL, StoreError, Txn};

/// A lease that is not kept alive expires; its keys are deleted in one transaction that watchers
/// see.
pub async fn an_expired_lease_takes_its_keys_at_once(bench: &dyn Bench) {
    let store = bench.open().await;
    let lease = store.grant(MIN_TTL).await.expect("a lease");
    let txn = Txn::new()
        .put_leased("l/2", *b"", lease)
        .put_leased("l/1", *b"", lease)
        .put("l/3", *b"");
    let at = commit(&*store, txn).await;
    let entry = get(&*store, "l/1").await.expect("an entry");
    assert_eq!(entry.lease, Some(lease));
    let mut seen = watch(&*store, "l/", at).await;
    let batch = next(&mut seen).await;
    assert_eq!(shown(&batch), ["-l/1", "-l/2"]);
    assert_eq!(get(&*store, "l/1").await, None);
    assert!(get(&*store, "l/3").await.is_some());
    assert_lost(&store.keep_alive(lease).await);
}

/// A lease that is kept alive outlasts its time to live.
pub async fn a_lease_kept_alive_keeps_its_keys(bench: &dyn Bench) {
    let store = bench.open().await;
    let lease = store.grant(MIN_TTL * 2).await.expect("a lease");
    commit(&*store, Txn::new().put_leased("l", *b"", lease)).await;
    for _ in 0..6 {
        tokio::time::sleep(MIN_TTL / 2).await;
        store.keep_alive(lease).await.expect("the lease lives");
    }
    assert!(get(&*store, "l").await.is_some());
}

/// Revoking has the same effect immediately, and is final.
pub async fn a_revoked_lease_takes_its_keys_at_once(bench: &dyn Bench) {
    let store = bench.open().await;
    let lease = store.grant(MAX_TTL).await.expect("a lease");
    let other = store.grant(MAX_TTL).await.expect("a lease");
    let txn = Txn::new()
        .put_leased("l/1", *b"", lease)
        .put_leased("l/2", *b"", lease)
        .put_leased("l/3", *b"", other);
    let at = commit(&*store, txn).await;
    let mut seen = watch(&*store, "l/", at).await;
    store.revoke(lease).await.expect("a revocation");
    assert_eq!(get(&*store, "l/1").await, None);
    assert_eq!(shown(&next(&mut seen).await), ["-l/1", "-l/2"]);
    assert!(get(&*store, "l/3").await.is_some());
    assert_lost(&store.keep_alive(lease).await);
    assert_lost(&store.revoke(lease).await);
}

/// The last put decides which lease a key belongs to.
pub async fn a_put_without_lease_frees_the_key(bench: &dyn Bench) {
    let store = bench.open().await;
    let first = store.grant(MAX_TTL).await.expect("a lease");
    let second = store.grant(MAX_TTL).await.expect("a lease");
    let leased = |key: &str, lease| Txn::new().put_leased(key, *b"", lease);
    commit(&*store, leased("free", first)).await;
    commit(&*store, leased("moved", first)).await;
    put(&*store, "free", "").await;
    commit(&*store, leased("moved", second)).await;
    store.revoke(first).await.expect("a revocation");
    let free = get(&*store, "free").await.expect("an entry");
    assert_eq!(free.lease, None);
    assert!(get(&*store, "moved").await.is_some());
    store.revoke(second).await.expect("a revocation");
    assert_eq!(get(&*store, "moved").await, None);
}

/// A lease that was never granted, or is gone, cannot be used.
pub async fn an_unknown_lease_is_not_found(bench: &dyn Bench) {
    let store = bench.open().await;
    let gone = store.grant(MAX_TTL).await.expect("a lease");
    store.revoke(gone).await.expect("a revocation");
    let at = now(&*store).await;
    for lease in [gone, LeaseId(0x7fff_ffff_ffff)] {
        assert_lost(&store.keep_alive(lease).await);
        assert_lost(&store.revoke(lease).await);
        let txn = Txn::new().put("a", *b"").put_leased("k", *b"", lease);
        assert_lost(&store.commit(txn).await);
    }
    assert_eq!(now(&*store).await, at);
}

/// A time to live above the maximum is refused; the maximum itself is not.
pub async fn a_lease_has_a_longest_time(bench: &dyn Bench) {
    let store = bench.open().await;
    store.grant(MAX_TTL).await.expect("a lease");
    for ttl in [MAX_TTL + Duration::from_secs(1), Duration::MAX] {
        let got = store.grant(ttl).await;
        assert!(matches!(got, Err(StoreError::TooLarge { .. })), "{got:?}");
    }
}

fn assert_lost<T: std::fmt::Debug>(got: &Result<T, StoreError>) {
    assert!(
        matches!(got, Err(StoreError::LeaseNotFound { .. })),
        "{got:?}"
    );
}
