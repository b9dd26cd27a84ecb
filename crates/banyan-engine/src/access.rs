//! Authentication and authorization: a layer before every service on every listener.
//!
//! The requirement of each RPC is an option beside it in the protobuf. The layer asks the gate (`banyan-identity`) about
//! each call, on the live view, and lets it through with its [`Caller`], or answers with the denial. A path that no table
//! lists is denied. A machine's proof of its key will be one more input of the gate.

mod address;
mod denials;
mod gate;
mod keys;
mod layer;
#[cfg(test)]
pub(crate) mod tests;

use banyan_identity::Caller;
use tonic::{Request, Status};

pub(crate) use address::client_address;
pub(crate) use denials::Denials;
pub(crate) use gate::LiveGate;
pub(crate) use keys::KeyringCache;
pub(crate) use layer::GateLayer;

/// The caller of a request, which the layer put into it.
///
/// # Errors
/// The request did not pass the layer; it must not be served.
pub(crate) fn caller<T>(request: &Request<T>) -> Result<Caller, Status> {
    let caller = request.extensions().get::<Caller>().cloned();
    caller.ok_or_else(|| Status::internal("the call was not authorized, so it is not served"))
}
