//! The WireGuard side: the device, and the peers that it gets from the view.

pub(crate) mod device;
pub(crate) mod peers;
