//! Keeps a device at a wanted set of peers: applies each change of the set, and every few seconds undoes changes that
//! other programs made to the device.
//!
//! The [`Source`] decides which peers are wanted and how the device is opened. Each round starts from state: the wanted
//! set and the device's peers as they are now. A failed round is retried after a second and compares everything.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use banyan_core::{ObservedPeer, PeerChange, PeerSet, PublicKey, peer_changes};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{Device, DeviceError, InterfaceName};

/// How often the device itself is read.
const RESCAN: Duration = Duration::from_secs(4);
/// How long to wait before retrying after a failure.
const RETRY: Duration = Duration::from_secs(1);

/// The device, for readers; `None` while none is open.
pub type CurrentDevice = Arc<ArcSwapOption<Arc<dyn Device>>>;

/// Why the device does not have the wanted peers; `None` while it has them.
pub type DeviceProblem = watch::Receiver<Option<String>>;

/// Supplies the wanted peers and is notified of the outcome.
#[async_trait]
pub trait Source: Send {
    /// The wanted peers as of now; `None` leaves the device as it is. Consumes what [`Self::changed`] has announced.
    fn wanted(&mut self) -> Option<Wanted<'_>>;

    /// Waits until the wanted set may have changed, by an event or because time has passed; `false` if it can never
    /// change again. Cancel-safe: a change stays announced until [`Self::wanted`] consumes it.
    async fn changed(&mut self) -> bool;

    /// Opens the device; `None` while none is wanted yet. Consumes what [`Self::changed`] has announced.
    ///
    /// # Errors
    /// If the device cannot be opened; the keeper retries.
    async fn open(&mut self) -> Result<Option<Arc<dyn Device>>, DeviceError>;

    /// The device now matches what [`Self::wanted`] last returned, or, where that was `None`, what [`Self::open`]
    /// returned.
    fn reached(&mut self);

    /// Other programs changed the device, and the keeper is undoing it.
    fn repaired(&mut self, interface: &InterfaceName, repair: Repair<'_>);
}

/// The peers a device should have.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The whole set.
    pub peers: &'a PeerSet,
    /// How the set differs from the one returned by the previous call.
    pub since: Since<'a>,
}

/// How a wanted set differs from the previous one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since<'a> {
    /// Not at all.
    Unchanged,
    /// At most in the peers with these keys: added, removed or changed. The cost of the round is proportional to them.
    Keys(&'a BTreeSet<PublicKey>),
    /// Unknown; the whole sets are compared.
    Unknown,
}

/// What the keeper is undoing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repair<'a> {
    /// Peers were restored by these changes.
    Peers(&'a [PeerChange]),
    /// The interface was removed; the device is opened again.
    Interface,
}

/// Keeps one device at the peers of one source.
pub struct Keeper<S> {
    source: S,
    device: CurrentDevice,
    problem: watch::Sender<Option<String>>,
    known: Known,
}

/// What is known of the device's peers.
#[derive(Default)]
struct Known {
    /// `None` if the device has to be read.
    peers: Option<BTreeMap<PublicKey, ObservedPeer>>,
    /// Whether the device was brought to the set that the source returned last. Any later difference was then made by
    /// another program.
    settled: bool,
}

impl<S: Source> Keeper<S> {
    /// A keeper that has not opened its device yet, with the handles through which others observe it.
    pub fn new(source: S) -> (Self, CurrentDevice, DeviceProblem) {
        let device = CurrentDevice::default();
        let (problem, seen) = watch::channel(None);
        let keeper = Self {
            source,
            device: Arc::clone(&device),
            problem,
            known: Known::default(),
        };
        (keeper, device, seen)
    }

