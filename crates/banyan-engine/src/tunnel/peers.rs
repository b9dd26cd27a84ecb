//! The peers of the control tunnel: the active machines of the live view, which a [`Keeper`] applies to the device.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use banyan_core::{ControlPeers, InForce, Objects, PeerChange, PublicKey};
use banyan_state::{State, View};
use banyan_store::Revision;
use banyan_wireguard::{
    Backend, CurrentDevice, Device, DeviceError, DeviceProblem, InterfaceName, Keeper, Repair,
    Since, Source, Wanted,
};
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use crate::clock;
use crate::ops::metrics::Metrics;
use crate::tunnel::device::DeviceFactory;

/// How long a pass waits for the peers; after that it continues, and the status says why they are not up to date.
const PATIENCE: Duration = Duration::from_secs(10);

/// Signals when the peers of a revision are on the device.
#[derive(Clone)]
pub(crate) struct PeersDone(watch::Receiver<Revision>);

impl PeersDone {
    /// Without a device there is nothing to wait for.
    #[cfg(test)]
    pub(crate) fn always() -> Self {
        Self(watch::channel(Revision(u64::MAX)).1)
    }

    /// Waits, up to a limit, until the device has the peers of this revision.
    pub(crate) async fn wait_for(&self, revision: Revision) {
        let mut done = self.0.clone();
        let _ = tokio::time::timeout(PATIENCE, done.wait_for(|at| *at >= revision)).await;
    }
}

/// The peers that the live view requires.
pub(crate) struct Peers {
    opener: DeviceFactory,
    state: Arc<State>,
    metrics: Arc<Metrics>,
    changes: watch::Receiver<Revision>,
    done: watch::Sender<Revision>,
    /// Where repairs are reported, to be recorded.
    put_right: mpsc::Sender<Vec<String>>,
    /// The last view examined.
    view: Arc<View>,
    peers: ControlPeers,
    /// The keys of the peers that may differ from the previous set.
    differing: BTreeSet<PublicKey>,
    /// What `peers` was computed from, and when the next machine expires.
    made_from: Option<(Arc<InForce>, Option<Timestamp>)>,
}

impl Peers {
    /// The keeper of the control tunnel's device, with the handles through which others observe it.
    pub(crate) fn keeper(
        opener: DeviceFactory,
        state: Arc<State>,
        metrics: Arc<Metrics>,
        put_right: mpsc::Sender<Vec<String>>,
    ) -> (Keeper<Self>, CurrentDevice, PeersDone, DeviceProblem) {
        let (done, seen) = watch::channel(Revision(0));
        let peers = Self {
            opener,
            changes: state.changes(),
            view: state.view(),
            state,
            metrics,
            done,
            put_right,
            peers: ControlPeers::default(),
            differing: BTreeSet::new(),
            made_from: None,
        };
        let (keeper, device, problem) = Keeper::new(peers);
        (keeper, device, PeersDone(seen), problem)
    }

    /// Reads the live view, which includes all changes announced so far.
    fn look(&mut self) {
        self.changes.mark_unchanged();
        self.view = self.state.view();
    }

    fn is_current(&self, now: Timestamp) -> bool {
        self.made_from.as_ref().is_some_and(|(in_force, expiry)| {
            Arc::ptr_eq(in_force, &self.view.in_force) && expiry.is_none_or(|at| now < at)
        })
    }
}

#[async_trait]
impl Source for Peers {
    fn wanted(&mut self) -> Option<Wanted<'_>> {
        self.look();
        // A view without a cluster means an emptied store, which is no reason to remove peers.
        self.view.in_force.objects.cluster.as_ref()?;
        let now = clock::now();
        // Most revisions of the store (staging, garbage collection, history) do not change what is in force.
        let since = if self.is_current(now) {
            Since::Unchanged
        } else {
            let objects = &self.view.in_force.objects;
            self.differing = self.peers.follow(objects, now);
            for error in self.peers.left_out() {
                warn!(%error, "a machine is left out of the control tunnel");
            }
            let expiry = objects.next_expiry(now);
            let made_from = Some((Arc::clone(&self.view.in_force), expiry));
            match std::mem::replace(&mut self.made_from, made_from) {
                Some(_) => Since::Keys(&self.differing),
                None => Since::Unknown,
            }
        };
        Some(Wanted {
            peers: self.peers.peers(),
            since,
        })
    }

    async fn changed(&mut self) -> bool {
        let now = clock::now();
        let expiry = self.view.in_force.objects.next_expiry(now);
        let expiry = expiry.and_then(|at| Duration::try_from(at.duration_since(now)).ok());
        tokio::select! {
            changed = self.changes.changed() => changed.is_ok(),
            () = tokio::time::sleep(expiry.unwrap_or(Duration::MAX)) => true,
        }
    }

    async fn open(&mut self) -> Result<Option<Arc<dyn Device>>, DeviceError> {
        self.look();
        let Some(cluster) = &self.view.in_force.objects.cluster else {
            return Ok(None);
        };
        let device = self.opener.open(&cluster.spec, &self.view).await?;
        match device.backend() {
            Backend::None => {
                info!("there is no control tunnel: the peers are computed, and no packets move");
            }
            backend => {
                info!(interface = %device.name(), %backend, port = device.listen_port(), "the control tunnel is up");
            }
        }
        Ok(Some(device))
    }

    fn reached(&mut self) {
        self.metrics.peers(self.peers.peers().len());
        self.done.send_replace(self.view.revision);
    }

    fn repaired(&mut self, interface: &InterfaceName, repair: Repair<'_>) {
        let what = match repair {
            Repair::Peers(changes) => {
                let objects = &self.view.in_force.objects;
                let what = foreign_changes(changes, objects, interface.as_str());
                warn!(
                    peers = what.len(),
                    first = what.first(),
                    "peers were changed out of band; restoring them"
                );
                what
            }
            Repair::Interface => {
                warn!("the control tunnel's interface was removed by another program");
                vec![format!("the interface {interface} was removed")]
            }
        };
        // The record is best effort: a full queue already holds similar ones.
        let _ = self.put_right.try_send(what);
    }
}

/// Descriptions of another program's changes, inferred from the changes that undo them.
fn foreign_changes(changes: &[PeerChange], objects: &Objects, interface: &str) -> Vec<String> {
    let called = |key: &PublicKey| match objects.machines.with_key(key) {
        Some(machine) => format!("the peer of machine {}", machine.spec.name),
        None => format!("a peer of no machine ({key})"),
    };
    let what = changes.iter().map(|change| match change {
        PeerChange::Add(peer) => format!("{} was removed from {interface}", called(&peer.key)),
        PeerChange::Update(update) => {
            format!("{} was altered on {interface}", called(&update.key))
        }
        PeerChange::Remove(key) => format!("{} was added to {interface}", called(key)),
    });
    what.collect()
}
