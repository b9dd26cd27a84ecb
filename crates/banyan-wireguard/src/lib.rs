//! WireGuard devices: open one, see its peers, change them peer by peer.
//!
//! Which peers are wanted and what has to change is decided in `banyan_core` ([`banyan_core::peer_changes`]); this
//! crate carries changes out, reports what is there, and keeps a device at a wanted set ([`Keeper`]). It knows nothing of repos, stores, machines or the engine.

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

/// What a binary that opens devices adds to its log filter. The userspace library logs a line for each peer added or
/// removed and one for each packet that it cannot send; what matters of that is in this crate's own results.
pub const LOG_DIRECTIVES: &str = "gotatun=off,netlink_proto=warn";
