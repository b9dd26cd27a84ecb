//! Shared setup: names, keys, a runtime inside a private host.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use banyan_core::{PeerSet, PublicKey, WantedPeer, peer_changes};
use banyan_testkit::netns;
use banyan_wireguard::{Device, DeviceConfig, InterfaceName, PrivateKey, open_userspace};

/// The time limit of a test on a loaded machine.
const LIMIT: Duration = Duration::from_secs(240);

pub(crate) const NAME: &str = "wgt0";

/// Runs an async test inside a private host; its name is `module::function`.
pub(crate) fn inside<F: Future<Output = Result<()>>>(name: &str, test: impl FnOnce() -> F) {
    let run = || {
        let runtime = tokio::runtime::Runtime::new()?;
        runtime.block_on(test())
    };
    if let Err(error) = netns::in_private_host(name, LIMIT, run) {
        panic!("{error:#}");
    }
}

pub(crate) fn name(text: &str) -> InterfaceName {
    text.parse().unwrap()
}

/// A device called [`NAME`] on a free port.
pub(crate) fn config() -> DeviceConfig {
    DeviceConfig {
        name: name(NAME),
        private_key: PrivateKey::generate().unwrap(),
        listen_port: 0,
        addresses: vec![
            "10.9.0.1/24".parse().unwrap(),
            "fd09::1/64".parse().unwrap(),
        ],
        mtu: 1420,
    }
}

pub(crate) async fn open() -> Result<(Arc<dyn Device>, PublicKey)> {
    let config = config();
    let key = config.private_key.public_key();
    Ok((open_userspace(config).await?, key))
}

pub(crate) fn random_key() -> PublicKey {
    PrivateKey::generate().unwrap().public_key()
}

pub(crate) fn peer(key: PublicKey, allowed: &[&str]) -> WantedPeer {
    WantedPeer {
        key,
        allowed_ips: allowed.iter().map(|net| net.parse().unwrap()).collect(),
        endpoint: None,
        keepalive: None,
    }
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn at(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(ip(address), port)
}

pub(crate) fn set(peers: impl IntoIterator<Item = WantedPeer>) -> PeerSet {
    let mut set = PeerSet::new();
    for peer in peers {
        set.insert(peer).unwrap();
    }
    set
}

/// One pass: read, compute, apply; afterwards no change may be left.
pub(crate) async fn reach(device: &dyn Device, wanted: &PeerSet) -> Result<()> {
    let changes = peer_changes(wanted, &device.peers().await?);
    device.apply(&changes).await?;
    let left = peer_changes(wanted, &device.peers().await?);
    anyhow::ensure!(left.is_empty(), "left to do: {left:?}");
    Ok(())
}

/// The allowed IPs of each peer by key, from `wg show NAME dump`.
pub(crate) fn dumped(text: &str) -> BTreeMap<String, Vec<String>> {
    let peers = text.lines().skip(1).map(|line| {
        let fields: Vec<_> = line.split('\t').collect();
        let mut allowed: Vec<_> = fields[3].split(',').map(str::to_owned).collect();
        allowed.sort();
        (fields[0].to_owned(), allowed)
    });
    peers.collect()
}
