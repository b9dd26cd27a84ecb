//! The backend `userspace`: gotatun in this process, a TUN interface, and a control socket for `wg`.
//!
//! The tunnel lives and dies with the process. The library imposes three rules: peers are modified field by field,
//! never overwritten (overwriting erases the endpoint learned from their packets); another key or port requires a new
//! device; and a device without peers listens only after its (empty) peer list was cleared.

mod link;
mod socket;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use banyan_core::{ObservedPeer, PeerChange, PeerUpdate, PublicKey, WantedPeer};
use gotatun::device::configure::{DeviceWrite, PeerStats};
use gotatun::device::{self, DefaultDeviceTransports, Peer};
use gotatun::x25519;
use ipnet::IpNet;
use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};
use tokio::sync::RwLock;

use self::link::Netlink;
use self::socket::ControlSocket;
use crate::{Backend, Device, DeviceConfig, DeviceError, InterfaceName};

/// How long to wait for the library to release a closed device's port, and how often to check.
const PORT_RELEASE: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(2);

type Tunnel = device::Device<DefaultDeviceTransports>;

/// Opens a userspace device: interface up with its addresses and MTU, port bound, control socket for `wg show`, no
/// peers yet.
///
/// It is created in the network namespace of the runtime's threads.
///
/// # Errors
/// If the name or the port is taken or a capability is missing; nothing is left behind.
pub async fn open_userspace(config: DeviceConfig) -> Result<Arc<dyn Device>, DeviceError> {
    let netlink = Netlink::open(&config.name)?;
    if netlink.find().await?.is_some() {
        return Err(DeviceError::Exists { name: config.name });
    }
    let (socket, control) = ControlSocket::claim(&config.name)?;
    let name = config.name.as_str();
    let secret = x25519::StaticSecret::from(*config.private_key.expose());
    let tunnel = device::build()
        .with_default_udp()
        .create_tun(name)
        .map_err(|error| not_opened(&config.name, error))?
        .with_private_key(secret)
        .with_listen_port(config.listen_port)
        .with_uapi(control)
        .build()
        .await
        .map_err(|error| not_opened(&config.name, error))?;
    let parts = Parts {
        tunnel,
        netlink,
        index: 0,
        _socket: socket,
    };
    let outcome = start(parts, &config).await?;
    Ok(Arc::new(outcome))
}

/// The resources of an open device.
struct Parts {
    tunnel: Tunnel,
    netlink: Netlink,
    /// Index of the interface, 0 until it is known.
    index: u32,
    _socket: ControlSocket,
}

async fn start(mut parts: Parts, config: &DeviceConfig) -> Result<Userspace, DeviceError> {
    match set_up(&mut parts, config).await {
        Ok(listen_port) => Ok(Userspace {
            name: config.name.clone(),
            listen_port,
            parts: RwLock::new(Some(parts)),
        }),
        Err(error) => {
            if let Err(worse) = parts.take_down(0).await {
                tracing::warn!(interface = %config.name, error = %worse, "could not remove a partly opened device");
            }
            Err(error)
        }
    }
}

/// Returns the port that the device listens on.
async fn set_up(parts: &mut Parts, config: &DeviceConfig) -> Result<u16, DeviceError> {
    let gone = || DeviceError::Gone {
        name: config.name.clone(),
    };
    parts.index = parts.netlink.find().await?.ok_or_else(gone)?;
    let bound = parts.tunnel.clear_peers().await;
    bound.map_err(|error| not_bound(config, error))?;
    parts
        .netlink
        .bring_up(parts.index, config.mtu, &config.addresses)
        .await?;
    Ok(parts.tunnel.read(async |device| device.listen_port()).await)
}

impl Parts {
    /// `bound` is the port the device listens on, 0 if it never got that far.
    async fn take_down(self, bound: u16) -> Result<(), DeviceError> {
        self.tunnel.stop().await;
        until_free(bound).await;
        // The library removes the interface only some time later; deleting it here takes effect at once.
        match self.index {
            0 => Ok(()),
            index => self.netlink.delete(index).await,
        }
    }
}

/// Waits, up to a limit, until a port can be bound again. The library's last tasks release its sockets when the runtime
/// next runs them, and give no notification.
async fn until_free(port: u16) {
    let taken = || {
        let any: [IpAddr; 2] = [Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()];
        any.into_iter().any(|address| {
            let bound = UdpSocket::bind((address, port));
            bound.is_err_and(|error| error.kind() == ErrorKind::AddrInUse)
        })
    };
    let freed = async {
        while port != 0 && taken() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    if tokio::time::timeout(PORT_RELEASE, freed).await.is_err() {
        tracing::debug!(port, "a closed device's port is still bound");
    }
}

struct Userspace {
    name: InterfaceName,
    listen_port: u16,
    /// `None` once closed.
    parts: RwLock<Option<Parts>>,
}

impl Userspace {
    async fn open_parts<'a>(&self, parts: Option<&'a Parts>) -> Result<&'a Parts, DeviceError> {
        let Some(parts) = parts else {
            return Err(DeviceError::Closed {
                name: self.name.clone(),
            });
        };
        if parts.netlink.exists(parts.index).await? {
            return Ok(parts);
        }
        Err(DeviceError::Gone {
            name: self.name.clone(),
        })
    }
}

