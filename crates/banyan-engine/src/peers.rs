//! Keeps the device at exactly the active machines of the live view: after each change of the view, when something
//! expires, and every few seconds whatever somebody else did to the device.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use banyan_core::{
    ControlPeers, InForce, Name, Objects, ObservedPeer, PeerChange, PeerSet, PublicKey,
    peer_changes,
};
use banyan_state::State;
use banyan_store::Revision;
use banyan_wireguard::{Device, DeviceError};
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::device::DeviceFactory;
use crate::metrics::Metrics;

/// How often the device itself is looked at.
const RESCAN: Duration = Duration::from_secs(4);
/// How long after a failure the device is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How long a pass waits for the peers; after that it goes on, and the status says why they are behind.
const PATIENCE: Duration = Duration::from_secs(10);

/// The device, for readers; `None` before the first commit is in force.
pub(crate) type Current = Arc<ArcSwapOption<Arc<dyn Device>>>;

/// What is wrong with the device, if something is.
pub(crate) type DeviceProblem = watch::Receiver<Option<String>>;

/// Tells when the peers of a revision are on the device.
#[derive(Clone)]
pub(crate) struct PeersDone(watch::Receiver<Revision>);

impl PeersDone {
    /// Without a device there is nothing to wait for.
    #[cfg(test)]
    pub(crate) fn always() -> Self {
        Self(watch::channel(Revision(u64::MAX)).1)
    }

    /// Waits until the device has the peers of this revision, or patience ends.
    pub(crate) async fn wait_for(&self, revision: Revision) {
        let mut done = self.0.clone();
        let _ = tokio::time::timeout(PATIENCE, done.wait_for(|at| *at >= revision)).await;
    }
}

pub(crate) struct Peers {
    opener: DeviceFactory,
    state: Arc<State>,
    metrics: Arc<Metrics>,
    current: Current,
    done: watch::Sender<Revision>,
    trouble: watch::Sender<Option<String>>,
    /// Where it is told what somebody else did to the device.
    put_right: mpsc::Sender<Vec<String>>,
    /// What the device was last known to have.
    known: Option<BTreeMap<PublicKey, ObservedPeer>>,
    wanted: ControlPeers,
    /// What the device was last brought to, and until when nothing of it expires.
    settled: Option<(Arc<InForce>, Option<Timestamp>)>,
}

impl Peers {
    pub(crate) fn new(
        opener: DeviceFactory,
        state: Arc<State>,
        metrics: Arc<Metrics>,
        put_right: mpsc::Sender<Vec<String>>,
    ) -> (Self, Current, PeersDone, DeviceProblem) {
        let current = Current::default();
        let (done, seen) = watch::channel(Revision(0));
        let (trouble, troubles) = watch::channel(None);
        let peers = Self {
            opener,
            state,
            metrics,
            current: Arc::clone(&current),
            done,
            trouble,
            put_right,
            known: None,
            wanted: ControlPeers::default(),
            settled: None,
        };
        (peers, current, PeersDone(seen), troubles)
    }

