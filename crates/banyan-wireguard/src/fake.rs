//! A device that fails on demand, for tests of code that drives a device. It is harsher than reality: changes fail, are
//! applied halfway or take long, peers vanish or change out of band, and the whole interface disappears.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use banyan_core::{ObservedPeer, PeerChange, PublicKey};

use crate::memory::Table;
use crate::{Backend, Device, DeviceError, InterfaceName};

/// A scripted device. Clones share the same device: the test keeps one and injects faults while the code under test
/// uses another.
#[derive(Clone)]
pub struct Fake {
    name: InterfaceName,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    table: Table,
    applied: Vec<Vec<PeerChange>>,
    failing: BTreeMap<usize, Failure>,
    delay: Duration,
    end: Option<End>,
}

/// How a call of [`Device::apply`] fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Nothing is applied.
    Whole,
    /// The first half of the list (rounded down) is applied.
    Half,
    /// Everything is applied, and the caller still gets an error.
    Told,
}

#[derive(Clone, Copy)]
enum End {
    Gone,
    Closed,
}

impl Fake {
    /// A device without peers and without scripted faults.
    #[must_use]
    pub fn new(name: InterfaceName) -> Self {
        Self {
            name,
            state: Arc::default(),
        }
    }

    /// Makes the given call of `apply` fail. Calls are numbered from 0; failed ones count, empty lists do not.
    pub fn fail_apply(&self, call: usize, failure: Failure) {
        self.state().failing.insert(call, failure);
    }

    /// From now on each read and each change takes this long.
    pub fn delay(&self, delay: Duration) {
        self.state().delay = delay;
    }

    /// Removes a peer out of band. Returns whether it existed.
    pub fn drop_peer(&self, key: &PublicKey) -> bool {
        self.state().table.peers.remove(key).is_some()
    }

    /// Adds or changes a peer out of band: an unknown peer, a handshake, another endpoint.
    pub fn put_peer(&self, peer: ObservedPeer) {
        self.state().table.peers.insert(peer.key, peer);
    }

    /// Removes the interface out of band.
    pub fn vanish(&self) {
        self.state().end.get_or_insert(End::Gone);
    }

    /// Every non-empty list passed to `apply`, including those that failed.
    #[must_use]
    pub fn asked(&self) -> Vec<Vec<PeerChange>> {
        self.state().applied.clone()
    }

    /// The current keys, whether the device is closed or not.
    #[must_use]
    pub fn keys(&self) -> BTreeSet<PublicKey> {
        self.state().table.peers.keys().copied().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn usable(&self) -> Result<(), DeviceError> {
        let delay = self.state().delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let name = self.name.clone();
        match self.state().end {
            None => Ok(()),
            Some(End::Gone) => Err(DeviceError::Gone { name }),
            Some(End::Closed) => Err(DeviceError::Closed { name }),
        }
    }
}

impl State {
    fn apply(&mut self, changes: &[PeerChange]) -> Result<Option<PublicKey>, Scripted> {
        let failure = self.failing.remove(&self.applied.len());
        self.applied.push(changes.to_vec());
        let reach = match failure {
            None | Some(Failure::Told) => changes.len(),
            Some(Failure::Half) => changes.len() / 2,
            Some(Failure::Whole) => 0,
        };
        let stale = self.table.apply(changes.get(..reach).unwrap_or(changes));
        match failure {
            None => Ok(stale),
            Some(_) => Err(Scripted),
        }
    }
}

/// The cause of a scripted failure.
#[derive(Debug, thiserror::Error)]
#[error("scripted failure")]
struct Scripted;

#[async_trait]
impl Device for Fake {
    fn backend(&self) -> Backend {
        Backend::None
    }

    fn name(&self) -> &InterfaceName {
        &self.name
    }

    fn listen_port(&self) -> u16 {
        0
    }

    async fn peers(&self) -> Result<BTreeMap<PublicKey, ObservedPeer>, DeviceError> {
        self.usable().await?;
        Ok(self.state().table.peers.clone())
    }

    async fn apply(&self, changes: &[PeerChange]) -> Result<(), DeviceError> {
        self.usable().await?;
        if changes.is_empty() {
            return Ok(());
        }
        let name = self.name.clone();
        match self.state().apply(changes) {
            Ok(None) => Ok(()),
            Ok(Some(key)) => Err(DeviceError::Stale { name, key }),
            Err(scripted) => Err(DeviceError::Backend {
                name,
                source: Box::new(scripted),
            }),
        }
    }

    async fn close(&self) -> Result<(), DeviceError> {
        self.state().end = Some(End::Closed);
        Ok(())
    }
}
