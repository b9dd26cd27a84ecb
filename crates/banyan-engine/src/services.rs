//! The gRPC services: they read the live view and ask the reconciler; they decide nothing.

mod accept;
mod audit;
mod auth;
mod backup;
mod engine;
mod engines;
mod gitops;
mod host;
mod machines;
mod people;
mod roles;
mod sessions;
mod signing_keys;
#[cfg(test)]
mod tests;
mod users;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use banyan_core::audit::AuditEntry;
use banyan_core::{Name, ObservedPeer, PublicKey};
use banyan_git::Source;
use banyan_repo::EngineContext;
use banyan_state::{Leadership, State};
use banyan_wireguard::{CurrentDevice, DeviceProblem};
use jiff::Timestamp;
use tokio::sync::watch;
use tonic::Status as Refusal;

use crate::access::KeyringCache;
use crate::audit::Audit;
use crate::login::Login;
use crate::reconcile::{Handle, Plans, Reader};
use crate::status::Status;
use crate::tunnel::device::DeviceFactory;

/// What the services share.
pub(crate) struct Shared {
    pub(crate) state: Arc<State>,
    pub(crate) reader: Arc<Mutex<Reader>>,
    pub(crate) plans: Plans,
    pub(crate) own: EngineContext,
    pub(crate) source: Source,
    pub(crate) trigger: String,
    pub(crate) status: watch::Receiver<Arc<Status>>,
    pub(crate) reconciler: Handle,
    pub(crate) role: watch::Receiver<Leadership>,
    pub(crate) device: CurrentDevice,
    pub(crate) opener: DeviceFactory,
    pub(crate) trouble: DeviceProblem,
    pub(crate) audit: Audit,
    /// The name of this engine's chain of entries.
    pub(crate) chain: String,
    pub(crate) login: Login,
    pub(crate) hashing: Arc<banyan_identity::Hashing>,
    pub(crate) keys: Arc<KeyringCache>,
    pub(crate) auth: crate::config::Auth,
    pub(crate) started_at: Timestamp,
}

/// All services, over one shared value.
#[derive(Clone)]
pub(crate) struct Services(pub(crate) Arc<Shared>);

impl Shared {
    /// What the device has; empty without one. A device that cannot answer is no reason to show nothing at all.
    async fn peers(&self) -> BTreeMap<PublicKey, ObservedPeer> {
        match self.device.load_full() {
            Some(device) => device.peers().await.unwrap_or_default(),
            None => BTreeMap::new(),
        }
    }
}

impl Shared {
    /// Writes down what came of a call. What was done is answered once it is written.
    async fn audited<T>(
        &self,
        entry: AuditEntry,
        result: Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        if result.is_err() {
            self.audit.record(entry);
            return result;
        }
        let written = self.audit.record_and_wait(entry).await;
        written.map_err(|error| {
            let text = format!("it is done, but {error}");
            banyan_api::Unavailable::Store.refusal(text)
        })?;
        result
    }
}

fn parse_name(text: &str) -> Result<Name, Refusal> {
    let name = text.parse();
    name.map_err(|error| Refusal::invalid_argument(format!("{text:?} is no name: {error}")))
}

fn no_such(kind: &str, name: &Name) -> Refusal {
    Refusal::not_found(format!(
        "there is no {kind} {name}; see `banyan {kind} list`"
    ))
}
