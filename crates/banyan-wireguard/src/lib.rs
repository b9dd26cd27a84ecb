//! WireGuard devices: open one, read its peers, change individual peers.
//!
//! `banyan_core` decides which peers are wanted and what has to change ([`banyan_core::peer_changes`]). This crate
//! applies the changes, reports the current peers, and keeps a device at a wanted set ([`Keeper`]). It knows nothing of
//! repos, stores, machines or the engine.

mod device;
mod keeper;
mod key;
mod memory;
mod name;
mod support;
mod userspace;

#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "fake")]
pub mod fake;

pub use device::{Backend, Device, DeviceConfig, DeviceError};
pub use keeper::{CurrentDevice, DeviceProblem, Keeper, Repair, Since, Source, Wanted};
pub use key::{PrivateKey, PrivateKeyError};
pub use memory::none;
pub use name::{InterfaceName, InterfaceNameError, MAX_INTERFACE_NAME_LEN};
pub use support::{Support, userspace_support};
pub use userspace::open_userspace;

/// Directives that a program that opens devices adds to its log filter. The userspace library logs a line for each peer
/// added or removed and one for each packet it cannot send; this crate's own results report what matters of that.
pub const LOG_DIRECTIVES: &str = "gotatun=off,netlink_proto=warn";
