//! WireGuard peers as plain values: wanted, observed, and the changes from one to the other.
//!
//! Knows nothing of devices. A list of changes is complete: applied in order, it disturbs no peer that it does not
//! name, and takes an address from its old owner before giving it to the new one.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

use crate::PublicKey;

/// How long a WireGuard session is usable after its handshake (the protocol's `REJECT_AFTER_TIME`).
pub const SESSION_LIFETIME: Duration = Duration::from_secs(180);

/// One peer as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedPeer {
    /// Public key of the peer.
    pub key: PublicKey,
    /// The prefixes it may send from and that are routed to it.
    pub allowed_ips: BTreeSet<IpNet>,
    /// Its address and port; without one the peer has to initiate.
    pub endpoint: Option<SocketAddr>,
    /// Seconds between keepalive packets; `None` for none.
    pub keepalive: Option<u16>,
}

/// One peer as a device reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedPeer {
    /// Public key of the peer.
    pub key: PublicKey,
    /// The prefixes it may send from, as the device lists them.
    pub allowed_ips: BTreeSet<IpNet>,
    /// The address of its last packet, or the configured one.
    pub endpoint: Option<SocketAddr>,
    /// Seconds between keepalive packets; `None` for none.
    pub keepalive: Option<u16>,
    /// Time since the last handshake; `None` if there was none.
    pub last_handshake: Option<Duration>,
    /// Bytes received from it.
    pub received: u64,
    /// Bytes sent to it.
    pub sent: u64,
}

impl ObservedPeer {
    /// Whether its session is still usable.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.last_handshake
            .is_some_and(|ago| ago < SESSION_LIFETIME)
    }
}

/// One step of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerChange {
    /// Remove the peer and its session. Removing a missing peer is not an error.
    Remove(PublicKey),
    /// Change some fields of an existing peer; its session continues.
    Update(PeerUpdate),
    /// Add a peer that does not exist.
    Add(WantedPeer),
}

impl PeerChange {
    /// The key of the peer concerned.
    #[must_use]
    pub fn key(&self) -> PublicKey {
        match self {
            Self::Remove(key) => *key,
            Self::Update(update) => update.key,
            Self::Add(peer) => peer.key,
        }
    }
}

/// The fields of one peer that change; `None` leaves a field as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerUpdate {
    /// The key of the peer.
    pub key: PublicKey,
    /// The complete new set of allowed IPs.
    pub allowed_ips: Option<BTreeSet<IpNet>>,
    /// A new endpoint. It cannot be unset, so an endpoint learned from the peer's packets is never erased.
    pub endpoint: Option<SocketAddr>,
    /// A new keepalive interval; `Some(None)` turns it off.
    pub keepalive: Option<Option<u16>>,
}

/// Why a peer cannot be added to a [`PeerSet`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PeerSetError {
    /// The key is already in the set.
    #[error("peer {key} already exists")]
    Duplicate {
        /// The key.
        key: PublicKey,
    },
    /// An address cannot belong to two peers.
    #[error(
        "{wanted} of peer {key} overlaps {taken} of peer {owner}; give each peer its own addresses"
    )]
    Overlap {
        /// The peer that was refused.
        key: PublicKey,
        /// The overlapping prefix of that peer.
        wanted: IpNet,
        /// The peer that has the address.
        owner: PublicKey,
        /// The overlapping prefix of the owner; adjacent prefixes of one peer are merged.
        taken: IpNet,
    },
}

/// The peers wanted on one device: keys are unique and no address has two owners.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerSet {
    peers: BTreeMap<PublicKey, WantedPeer>,
    /// Disjoint ranges, so an overlap is always with a neighbour in the order.
    owners: BTreeMap<IpNet, PublicKey>,
}

