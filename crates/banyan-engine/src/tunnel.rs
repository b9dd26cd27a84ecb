//! The WireGuard side: the device, and the peers it gets from the live view.

pub(crate) mod device;
pub(crate) mod peers;