#[async_trait]
impl Device for Userspace {
    fn backend(&self) -> Backend {
        Backend::Userspace
    }

    fn name(&self) -> &InterfaceName {
        &self.name
    }

    fn listen_port(&self) -> u16 {
        self.listen_port
    }

    async fn peers(&self) -> Result<BTreeMap<PublicKey, ObservedPeer>, DeviceError> {
        let guard = self.parts.read().await;
        let parts = self.open_parts(guard.as_ref()).await?;
        let peers = parts.tunnel.peers().await;
        let peers = peers.into_iter().filter_map(observed);
        Ok(peers.map(|peer| (peer.key, peer)).collect())
    }

    async fn apply(&self, changes: &[PeerChange]) -> Result<(), DeviceError> {
        let guard = self.parts.read().await;
        let parts = self.open_parts(guard.as_ref()).await?;
        if changes.is_empty() {
            return Ok(());
        }
        let stale = parts
            .tunnel
            .write(async |device| apply_all(device, changes).await)
            .await
            .map_err(|error| DeviceError::Backend {
                name: self.name.clone(),
                source: Box::new(error),
            })?;
        match stale {
            None => Ok(()),
            Some(key) => Err(DeviceError::Stale {
                name: self.name.clone(),
                key,
            }),
        }
    }

    async fn close(&self) -> Result<(), DeviceError> {
        match self.parts.write().await.take() {
            None => Ok(()),
            Some(parts) => parts.take_down(self.listen_port).await,
        }
    }
}

type Write<'a> = DeviceWrite<'a, DefaultDeviceTransports>;

/// Applies the changes that fit and returns the first peer whose change did not.
async fn apply_all(device: &mut Write<'_>, changes: &[PeerChange]) -> Option<PublicKey> {
    let mut stale = None;
    for change in changes {
        let fits = match change {
            PeerChange::Remove(key) => {
                device.remove_peer(&foreign_key(key)).await;
                true
            }
            PeerChange::Update(update) => update_one(device, update).await,
            PeerChange::Add(peer) => device.add_peer(foreign_peer(peer)),
        };
        if !fits {
            stale = stale.or(Some(change.key()));
        }
    }
    stale
}

async fn update_one(device: &mut Write<'_>, update: &PeerUpdate) -> bool {
    let key = foreign_key(&update.key);
    let modified = device.modify_peer(&key, |peer| {
        if let Some(allowed) = &update.allowed_ips {
            peer.clear_allowed_ips();
            peer.add_allowed_ips(allowed.iter().filter_map(foreign_net));
        }
        if let Some(endpoint) = update.endpoint {
            peer.set_endpoint(Some(endpoint));
        }
        if let Some(keepalive) = update.keepalive {
            peer.set_keepalive(keepalive);
        }
    });
    modified.await
}

fn foreign_peer(peer: &WantedPeer) -> Peer {
    let mut made = Peer::new(foreign_key(&peer.key))
        .with_allowed_ips(peer.allowed_ips.iter().filter_map(foreign_net));
    made.endpoint = peer.endpoint;
    made.keepalive = peer.keepalive;
    made
}

/// Prefix lengths are valid in both types, so this never drops an entry.
fn foreign_net(net: &IpNet) -> Option<IpNetwork> {
    match net {
        IpNet::V4(net) => Ipv4Network::new(net.network(), net.prefix_len()).map(IpNetwork::V4),
        IpNet::V6(net) => Ipv6Network::new(net.network(), net.prefix_len()).map(IpNetwork::V6),
    }
    .ok()
}

fn foreign_key(key: &PublicKey) -> x25519::PublicKey {
    x25519::PublicKey::from(*key.as_bytes())
}

/// The device's report of a peer. `None` for a key that cannot complete a key exchange: such a peer was not added by us
/// and is harmless.
fn observed(found: PeerStats) -> Option<ObservedPeer> {
    let PeerStats { peer, stats, .. } = found;
    let key = PublicKey::from_bytes(peer.public_key.to_bytes()).ok()?;
    let nets = peer.allowed_ips.iter();
    Some(ObservedPeer {
        key,
        allowed_ips: nets
            .filter_map(|net| IpNet::new(net.ip(), net.prefix()).ok())
            .map(|net| net.trunc())
            .collect(),
        endpoint: peer.endpoint,
        keepalive: peer.keepalive.filter(|seconds| *seconds > 0),
        last_handshake: stats.last_handshake,
        received: stats.rx_bytes as u64,
        sent: stats.tx_bytes as u64,
    })
}

fn not_opened(name: &InterfaceName, error: device::Error) -> DeviceError {
    DeviceError::Open {
        name: name.clone(),
        source: Box::new(error),
    }
}

fn not_bound(config: &DeviceConfig, error: device::Error) -> DeviceError {
    match error {
        device::Error::Bind(cause, _) if cause.kind() == ErrorKind::AddrInUse => {
            DeviceError::PortTaken {
                name: config.name.clone(),
                port: config.listen_port,
            }
        }
        other => DeviceError::Backend {
            name: config.name.clone(),
            source: Box::new(other),
        },
    }
}
