//! What every backend offers, and how it fails.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use async_trait::async_trait;
use banyan_core::{ObservedPeer, PeerChange, PublicKey};
use ipnet::IpNet;

use crate::{InterfaceName, PrivateKey};

/// What a device is made of. Another key or port is another device.
#[derive(Debug, Clone)]
pub struct DeviceConfig {
    /// What the interface is called.
    pub name: InterfaceName,
    /// The key it answers by.
    pub private_key: PrivateKey,
    /// The UDP port it listens on, over IPv4 and IPv6; 0 lets the system choose.
    pub listen_port: u16,
    /// Its own addresses, each with the range that leads into the tunnel.
    pub addresses: Vec<IpNet>,
    /// The largest packet inside the tunnel, in bytes; 1420 fits any ordinary path.
    pub mtu: u16,
}

/// Who moves the packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// This process, through a TUN interface.
    Userspace,
    /// Nobody: peers are computed and kept, no packet moves.
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

/// A WireGuard device. Several tasks may use one; changes are applied one list at a time.
#[async_trait]
pub trait Device: Send + Sync {
    /// Who moves the packets.
    fn backend(&self) -> Backend;

    /// What the interface is called.
    fn name(&self) -> &InterfaceName;

    /// The UDP port it listens on; 0 if it listens nowhere.
    fn listen_port(&self) -> u16;

    /// All peers as they are now, whoever made them so.
    ///
    /// # Errors
    /// [`DeviceError::Gone`] if the interface vanished, [`DeviceError::Closed`] after [`Device::close`].
    async fn peers(&self) -> Result<BTreeMap<PublicKey, ObservedPeer>, DeviceError>;

    /// Applies changes in their order, as one step for the packets that pass. Peers that are not named go on
    /// undisturbed; an empty list does nothing.
    ///
    /// # Errors
    /// As for [`Device::peers`], and [`DeviceError::Stale`] if a change does not fit the peers there are: the others
    /// were applied, and the owner looks again and computes anew.
    async fn apply(&self, changes: &[PeerChange]) -> Result<(), DeviceError>;

    /// Takes the device down and leaves nothing behind. Closing twice is no error.
    ///
    /// # Errors
    /// Something could not be removed.
    async fn close(&self) -> Result<(), DeviceError>;
}

/// Why a device cannot be opened or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// An interface of that name is there.
    #[error(
        "interface {name} exists already; stop what made it, or remove it by `ip link delete {name}`"
    )]
    Exists {
        /// The name.
        name: InterfaceName,
    },
    /// Another process answers on the control socket of that name, maybe in another network namespace.
    #[error(
        "{path} is in use by another WireGuard process; stop it, or choose another interface name"
    )]
    SocketInUse {
        /// The socket.
        path: PathBuf,
    },
    /// The control socket, without which `wg show` does not work, cannot be made.
    #[error("cannot make the control socket {path}; is its folder writable?")]
    Socket {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The UDP port belongs to somebody else.
    #[error(
        "UDP port {port} for interface {name} is taken; find the owner by `ss -lunp`, or choose another port"
    )]
    PortTaken {
        /// Whose port.
        name: InterfaceName,
        /// Which.
        port: u16,
    },
    /// The interface cannot be made; usually a right or `/dev/net/tun` is missing.
    #[error("cannot make interface {name}; it takes /dev/net/tun and CAP_NET_ADMIN")]
    Open {
        /// Its name.
        name: InterfaceName,
        /// What the library said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The system refused a setting of the interface.
    #[error("cannot {action} interface {name}")]
    Link {
        /// What was done, as a verb with its object.
        action: String,
        /// To which interface.
        name: InterfaceName,
        /// What the system said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The interface vanished from outside. The device is of no more use; close it and open another.
    #[error("interface {name} was removed from outside")]
    Gone {
        /// Its name.
        name: InterfaceName,
    },
    /// A peer that a change adds is there, or one that it updates is not.
    #[error("peer {key} on {name} is not as the change expects; look at the device again")]
    Stale {
        /// The device.
        name: InterfaceName,
        /// The first such peer.
        key: PublicKey,
    },
    /// The device was closed.
    #[error("device {name} is closed")]
    Closed {
        /// The device.
        name: InterfaceName,
    },
    /// The backend failed in a way of its own.
    #[error("device {name} failed")]
    Backend {
        /// The device.
        name: InterfaceName,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
