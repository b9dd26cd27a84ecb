//! Many peers added to a fresh device, and one change among them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use banyan_core::{
    PeerChange, PeerSet, PeerUpdate, PublicKey, WantedPeer, control_v4, control_v6, peer_changes,
};
use banyan_wireguard::{Device, DeviceConfig, PrivateKey, open_userspace};
use ipnet::{IpNet, Ipv4Net};

use crate::out::{Measured, Row};
use crate::place::Place;
use crate::sample::{Sample, millis, shown};

const CHANGES: usize = 40;
const FRESH: &str = "10,000 peers onto a fresh userspace device";
const ONE: &str = "one change among them, the slowest kind";
const KINDS: [&str; 3] = ["a peer comes", "a peer gets another address", "a peer goes"];

/// The control tunnel's range by default.
pub(crate) fn range() -> Ipv4Net {
    Ipv4Net::new_assert(std::net::Ipv4Addr::new(10, 200, 0, 0), 16)
}

/// A userspace device like the engine's.
pub(crate) async fn device(name: &str) -> Result<Arc<dyn Device>> {
    let config = DeviceConfig {
        name: name.parse()?,
        private_key: PrivateKey::generate()?,
        listen_port: 0,
        addresses: vec!["10.200.0.1/16".parse()?],
        mtu: 1420,
    };
    Ok(open_userspace(config).await?)
}

pub(crate) async fn measure(place: &Place, size: usize) -> Result<Vec<Row>> {
    if let Some(reason) = place.lacking() {
        let why = format!("not measured: {reason}");
        return Ok(vec![
            Row::untimed("peers", FRESH, &why),
            Row::untimed("peer", ONE, &why),
        ]);
    }
    let keys = keys(size + CHANGES)?;
    let device = device("wg-bench").await?;
    let (present, spare) = keys.split_at(size);
    let wanted: BTreeSet<PublicKey> = present.iter().copied().collect();
    let started = Instant::now();
    device
        .apply(&peer_changes(&peers(&wanted), &device.peers().await?))
        .await?;
    let fresh = started.elapsed();
    let count = device.peers().await?.len();
    ensure!(count == size, "the device has {count} peers");
    let mut kinds = <[Sample; 3]>::default();
    for (old, new) in present.iter().zip(spare) {
        let fresh = peers(&BTreeSet::from([*new]));
        let changes = [
            PeerChange::Add(fresh.get(new).context("the new peer")?.clone()),
            moved(*new)?,
            PeerChange::Remove(*old),
        ];
        for (change, sample) in changes.into_iter().zip(&mut kinds) {
            let started = Instant::now();
            device.apply(&[change]).await?;
            sample.push(started.elapsed());
        }
    }
    device.close().await?;
    let details = (KINDS.iter().zip(&kinds))
        .map(|(what, sample)| ((*what).to_owned(), shown(sample.median())))
        .collect();
    let worst = kinds.iter().max_by_key(|sample| sample.median());
    let worst = worst.context("a sample")?;
    Ok(vec![
        Row {
            id: "peers",
            what: FRESH.to_owned(),
            target: "under 1 s".to_owned(),
            figure: shown(fresh),
            measured: Some(Measured {
                value: millis(fresh),
                limit: 1_000.0,
                unit: "ms",
            }),
            details: Vec::new(),
        },
        Row {
            id: "peer",
            what: ONE.to_owned(),
            target: "under 5 ms".to_owned(),
            figure: format!("{} (p95 {})", shown(worst.median()), shown(worst.p95())),
            measured: Some(Measured {
                value: millis(worst.median()),
                limit: 5.0,
                unit: "ms",
            }),
            details,
        },
    ])
}

/// Keys of machines that do not exist.
pub(crate) fn keys(count: usize) -> Result<Vec<PublicKey>> {
    let key = || Ok(PrivateKey::generate()?.public_key());
    (0..count).map(|_| key()).collect()
}

/// The peers an engine wants on its device for machines with these keys.
pub(crate) fn peers(keys: &BTreeSet<PublicKey>) -> PeerSet {
    let mut set = PeerSet::new();
    for key in keys {
        let v6 = IpNet::from(std::net::IpAddr::from(control_v6(key)));
        let v4 = control_v4(key, range()).map(|v4| IpNet::from(std::net::IpAddr::from(v4)));
        // A machine whose IPv4 address collides with an earlier one gets none, as in a cluster.
        let with = |nets: BTreeSet<IpNet>| WantedPeer {
            key: *key,
            allowed_ips: nets,
            endpoint: None,
            keepalive: None,
        };
        if set
            .insert(with(v4.into_iter().chain([v6]).collect()))
            .is_err()
        {
            let _ = set.insert(with(BTreeSet::from([v6])));
        }
    }
    set
}

/// Another address for a peer.
fn moved(key: PublicKey) -> Result<PeerChange> {
    Ok(PeerChange::Update(PeerUpdate {
        key,
        allowed_ips: Some(BTreeSet::from(["192.0.2.1/32".parse()?])),
        endpoint: None,
        keepalive: None,
    }))
}