impl PeerSet {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a peer. Host bits of its allowed IPs are cleared and a keepalive of 0 becomes `None`, as devices report
    /// them.
    ///
    /// # Errors
    /// If the key exists already or an address overlaps another peer's. The set is then unchanged.
    pub fn insert(&mut self, mut peer: WantedPeer) -> Result<(), PeerSetError> {
        if self.peers.contains_key(&peer.key) {
            return Err(PeerSetError::Duplicate { key: peer.key });
        }
        if peer.allowed_ips.iter().any(|net| net.trunc() != *net) {
            peer.allowed_ips = peer.allowed_ips.iter().map(IpNet::trunc).collect();
        }
        peer.keepalive = peer.keepalive.filter(|seconds| *seconds > 0);
        let ranges = disjoint(&peer.allowed_ips);
        for range in &ranges {
            if let Some((taken, owner)) = self.overlapping(*range).next() {
                return Err(PeerSetError::Overlap {
                    key: peer.key,
                    wanted: *range,
                    owner,
                    taken,
                });
            }
        }
        self.owners
            .extend(ranges.into_iter().map(|range| (range, peer.key)));
        self.peers.insert(peer.key, peer);
        Ok(())
    }

    /// Removes a peer and frees its addresses.
    pub(crate) fn remove(&mut self, key: &PublicKey) {
        if let Some(peer) = self.peers.remove(key) {
            for range in disjoint(&peer.allowed_ips) {
                self.owners.remove(&range);
            }
        }
    }

    /// The peer with that key.
    #[must_use]
    pub fn get(&self, key: &PublicKey) -> Option<&WantedPeer> {
        self.peers.get(key)
    }

    /// All peers, by key.
    pub fn iter(&self) -> impl Iterator<Item = &WantedPeer> {
        self.peers.values()
    }

    /// The number of peers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.peers.len()
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// The ranges that share an address with `range`, with their owners.
    fn overlapping(&self, range: IpNet) -> impl Iterator<Item = (IpNet, PublicKey)> + '_ {
        let around = self
            .owners
            .range(..range)
            .next_back()
            .filter(|(before, _)| before.contains(&range));
        let last = host(range.broadcast());
        let inside = self.owners.range(range..=last);
        around
            .into_iter()
            .chain(inside)
            .map(|(taken, owner)| (*taken, *owner))
    }
}

fn host(address: IpAddr) -> IpNet {
    IpNet::from(address)
}

fn disjoint(nets: &BTreeSet<IpNet>) -> Vec<IpNet> {
    let nets: Vec<IpNet> = nets.iter().copied().collect();
    match nets.as_slice() {
        // The common case, with nothing to merge: IPv4 sorts first.
        [] | [_] | [IpNet::V4(_), IpNet::V6(_)] => nets,
        _ => IpNet::aggregate(&nets),
    }
}

/// The changes from `observed` to `wanted`, in the order to apply them; empty if they match.
///
/// Removals come first, then updates that release addresses, then updates that take or restore addresses, then
/// additions. A wanted endpoint is set if the device has none, or has a different one and no live session: a peer with
/// a live session elsewhere has roamed and is left there.
#[must_use]
pub fn peer_changes(
    wanted: &PeerSet,
    observed: &BTreeMap<PublicKey, ObservedPeer>,
) -> Vec<PeerChange> {
    changes(None, wanted, observed)
}

/// Like [`peer_changes`], but also sets each endpoint that differs between `previous` and `wanted`, even during a live
/// session: it was just configured explicitly.
#[must_use]
pub fn peer_changes_since(
    previous: &PeerSet,
    wanted: &PeerSet,
    observed: &BTreeMap<PublicKey, ObservedPeer>,
) -> Vec<PeerChange> {
    changes(Some(previous), wanted, observed)
}

