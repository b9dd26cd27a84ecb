//! The interface of every backend, and its errors.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use async_trait::async_trait;
use banyan_core::{ObservedPeer, PeerChange, PublicKey};
use ipnet::IpNet;

use crate::{InterfaceName, PrivateKey};

/// The settings a device is opened with. They are fixed: changing the key or the port takes a new device.
#[derive(Debug, Clone)]
pub struct DeviceConfig {
    /// Name of the interface.
    pub name: InterfaceName,
    /// Private key of the device.
    pub private_key: PrivateKey,
    /// The UDP port to listen on, over IPv4 and IPv6; 0 lets the system choose.
    pub listen_port: u16,
    /// The interface's addresses, each with the prefix that is routed into the tunnel.
    pub addresses: Vec<IpNet>,
    /// MTU of the tunnel, in bytes; 1420 fits any ordinary path.
    pub mtu: u16,
}

/// The implementation that moves the packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// This process, through a TUN interface.
    Userspace,
    /// No implementation: peers are computed and kept in memory, and no packet moves.
    None,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Userspace => "userspace",
            Self::None => "none",
        })
    }
}

/// A WireGuard device. It can be shared by several tasks; lists of changes are applied one at a time.
#[async_trait]
pub trait Device: Send + Sync {
    /// The implementation that moves the packets.
    fn backend(&self) -> Backend;

    /// Name of the interface.
    fn name(&self) -> &InterfaceName;

    /// The UDP port the device listens on; 0 if it does not listen.
    fn listen_port(&self) -> u16;

    /// All current peers, including changes made by other programs.
    ///
    /// # Errors
    /// [`DeviceError::Gone`] if the interface vanished, [`DeviceError::Closed`] after [`Device::close`].
    async fn peers(&self) -> Result<BTreeMap<PublicKey, ObservedPeer>, DeviceError>;

    /// Applies changes in order, as one step as far as traffic is concerned. Peers that are not named are not
    /// disturbed; an empty list does nothing.
    ///
    /// # Errors
    /// As for [`Device::peers`], and [`DeviceError::Stale`] if a change does not fit the current peers. The other
    /// changes were applied; the caller must read the peers again and compute new changes.
    async fn apply(&self, changes: &[PeerChange]) -> Result<(), DeviceError>;

    /// Closes the device and removes its interface and socket. Closing twice is not an error.
    ///
    /// # Errors
    /// If something could not be removed.
    async fn close(&self) -> Result<(), DeviceError>;
}

/// Why a device cannot be opened or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// An interface of that name already exists.
    #[error(
        "interface {name} already exists; stop the program that created it, or remove it with `ip link delete {name}`"
    )]
    Exists {
        /// Name of the interface.
        name: InterfaceName,
    },
    /// Another process answers on the control socket of that name, possibly in another network namespace.
    #[error(
        "{path} is in use by another WireGuard process; stop it, or choose another interface name"
    )]
    SocketInUse {
        /// Path of the socket.
        path: PathBuf,
    },
    /// The control socket, which `wg show` needs, cannot be created.
    #[error("cannot create the control socket {path}; is its directory writable?")]
    Socket {
        /// Path of the socket.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// The UDP port is in use by another program.
    #[error(
        "UDP port {port} for interface {name} is already in use; find the program with `ss -lunp`, or choose another port"
    )]
    PortTaken {
        /// Name of the interface.
        name: InterfaceName,
        /// The UDP port.
        port: u16,
    },
    /// The interface cannot be created, usually because a capability or `/dev/net/tun` is missing.
    #[error("cannot create interface {name}; this requires /dev/net/tun and CAP_NET_ADMIN")]
    Open {
        /// Name of the interface.
        name: InterfaceName,
        /// The library's error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The system refused a setting of the interface.
    #[error("cannot {action} interface {name}")]
    Link {
        /// What was attempted, as a verb with its object.
        action: String,
        /// Name of the interface.
        name: InterfaceName,
        /// The system's error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another program removed the interface. The device can no longer be used; close it and open a new one.
    #[error("interface {name} was removed by another program")]
    Gone {
        /// Name of the interface.
        name: InterfaceName,
    },
    /// A change adds a peer that exists, or updates one that does not.
    #[error("peer {key} on {name} does not match the change; read the device again")]
    Stale {
        /// Name of the interface.
        name: InterfaceName,
        /// The first such peer.
        key: PublicKey,
    },
    /// The device was closed.
    #[error("device {name} is closed")]
    Closed {
        /// Name of the interface.
        name: InterfaceName,
    },
    /// The backend failed for another reason.
    #[error("device {name} failed")]
    Backend {
        /// Name of the interface.
        name: InterfaceName,
        /// The backend's error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
