//! The backend `none`: keeps the peers in memory and moves no packet.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use banyan_core::{ObservedPeer, PeerChange, PeerUpdate, PublicKey, WantedPeer};

use crate::{Backend, Device, DeviceError, InterfaceName};

/// A device that keeps its peers in memory and moves no packet. It does not listen: its port is 0.
#[must_use]
pub fn none(name: InterfaceName) -> Arc<dyn Device> {
    let peers = Mutex::new(Some(Table::default()));
    Arc::new(Memory { name, peers })
}

struct Memory {
    name: InterfaceName,
    /// `None` once closed.
    peers: Mutex<Option<Table>>,
}

impl Memory {
    fn with<T>(&self, act: impl FnOnce(&mut Table) -> T) -> Result<T, DeviceError> {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        match peers.as_mut() {
            Some(table) => Ok(act(table)),
            None => Err(DeviceError::Closed {
                name: self.name.clone(),
            }),
        }
    }
}

#[async_trait]
impl Device for Memory {
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
        self.with(|table| table.peers.clone())
    }

    async fn apply(&self, changes: &[PeerChange]) -> Result<(), DeviceError> {
        match self.with(|table| table.apply(changes))? {
            None => Ok(()),
            Some(key) => Err(DeviceError::Stale {
                name: self.name.clone(),
                key,
            }),
        }
    }

    async fn close(&self) -> Result<(), DeviceError> {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        *peers = None;
        Ok(())
    }
}

/// Peers in memory; they never have a handshake or traffic.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    pub(crate) peers: BTreeMap<PublicKey, ObservedPeer>,
}

impl Table {
    /// Applies the changes that fit and returns the first peer whose change did not.
    pub(crate) fn apply(&mut self, changes: &[PeerChange]) -> Option<PublicKey> {
        let mut stale = None;
        for change in changes {
            let fits = match change {
                PeerChange::Remove(key) => {
                    self.peers.remove(key);
                    true
                }
                PeerChange::Update(update) => self.update(update),
                PeerChange::Add(peer) => self.add(peer),
            };
            if !fits {
                stale = stale.or(Some(change.key()));
            }
        }
        stale
    }

    fn update(&mut self, update: &PeerUpdate) -> bool {
        let Some(peer) = self.peers.get_mut(&update.key) else {
            return false;
        };
        if let Some(allowed) = &update.allowed_ips {
            peer.allowed_ips.clone_from(allowed);
        }
        peer.endpoint = update.endpoint.or(peer.endpoint);
        peer.keepalive = update.keepalive.unwrap_or(peer.keepalive);
        true
    }

    fn add(&mut self, peer: &WantedPeer) -> bool {
        if self.peers.contains_key(&peer.key) {
            return false;
        }
        let fresh = ObservedPeer {
            key: peer.key,
            allowed_ips: peer.allowed_ips.clone(),
            endpoint: peer.endpoint,
            keepalive: peer.keepalive,
            last_handshake: None,
            received: 0,
            sent: 0,
        };
        self.peers.insert(peer.key, fresh);
        true
    }
}