    /// Runs until it is told to stop, then takes the device down.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut changes = self.state.changes();
        let mut rescan = tokio::time::Instant::now() + RESCAN;
        loop {
            changes.mark_unchanged();
            let ok = self.step().await;
            let now = crate::clock::now();
            let expiry = self.state.view().in_force.objects.next_expiry(now);
            let expiry = expiry.and_then(|at| Duration::try_from(at.duration_since(now)).ok());
            tokio::select! {
                () = stop.cancelled() => break,
                changed = changes.changed() => if changed.is_err() { break },
                () = tokio::time::sleep(expiry.unwrap_or(Duration::MAX)) => {}
                () = tokio::time::sleep(RETRY), if !ok => {}
                () = tokio::time::sleep_until(rescan) => {
                    self.known = None;
                    rescan = tokio::time::Instant::now() + RESCAN;
                }
            }
        }
        if let Some(device) = self.current.swap(None)
            && let Err(error) = device.close().await
        {
            warn!(
                error = crate::report(&error),
                "the device could not be taken down cleanly"
            );
        }
    }

    /// Brings the device to the view; whether that worked.
    async fn step(&mut self) -> bool {
        let view = self.state.view();
        let result = self.apply(&view).await;
        let trouble = result.err().map(|error| crate::report(&error));
        if let Some(text) = &trouble {
            self.known = None;
            if self.trouble.borrow().as_ref() != Some(text) {
                warn!(
                    error = text,
                    "the peers could not be brought up to date and will be tried again"
                );
            }
        } else {
            self.done.send_replace(view.revision);
        }
        let ok = trouble.is_none();
        self.trouble
            .send_if_modified(|now| std::mem::replace(now, trouble.clone()) != trouble);
        ok
    }

    async fn apply(&mut self, view: &banyan_state::View) -> Result<(), DeviceError> {
        let Some(cluster) = &view.in_force.objects.cluster else {
            return Ok(());
        };
        let device = match self.current.load_full() {
            Some(device) => device,
            None => self.open(&cluster.spec, view).await?,
        };
        let now = crate::clock::now();
        // Most revisions of the store (what is staged, collected or logged) change nothing that is in force.
        if self.known.is_some() && self.is_settled(view, now) {
            return Ok(());
        }
        // Whatever differs although the device was brought to this very state was done by somebody else.
        let foreign = self.is_settled(view, now);
        self.settled = None;
        let mut wanted = std::mem::take(&mut self.wanted);
        wanted.follow(&view.in_force.objects, now);
        for error in wanted.left_out() {
            warn!(%error, "a machine is left out of the control tunnel");
        }
        let result = self.bring(&**device, wanted.peers()).await;
        self.wanted = wanted;
        let result = result.map(|changes| {
            if foreign && !changes.is_empty() {
                self.tell(&changes, view, device.name().as_str());
            }
        });
        if result.is_ok() {
            let expiry = view.in_force.objects.next_expiry(now);
            self.settled = Some((Arc::clone(&view.in_force), expiry));
        }
        if let Err(DeviceError::Gone { .. }) = &result {
            self.current.store(None);
            let _ = device.close().await;
            let what = vec![format!("the interface {} was removed", device.name())];
            warn!("the control tunnel's interface was removed behind the engine's back");
            let _ = self.put_right.try_send(what);
        }
        result
    }

    fn is_settled(&self, view: &banyan_state::View, now: Timestamp) -> bool {
        self.settled.as_ref().is_some_and(|(in_force, expiry)| {
            Arc::ptr_eq(in_force, &view.in_force) && expiry.is_none_or(|at| now < at)
        })
    }

    async fn open(
        &mut self,
        cluster: &banyan_core::Cluster,
        view: &banyan_state::View,
    ) -> Result<Arc<Arc<dyn Device>>, DeviceError> {
        let device = Arc::new(self.opener.open(cluster, view).await?);
        info!(interface = %device.name(), backend = %device.backend(), port = device.listen_port(), "the control tunnel is up");
        self.known = None;
        self.current.store(Some(Arc::clone(&device)));
        Ok(device)
    }

    /// Tells what somebody else did to the device. Nothing waits for that to be written down.
    fn tell(&self, changes: &[PeerChange], view: &banyan_state::View, interface: &str) {
        let what = foreign_changes(changes, &view.in_force.objects, interface);
        warn!(
            peers = what.len(),
            first = what.first(),
            "peers were changed behind the engine's back and are put back"
        );
        // Where that many wait to be written down, these are more of the same.
        let _ = self.put_right.try_send(what);
    }

    async fn bring(
        &mut self,
        device: &dyn Device,
        wanted: &PeerSet,
    ) -> Result<Vec<PeerChange>, DeviceError> {
        let mut known = match self.known.take() {
            Some(known) => known,
            None => device.peers().await?,
        };
        let changes = peer_changes(wanted, &known);
        if !changes.is_empty() {
            device.apply(&changes).await?;
            info!(
                changes = changes.len(),
                peers = wanted.len(),
                "the peers follow"
            );
        }
        for change in &changes {
            learn(&mut known, change.clone());
        }
        self.metrics.peers(wanted.len());
        self.known = Some(known);
        Ok(changes)
    }
}

/// What somebody must have done that these changes put right, for people.
fn foreign_changes(changes: &[PeerChange], objects: &Objects, interface: &str) -> Vec<String> {
    let names: BTreeMap<PublicKey, &Name> = (objects.machines.iter())
        .map(|(name, machine)| (machine.spec.public_key, name))
        .collect();
    let called = |key: &PublicKey| match names.get(key) {
        Some(name) => format!("the peer of machine {name}"),
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

/// What a device has after a change that it took.
fn learn(known: &mut BTreeMap<PublicKey, ObservedPeer>, change: PeerChange) {
    match change {
        PeerChange::Remove(key) => drop(known.remove(&key)),
        PeerChange::Add(peer) => {
            let observed = ObservedPeer {
                key: peer.key,
                allowed_ips: peer.allowed_ips,
                endpoint: peer.endpoint,
                keepalive: peer.keepalive,
                last_handshake: None,
                received: 0,
                sent: 0,
            };
            known.insert(observed.key, observed);
        }
        PeerChange::Update(update) => {
            let Some(peer) = known.get_mut(&update.key) else {
                return;
            };
            peer.allowed_ips = update
                .allowed_ips
                .unwrap_or(std::mem::take(&mut peer.allowed_ips));
            peer.endpoint = update.endpoint.or(peer.endpoint);
            peer.keepalive = update.keepalive.unwrap_or(peer.keepalive);
        }
    }
}
