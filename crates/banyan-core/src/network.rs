//! The private network: keys, the addresses derived from them, peer sets, and the peers of the control tunnel.

mod address;
mod control;
mod peers;

pub use address::{assign_v4, control_range_v6, control_v4, control_v6, engine_v4};
pub use control::ControlPeers;
pub use peers::{
    ObservedPeer, PeerChange, PeerSet, PeerSetError, PeerUpdate, SESSION_LIFETIME, WantedPeer,
    peer_changes, peer_changes_since,
};
