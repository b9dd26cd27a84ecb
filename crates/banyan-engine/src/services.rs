//! The gRPC services: each reads the live view; decisions and changes are made elsewhere.
//!
//! Each service is a struct that holds only what it uses.

mod accept;
mod audit;
mod auth;
mod backup;
mod changes;
mod engine;
mod engines;
mod gitops;
mod host;
mod machines;
mod new_login;
mod recorder;
mod roles;
mod sessions;
mod signing_keys;
#[cfg(test)]
mod tests;
mod users;

use banyan_core::Name;
use banyan_state::View;
use tonic::Status as Refusal;

pub(crate) use audit::AuditApi;
pub(crate) use auth::AuthApi;
pub(crate) use changes::Changes;
pub(crate) use engine::EngineApi;
pub(crate) use gitops::GitopsApi;
pub(crate) use host::HostApi;
pub(crate) use machines::{DevicePeers, MachinesApi};
pub(crate) use new_login::NewLogins;
pub(crate) use recorder::Recorder;
pub(crate) use roles::RolesApi;
pub(crate) use sessions::SessionsApi;
pub(crate) use signing_keys::SigningKeysApi;
pub(crate) use users::UsersApi;

/// All services.
pub(crate) struct Services {
    pub(crate) audit: AuditApi,
    pub(crate) auth: AuthApi,
    pub(crate) engine: EngineApi,
    pub(crate) gitops: GitopsApi,
    pub(crate) host: HostApi,
    pub(crate) machines: MachinesApi,
    pub(crate) roles: RolesApi,
    pub(crate) sessions: SessionsApi,
    pub(crate) signing_keys: SigningKeysApi,
    pub(crate) users: UsersApi,
}

fn parse_name(text: &str) -> Result<Name, Refusal> {
    let name = text.parse();
    name.map_err(|error| Refusal::invalid_argument(format!("{text:?} is not a name: {error}")))
}

fn no_such(kind: &str, name: &Name) -> Refusal {
    Refusal::not_found(format!(
        "there is no {kind} {name}; see `banyan {kind} list`"
    ))
}

/// The engine that leads; empty if none does, or if there is only one.
fn leader(view: &View) -> String {
    let leader = view.leader.as_ref();
    leader.map(|l| l.engine.to_string()).unwrap_or_default()
}
