//! Who may call: a layer before every service on every listener.
//!
//! What each RPC takes is stated in the protobuf (`banyan_api::Access`). The layer finds out who calls, looks the
//! person up in the live view, and lets the call through with a [`Caller`] or refuses it; a call that no table knows
//! is refused. Where a machine has to prove its key as well, that is one more thing that [`Gate`] asks for.

mod address;
mod caller;
mod denials;
mod gate;
mod keys;
mod layer;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use address::client_address;
pub(crate) use caller::{Caller, LOCAL};
pub(crate) use denials::Denials;
pub(crate) use gate::{Gate, STALE_LIMIT, denial};
pub(crate) use keys::KeyringCache;
pub(crate) use layer::GateLayer;
