//! The conformance suite: what every backend and the fake must do alike.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use banyan_core::{
    ObservedPeer, PeerChange, PeerSet, PeerSetError, PeerUpdate, PublicKey, WantedPeer,
    peer_changes,
};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::{Device, DeviceError};

/// Number of peers in the large set.
const MANY: u16 = 1_000;

/// How a device violated the contract.
#[derive(Debug, thiserror::Error)]
pub enum Violation {
    /// A call that must succeed failed.
    #[error("{step}: the device returned an error")]
    Refused {
        /// The step of the suite.
        step: &'static str,
        /// The device's error.
        #[source]
        source: DeviceError,
    },
    /// A call succeeded where it must fail, failed with the wrong error, or returned the wrong value.
    #[error("{step}: expected {expected}, got {got}")]
    Wrong {
        /// The step of the suite.
        step: &'static str,
        /// The expected value.
        expected: String,
        /// The actual value.
        got: String,
    },
    /// The suite built an invalid peer set.
    #[error("the suite built an invalid peer set")]
    Suite(#[from] PeerSetError),
}

/// Runs the whole suite on a fresh device and closes it at the end.
///
/// # Errors
/// The first violation.
pub async fn check(device: &dyn Device) -> Result<(), Violation> {
    let suite = Suite { device };
    suite.starts_empty().await?;
    suite.follows_a_set().await?;
    suite.changes_fields_alone().await?;
    suite.moves_addresses().await?;
    suite.removes_one().await?;
    suite.reports_stale_changes().await?;
    suite.handles_many_peers().await?;
    suite.closes().await
}

struct Suite<'a> {
    device: &'a dyn Device,
}

impl Suite<'_> {
    async fn starts_empty(&self) -> Result<(), Violation> {
        let step = "a fresh device has no peers";
        same(step, &0, &self.peers(step).await?.len())?;
        self.apply("an empty list is applied", &[]).await
    }

    async fn follows_a_set(&self) -> Result<(), Violation> {
        self.reach("peers are added", &few([1, 2, 3])?).await
    }

    async fn changes_fields_alone(&self) -> Result<(), Violation> {
        let step = "one field is changed";
        let mut expected = self.peers(step).await?;
        let key = peer(1).key;
        let nothing = PeerUpdate {
            key,
            allowed_ips: None,
            endpoint: None,
            keepalive: None,
        };
        let more: Vec<IpNet> = vec![v4(1), v6(1), v4(77)];
        let endpoint = SocketAddr::from(([192, 0, 2, 9], 9));
        let updates = [
            PeerUpdate {
                allowed_ips: Some(more.iter().copied().collect()),
                ..nothing.clone()
            },
            PeerUpdate {
                endpoint: Some(endpoint),
                ..nothing.clone()
            },
            PeerUpdate {
                keepalive: Some(None),
                ..nothing
            },
        ];
        for update in updates {
            if let Some(peer) = expected.get_mut(&key) {
                peer.endpoint = update.endpoint.or(peer.endpoint);
                peer.keepalive = update.keepalive.unwrap_or(peer.keepalive);
                peer.allowed_ips = update
                    .allowed_ips
                    .clone()
                    .unwrap_or_else(|| peer.allowed_ips.clone());
            }
            self.apply(step, &[PeerChange::Update(update)]).await?;
            same(
                step,
                &settings(&expected),
                &settings(&self.peers(step).await?),
            )?;
        }
        self.reach("the set is restored", &few([1, 2, 3])?).await
    }

    async fn moves_addresses(&self) -> Result<(), Violation> {
        let mut one = peer(1);
        let mut two = peer(2);
        std::mem::swap(&mut one.allowed_ips, &mut two.allowed_ips);
        let swapped = set([one, two, peer(3)])?;
        self.reach("two peers swap their addresses", &swapped)
            .await?;

        let mut heir = peer(2);
        heir.allowed_ips.extend(peer(3).allowed_ips);
        let inherited = set([peer(1), heir])?;
        self.reach(
            "a peer takes over the addresses of a removed one",
            &inherited,
        )
        .await?;
        self.reach("the set is restored", &few([1, 2, 3])?).await
    }

    async fn removes_one(&self) -> Result<(), Violation> {
        let step = "a peer is removed";
        let before = self.peers(step).await?;
        let gone = peer(2).key;
        self.apply(step, &[PeerChange::Remove(gone)]).await?;
        let mut expected = before;
        expected.remove(&gone);
        same(
            step,
            &settings(&expected),
            &settings(&self.peers(step).await?),
        )?;
        let again = "a removed peer is removed again";
        self.apply(again, &[PeerChange::Remove(gone)]).await?;
        self.reach("a removed peer is added again", &few([1, 2, 3])?)
            .await
    }

    async fn reports_stale_changes(&self) -> Result<(), Violation> {
        let step = "an existing peer is added together with a new one";
        let changes = [PeerChange::Add(peer(1)), PeerChange::Add(peer(4))];
        self.stale(step, &changes, peer(1).key).await?;
        let keys: Vec<_> = self.peers(step).await?.into_keys().collect();
        let expected = few([1, 2, 3, 4])?;
        let expected: Vec<_> = expected.iter().map(|peer| peer.key).collect();
        same(step, &expected, &keys)?;

        let update = PeerUpdate {
            key: peer(9).key,
            allowed_ips: None,
            endpoint: None,
            keepalive: Some(Some(1)),
        };
        let step = "a missing peer is updated";
        self.stale(step, &[PeerChange::Update(update)], peer(9).key)
            .await?;
        same(step, &4, &self.peers(step).await?.len())
    }

    async fn handles_many_peers(&self) -> Result<(), Violation> {
        let crowd = set((1..=MANY).map(peer))?;
        self.reach("a thousand peers are added", &crowd).await?;
        let mut changed = peer(500);
        changed.keepalive = Some(99);
        let others = (1..=MANY).filter(|number| *number != 500).map(peer);
        let crowd = set(others.chain([changed]))?;
        self.reach("one of a thousand peers changes", &crowd)
            .await?;
        self.reach("all peers are removed", &PeerSet::new()).await
    }

    async fn closes(&self) -> Result<(), Violation> {
        for step in ["the device is closed", "the device is closed again"] {
            let closed = self.device.close().await;
            closed.map_err(|source| Violation::Refused { step, source })?;
        }
        let step = "a closed device is used";
        let looked = self.device.peers().await.map(|peers| peers.len());
        let changed = self.device.apply(&[]).await;
        for outcome in [looked.map(|_| ()), changed] {
            if !matches!(outcome, Err(DeviceError::Closed { .. })) {
                return wrong(step, "DeviceError::Closed", &outcome);
            }
        }
        Ok(())
    }

    /// Applies the difference to `wanted`, then checks that the device matches and that no difference is left.
    async fn reach(&self, step: &'static str, wanted: &PeerSet) -> Result<(), Violation> {
        let changes = peer_changes(wanted, &self.peers(step).await?);
        self.apply(step, &changes).await?;
        let now = self.peers(step).await?;
        let expected: Vec<_> = wanted.iter().cloned().collect();
        same(step, &expected, &settings(&now))?;
        same(step, &Vec::new(), &peer_changes(wanted, &now))
    }

    async fn peers(
        &self,
        step: &'static str,
    ) -> Result<BTreeMap<PublicKey, ObservedPeer>, Violation> {
        let peers = self.device.peers().await;
        peers.map_err(|source| Violation::Refused { step, source })
    }

    async fn apply(&self, step: &'static str, changes: &[PeerChange]) -> Result<(), Violation> {
        let applied = self.device.apply(changes).await;
        applied.map_err(|source| Violation::Refused { step, source })
    }

    async fn stale(
        &self,
        step: &'static str,
        changes: &[PeerChange],
        expected: PublicKey,
    ) -> Result<(), Violation> {
        match self.device.apply(changes).await {
            Err(DeviceError::Stale { key, .. }) if key == expected => Ok(()),
            other => wrong(step, &format!("DeviceError::Stale for {expected}"), &other),
        }
    }
}

