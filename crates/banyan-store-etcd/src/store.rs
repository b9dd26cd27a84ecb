//! The store: each call is one request to one member.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use banyan_store::{
    LeaseId, Outcome, Revision, Snapshot, Store, StoreError, Txn, Watch, bounded_ttl,
};
use etcd_client::Client;

use crate::failure::{Failure, Kind, Repeat};
use crate::keys::Keys;
use crate::link::Links;
use crate::snapshot::EtcdSnapshot;
use crate::txn::{self, raw_lease};
use crate::{EtcdOptions, watch};

/// A store on etcd servers. Clones are handles to the same store; dropping the last one ends its
/// watches. It must be used within a tokio runtime.
#[derive(Clone)]
pub struct EtcdStore {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) keys: Keys,
    pub(crate) links: Links,
}

impl EtcdStore {
    /// A store on these servers. It connects on first use, so no server has to be up yet.
    ///
    /// # Errors
    ///
    /// [`StoreError::BadOption`] if an option is invalid.
    pub fn connect(options: EtcdOptions) -> Result<Self, StoreError> {
        options.check()?;
        let inner = Inner {
            keys: Keys::new(&options.prefix),
            links: Links::new(options),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }
}

impl fmt::Debug for EtcdStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EtcdStore")
            .field(self.inner.links.options())
            .finish()
    }
}

impl Inner {
    /// Finds which lease of a refused transaction does not exist. Queries the server only if there are several.
    async fn missing_lease(&self, txn: &Txn) -> Option<LeaseId> {
        let leases = txn::leases(txn);
        if leases.len() > 1 {
            for lease in &leases {
                let ask = |client: Client| async move {
                    let mut client = client.lease_client();
                    client.time_to_live(raw_lease(*lease), None).await
                };
                let left = self.links.call(Repeat::Always, ask).await;
                if left.is_ok_and(|left| left.ttl() <= 0) {
                    return Some(*lease);
                }
            }
        }
        leases.first().copied()
    }
}

#[async_trait]
impl Store for EtcdStore {
    async fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
        Ok(Arc::new(EtcdSnapshot::take(&self.inner).await?))
    }

    async fn commit(&self, txn: Txn) -> Result<Outcome, StoreError> {
        txn.check()?;
        let Inner { keys, links } = &*self.inner;
        let request = txn::request(keys, &txn);
        let ask = |client: Client| {
            let request = request.clone();
            async move { client.kv_client().txn(request).await }
        };
        match links.call(Repeat::IfNotDone, ask).await {
            Ok(answer) => Ok(txn::outcome(keys, &txn, &answer)),
            Err(failure) if failure.kind == Kind::NoSuchLease => {
                let missing = self.inner.missing_lease(&txn).await;
                Err(missing.map_or_else(|| failure.into_error("committing"), not_found))
            }
            Err(failure) => Err(failure.into_error("committing")),
        }
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, StoreError> {
        watch::start(&self.inner, prefix, after).await
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        let seconds = seconds(ttl)?;
        let ask = |client: Client| async move { client.lease_client().grant(seconds, None).await };
        let granted = self.inner.links.call(Repeat::IfNotDone, ask).await;
        let granted = granted.map_err(|failure| failure.into_error("granting a lease"))?;
        u64::try_from(granted.id()).map(LeaseId).map_err(|_| {
            let why = format!(
                "the server granted lease {}, which is not a valid lease id",
                granted.id()
            );
            StoreError::unavailable("granting a lease", why)
        })
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
        let ask = |client: Client| async move {
            // Dropping the stream ends it; the lease keeps its own time to live.
            let kept = client.lease_client().keep_alive(raw_lease(lease)).await;
            kept.map(drop)
        };
        let kept = self.inner.links.call(Repeat::Always, ask).await;
        kept.map_err(|failure| of_lease(failure, lease, "keeping a lease alive"))
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        let ask = |client: Client| async move {
            let revoked = client.lease_client().revoke(raw_lease(lease)).await;
            revoked.map(drop)
        };
        let revoked = self.inner.links.call(Repeat::IfNotDone, ask).await;
        revoked.map_err(|failure| of_lease(failure, lease, "revoking a lease"))
    }
}

/// Whole seconds, rounded up.
fn seconds(ttl: Duration) -> Result<i64, StoreError> {
    let ttl = bounded_ttl(ttl)?;
    let whole = ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0);
    Ok(i64::try_from(whole).unwrap_or(i64::MAX))
}

fn of_lease(failure: Failure, lease: LeaseId, doing: &'static str) -> StoreError {
    match failure.kind {
        Kind::NoSuchLease => not_found(lease),
        _ => failure.into_error(doing),
    }
}

fn not_found(lease: LeaseId) -> StoreError {
    StoreError::LeaseNotFound { lease }
}

#[cfg(test)]
mod tests {
    use banyan_store::MAX_TTL;

    use super::*;

    #[test]
    fn a_lease_lasts_whole_seconds_rounded_up() {
        let of = |millis| seconds(Duration::from_millis(millis)).unwrap();
        assert_eq!([0, 1000, 1001, 3000].map(of), [1, 1, 2, 3]);
        assert!(seconds(MAX_TTL).is_ok());
    }
}
