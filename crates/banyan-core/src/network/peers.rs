//! WireGuard peers as plain values: those wanted, those observed, and the changes that lead from one to the other.
//!
//! Knows nothing of devices. A change list is a finished value: applied in its order it never disturbs a peer that it
//! does not name, and an address is taken from its old owner before the new one gets it.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

use crate::PublicKey;

/// How long a WireGuard session serves after its handshake (the protocol's `REJECT_AFTER_TIME`).
pub const SESSION_LIFETIME: Duration = Duration::from_secs(180);

/// One peer as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedPeer {
    /// Who it is.
    pub key: PublicKey,
    /// What it may send from, and what is sent to it.
    pub allowed_ips: BTreeSet<IpNet>,
    /// Where it is reached; without one it has to speak first.
    pub endpoint: Option<SocketAddr>,
    /// Seconds between packets that keep the way open; `None` for never.
    pub keepalive: Option<u16>,
}

/// One peer as a device reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedPeer {
    /// Who it is.
    pub key: PublicKey,
    /// What it may send from, as the device lists it.
    pub allowed_ips: BTreeSet<IpNet>,
    /// Where it was last heard from, or was said to be.
    pub endpoint: Option<SocketAddr>,
    /// Seconds between keepalive packets; `None` for never.
    pub keepalive: Option<u16>,
    /// How long ago the last handshake was; `None` if there was none.
    pub last_handshake: Option<Duration>,
    /// Bytes received from it.
    pub received: u64,
    /// Bytes sent to it.
    pub sent: u64,
}

impl ObservedPeer {
    /// Whether there is a session that still serves.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.last_handshake
            .is_some_and(|ago| ago < SESSION_LIFETIME)
    }
}

/// One step of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerChange {
    /// Take the peer and its session away. The peer being gone already is no error.
    Remove(PublicKey),
    /// Alter some fields of a peer that exists; its session goes on.
    Update(PeerUpdate),
    /// Make a peer that does not exist.
    Add(WantedPeer),
}

impl PeerChange {
    /// Whom the step concerns.
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
    /// Whose fields.
    pub key: PublicKey,
    /// All allowed IPs from now on.
    pub allowed_ips: Option<BTreeSet<IpNet>>,
    /// A new endpoint. It cannot say "none", so nothing erases an endpoint that the peer was heard from.
    pub endpoint: Option<SocketAddr>,
    /// A new keepalive interval; `Some(None)` turns it off.
    pub keepalive: Option<Option<u16>>,
}

/// Why a peer has no place in a [`PeerSet`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PeerSetError {
    /// The same key twice.
    #[error("peer {key} is there already")]
    Duplicate {
        /// The key.
        key: PublicKey,
    },
    /// One address cannot lead to two peers.
    #[error(
        "{wanted} of peer {key} overlaps {taken} of peer {owner}; give each peer its own addresses"
    )]
    Overlap {
        /// The peer that was refused.
        key: PublicKey,
        /// Which of its addresses.
        wanted: IpNet,
        /// The peer that has the address.
        owner: PublicKey,
        /// What it has there; neighbouring ranges of one peer are named as one.
        taken: IpNet,
    },
}

/// The peers wanted on one device: each key once, no address with two owners.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerSet {
    peers: BTreeMap<PublicKey, WantedPeer>,
    /// Disjoint ranges, so that an overlap can only be with a neighbour in the order.
    owners: BTreeMap<IpNet, PublicKey>,
}

impl PeerSet {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in one peer. Host bits of its allowed IPs are dropped and a keepalive of 0 becomes `None`, as devices
    /// report them.
    ///
    /// # Errors
    /// The key is there already, or an address overlaps another peer's. The set is then unchanged.
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

    /// Takes a peer out; its addresses are free again.
    pub(crate) fn remove(&mut self, key: &PublicKey) {
        if let Some(peer) = self.peers.remove(key) {
            for range in disjoint(&peer.allowed_ips) {
                self.owners.remove(&range);
            }
        }
    }

    /// The peer of that key.
    #[must_use]
    pub fn get(&self, key: &PublicKey) -> Option<&WantedPeer> {
        self.peers.get(key)
    }

    /// All peers, by key.
    pub fn iter(&self) -> impl Iterator<Item = &WantedPeer> {
        self.peers.values()
    }

    /// How many peers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.peers.len()
    }

    /// Whether there is none.
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
        // What nearly every peer has, and nothing to aggregate: IPv4 sorts first.
        [] | [_] | [IpNet::V4(_), IpNet::V6(_)] => nets,
        _ => IpNet::aggregate(&nets),
    }
}

/// What leads from `observed` to `wanted`, in the order to apply; empty if nothing is to be done.
///
/// Removals come first, then updates that give addresses up, then updates that take or restore addresses, then
/// additions. A wanted endpoint is set where the device has none, or another one but no live session: a peer that
/// was heard from elsewhere has moved, and is left there while that works.
#[must_use]
pub fn peer_changes(
    wanted: &PeerSet,
    observed: &BTreeMap<PublicKey, ObservedPeer>,
) -> Vec<PeerChange> {
    changes(None, wanted, observed)
}

/// Like [`peer_changes`], and also sets, whatever the session, each endpoint that `wanted` states otherwise than
/// `previous` did: somebody has just said where the peer is.
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

/// The peers of whose addresses another peer is observed to hold some. A device may list such an address at both, and
/// after the intruder is gone lead it to nobody, until its owner's addresses are stated again.
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

/// A peer as it is wanted and as it is observed; one of them at least is there.
type Pair<'a> = (Option<&'a WantedPeer>, Option<&'a ObservedPeer>);

/// Walks both, which are sorted by key, in one go: a search for each of many peers would cost more than all the rest.
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
    /// What was wanted before, if that is known.
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