    /// Runs until `stop` is cancelled or the source ends, then closes the device.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut rescan = Instant::now() + RESCAN;
        loop {
            let ok = self.round().await;
            tokio::select! {
                () = stop.cancelled() => break,
                more = self.source.changed() => if !more { break },
                () = tokio::time::sleep(RETRY), if !ok => {}
                () = tokio::time::sleep_until(rescan) => {
                    self.known.peers = None;
                    rescan = Instant::now() + RESCAN;
                }
            }
        }
        if let Some(device) = self.device.swap(None)
            && let Err(error) = device.close().await
        {
            warn!(error = chain(&error), "could not close the device cleanly");
        }
    }

    /// Brings the device to the wanted set; returns whether that succeeded.
    async fn round(&mut self) -> bool {
        let problem = self.apply().await.err().map(|error| chain(&error));
        match &problem {
            None => self.source.reached(),
            Some(text) => {
                self.known = Known::default();
                if self.problem.borrow().as_ref() != Some(text) {
                    warn!(error = text, "could not update the peers; retrying");
                }
            }
        }
        let ok = problem.is_none();
        (self.problem).send_if_modified(|now| std::mem::replace(now, problem.clone()) != problem);
        ok
    }

    async fn apply(&mut self) -> Result<(), DeviceError> {
        let Self {
            source,
            device,
            known,
            ..
        } = self;
        if device.load().is_none() {
            let Some(opened) = source.open().await? else {
                return Ok(());
            };
            device.store(Some(Arc::new(opened)));
            *known = Known::default();
        }
        let (Some(wanted), Some(open)) = (source.wanted(), device.load_full()) else {
            return Ok(());
        };
        let result = bring(&**open, wanted, known).await;
        match result {
            Ok(foreign) => {
                if !foreign.is_empty() {
                    source.repaired(open.name(), Repair::Peers(&foreign));
                }
                Ok(())
            }
            Err(error) => {
                if let DeviceError::Gone { name } = &error {
                    device.store(None);
                    let _ = open.close().await;
                    source.repaired(name, Repair::Interface);
                }
                Err(error)
            }
        }
    }
}

/// Brings the device to the wanted peers. Returns the changes that undo another program's changes.
async fn bring(
    device: &dyn Device,
    wanted: Wanted<'_>,
    known: &mut Known,
) -> Result<Vec<PeerChange>, DeviceError> {
    let settled = std::mem::take(&mut known.settled);
    let (mut has, changes) = match (known.peers.take(), wanted.since) {
        (Some(has), Since::Unchanged) if settled => (has, Vec::new()),
        (Some(has), Since::Keys(keys)) if settled => {
            let changes = changes_among(keys, wanted.peers, &has);
            (has, changes)
        }
        (has, _) => {
            let has = match has {
                Some(has) => has,
                None => device.peers().await?,
            };
            let changes = peer_changes(wanted.peers, &has);
            (has, changes)
        }
    };
    if !changes.is_empty() {
        device.apply(&changes).await?;
        info!(
            interface = %device.name(),
            changes = changes.len(),
            peers = wanted.peers.len(),
            "peers updated"
        );
    }
    for change in &changes {
        learn(&mut has, change.clone());
    }
    *known = Known {
        peers: Some(has),
        settled: true,
    };
    let foreign = settled && wanted.since == Since::Unchanged;
    Ok(if foreign { changes } else { Vec::new() })
}

/// Like [`peer_changes`], given that only these peers can differ.
fn changes_among(
    keys: &BTreeSet<PublicKey>,
    wanted: &PeerSet,
    has: &BTreeMap<PublicKey, ObservedPeer>,
) -> Vec<PeerChange> {
    let mut some = PeerSet::new();
    for peer in keys.iter().filter_map(|key| wanted.get(key)) {
        // Cannot fail: these peers come from a valid set, so their addresses do not overlap.
        let _ = some.insert(peer.clone());
    }
    let has = (keys.iter().filter_map(|key| has.get_key_value(key)))
        .map(|(key, peer)| (*key, peer.clone()))
        .collect();
    peer_changes(&some, &has)
}

/// Records a change that the device accepted.
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

/// An error and its causes, in one line.
fn chain(error: &DeviceError) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests;