fn changes(
    previous: Option<&PeerSet>,
    wanted: &PeerSet,
    observed: &BTreeMap<PublicKey, ObservedPeer>,
) -> Vec<PeerChange> {
    let pairs = || side_by_side(wanted, observed);
    let removed = pairs().filter_map(|pair| match pair {
        (None, Some(has)) => Some(PeerChange::Remove(has.key)),
        _ => None,
    });
    let mut list: Vec<_> = removed.collect();
    let contested = contested(wanted, pairs());
    let mut later = Vec::new();
    for pair in pairs() {
        match pair {
            (None, _) => {}
            (Some(want), None) => later.push(PeerChange::Add(want.clone())),
            (Some(want), Some(has)) => {
                let stated = previous.and_then(|set| set.get(&want.key));
                let update = Comparison { want, has, stated };
                list.extend(update.giving_up().map(PeerChange::Update));
                let rest = update.rest(contested.contains(&want.key));
                later.extend(rest.map(PeerChange::Update));
            }
        }
    }
    later.sort_by_key(|change| matches!(change, PeerChange::Add(_)));
    list.append(&mut later);
    list
}

/// The peers some of whose addresses are observed at another peer. A device may list such an address at both, and route
/// it to neither after the intruder is removed, until the owner's addresses are set again.
fn contested<'a>(wanted: &PeerSet, pairs: impl Iterator<Item = Pair<'a>>) -> BTreeSet<PublicKey> {
    let mut owners = BTreeSet::new();
    for (want, has) in pairs {
        let Some(has) = has else { continue };
        let foreign = has
            .allowed_ips
            .iter()
            .filter(|net| want.is_none_or(|want| !want.allowed_ips.contains(*net)));
        for net in foreign {
            let others = wanted.overlapping(*net).map(|(_, owner)| owner);
            owners.extend(others.filter(|owner| *owner != has.key));
        }
    }
    owners
}

/// A peer as wanted and as observed; at least one is present.
type Pair<'a> = (Option<&'a WantedPeer>, Option<&'a ObservedPeer>);

/// Merges both sequences, which are sorted by key: looking up each of many peers would dominate the cost.
fn side_by_side<'a>(
    wanted: &'a PeerSet,
    observed: &'a BTreeMap<PublicKey, ObservedPeer>,
) -> impl Iterator<Item = Pair<'a>> {
    let mut wanted = wanted.peers.iter().peekable();
    let mut observed = observed.iter().peekable();
    std::iter::from_fn(move || {
        let order = match (wanted.peek(), observed.peek()) {
            (Some((want, _)), Some((has, _))) => want.cmp(has),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return None,
        };
        let want = if order.is_le() { wanted.next() } else { None };
        let has = if order.is_ge() { observed.next() } else { None };
        Some((want.map(|(_, want)| want), has.map(|(_, has)| has)))
    })
}

struct Comparison<'a> {
    want: &'a WantedPeer,
    has: &'a ObservedPeer,
    /// What was wanted before, if known.
    stated: Option<&'a WantedPeer>,
}

impl Comparison<'_> {
    fn giving_up(&self) -> Option<PeerUpdate> {
        if self.has.allowed_ips.is_subset(&self.want.allowed_ips) {
            return None;
        }
        let kept: BTreeSet<_> = self
            .has
            .allowed_ips
            .intersection(&self.want.allowed_ips)
            .copied()
            .collect();
        Some(PeerUpdate {
            allowed_ips: Some(kept),
            ..self.nothing()
        })
    }

    fn rest(&self, restate: bool) -> Option<PeerUpdate> {
        let takes = !self.want.allowed_ips.is_subset(&self.has.allowed_ips);
        let update = PeerUpdate {
            key: self.want.key,
            allowed_ips: (takes || restate).then(|| self.want.allowed_ips.clone()),
            endpoint: self.endpoint(),
            keepalive: (self.want.keepalive != self.has.keepalive).then_some(self.want.keepalive),
        };
        (update != self.nothing()).then_some(update)
    }

    fn endpoint(&self) -> Option<SocketAddr> {
        let want = self.want.endpoint?;
        let said_anew = self.stated.is_some_and(|was| was.endpoint != Some(want));
        let settled = self.has.is_live() && self.has.endpoint.is_some() && !said_anew;
        (self.has.endpoint != Some(want) && !settled).then_some(want)
    }

    fn nothing(&self) -> PeerUpdate {
        PeerUpdate {
            key: self.want.key,
            allowed_ips: None,
            endpoint: None,
            keepalive: None,
        }
    }
}

#[cfg(test)]
mod tests;