/// The observed peers in the form of wanted ones, for comparison.
fn settings(peers: &BTreeMap<PublicKey, ObservedPeer>) -> Vec<WantedPeer> {
    let wanted = |peer: &ObservedPeer| WantedPeer {
        key: peer.key,
        allowed_ips: peer.allowed_ips.clone(),
        endpoint: peer.endpoint,
        keepalive: peer.keepalive,
    };
    peers.values().map(wanted).collect()
}

fn same<T: PartialEq + std::fmt::Debug>(
    step: &'static str,
    expected: &T,
    got: &T,
) -> Result<(), Violation> {
    if expected == got {
        return Ok(());
    }
    wrong(step, &format!("{expected:?}"), got)
}

fn wrong(step: &'static str, expected: &str, got: &impl std::fmt::Debug) -> Result<(), Violation> {
    Err(Violation::Wrong {
        step,
        expected: expected.to_owned(),
        got: format!("{got:?}"),
    })
}

fn set(peers: impl IntoIterator<Item = WantedPeer>) -> Result<PeerSet, PeerSetError> {
    let mut set = PeerSet::new();
    for peer in peers {
        set.insert(peer)?;
    }
    Ok(set)
}

fn few<const N: usize>(numbers: [u16; N]) -> Result<PeerSet, PeerSetError> {
    set(numbers.map(peer))
}

/// A peer with every field set; addresses are from the documentation and benchmark ranges.
fn peer(number: u16) -> WantedPeer {
    WantedPeer {
        key: key(number),
        allowed_ips: [v4(number), v6(number)].into(),
        endpoint: Some(SocketAddr::from(([192, 0, 2, 1], number))),
        keepalive: Some(3_600),
    }
}

/// Not every 32 bytes are a valid public key, so the third byte is incremented until one is.
fn key(number: u16) -> PublicKey {
    let [high, low] = number.to_be_bytes();
    let mut bytes = [0x42; 32];
    loop {
        let [first, second, third, ..] = &mut bytes;
        (*first, *second) = (high, low);
        *third = third.wrapping_add(1);
        if let Ok(key) = PublicKey::from_bytes(bytes) {
            return key;
        }
    }
}

fn v4(number: u16) -> IpNet {
    let [high, low] = number.to_be_bytes();
    Ipv4Net::from(std::net::Ipv4Addr::new(198, 18, high, low)).into()
}

fn v6(number: u16) -> IpNet {
    Ipv6Net::from(std::net::Ipv6Addr::new(
        0x2001, 0xdb8, 0, 0, 0, 0, 0, number,
    ))
    .into()
}
