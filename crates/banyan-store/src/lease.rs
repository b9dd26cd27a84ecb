//! Leases of backends that keep them in the process: their deadlines, and the timer that expires
//! them. Knows no keys; the backend deletes those.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::{LeaseId, Op, StoreError, Txn};

/// The shortest time to live; shorter ones are rounded up to it.
pub const MIN_TTL: Duration = Duration::from_secs(1);
/// The longest time to live.
pub const MAX_TTL: Duration = Duration::from_secs(365 * 24 * 3600);

/// A time to live as granted by a backend: at least [`MIN_TTL`].
///
/// # Errors
///
/// [`StoreError::TooLarge`] above [`MAX_TTL`].
pub fn bounded_ttl(ttl: Duration) -> Result<Duration, StoreError> {
    if ttl > MAX_TTL {
        return Err(StoreError::TooLarge {
            what: "seconds of a lease",
            limit: usize::try_from(MAX_TTL.as_secs()).unwrap_or(usize::MAX),
            got: usize::try_from(ttl.as_secs()).unwrap_or(usize::MAX),
        });
    }
    Ok(ttl.max(MIN_TTL))
}

/// The delay before retrying to end a lease whose keys could not be deleted.
const RETRY: Duration = Duration::from_secs(1);

/// The backend, as the timer sees it.
#[async_trait]
pub(crate) trait Reap: Send + Sync + 'static {
    fn leases(&self) -> &Leases;
    /// Deletes the keys of a lease and forgets it, unless it was renewed in between.
    async fn reap(self: Arc<Self>, lease: LeaseId) -> Result<(), StoreError>;
}

#[derive(Debug, Default)]
pub(crate) struct Leases {
    table: Mutex<BTreeMap<LeaseId, Lease>>,
    granted: AtomicU64,
}

#[derive(Debug)]
struct Lease {
    ttl: Duration,
    deadline: Instant,
}

impl Leases {
    pub(crate) fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        let ttl = bounded_ttl(ttl)?;
        let id = LeaseId(self.granted.fetch_add(1, Ordering::Relaxed) + 1);
        let deadline = Instant::now() + ttl;
        self.table().insert(id, Lease { ttl, deadline });
        Ok(id)
    }

    pub(crate) fn keep_alive(&self, id: LeaseId) -> Result<(), StoreError> {
        let now = Instant::now();
        let mut table = self.table();
        let lease = table
            .get_mut(&id)
            .filter(|lease| now < lease.deadline)
            .ok_or(StoreError::LeaseNotFound { lease: id })?;
        lease.deadline = now + lease.ttl;
        Ok(())
    }

    /// Checks that every lease named by a transaction is alive.
    pub(crate) fn check(&self, txn: &Txn) -> Result<(), StoreError> {
        txn.ops.iter().try_for_each(|op| match op {
            Op::Put {
                lease: Some(lease), ..
            } if !self.is_alive(*lease) => Err(StoreError::LeaseNotFound { lease: *lease }),
            _ => Ok(()),
        })
    }

    pub(crate) fn is_alive(&self, id: LeaseId) -> bool {
        self.deadline(id).is_some_and(|at| Instant::now() < at)
    }

    /// Expires a lease now; it accepts no more keys. Its keys still exist.
    pub(crate) fn expire(&self, id: LeaseId) -> Result<(), StoreError> {
        let now = Instant::now();
        match self.table().get_mut(&id) {
            Some(lease) if now < lease.deadline => {
                lease.deadline = now;
                Ok(())
            }
            _ => Err(StoreError::LeaseNotFound { lease: id }),
        }
    }

    /// Forgets a lease whose keys are deleted.
    pub(crate) fn forget(&self, id: LeaseId) {
        self.table().remove(&id);
    }

    fn deadline(&self, id: LeaseId) -> Option<Instant> {
        self.table().get(&id).map(|lease| lease.deadline)
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<LeaseId, Lease>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the timer of a lease. It ends with the lease or with the store.
pub(crate) fn watch_over(store: Weak<dyn Reap>, lease: LeaseId) {
    tokio::spawn(async move {
        while let Some(wake) = step(&store, lease).await {
            tokio::time::sleep_until(wake).await;
        }
    });
}

/// Ends the lease if it has expired; returns when to check again, if ever.
async fn step(store: &Weak<dyn Reap>, lease: LeaseId) -> Option<Instant> {
    let store = store.upgrade()?;
    let deadline = store.leases().deadline(lease)?;
    if Instant::now() < deadline {
        return Some(deadline);
    }
    match Arc::clone(&store).reap(lease).await {
        Ok(()) => None,
        Err(error) => {
            tracing::warn!(%lease, error = &error as &dyn std::error::Error, "the keys of an expired lease cannot be deleted; will try again");
            Some(Instant::now() + RETRY)
        }
    }
}
