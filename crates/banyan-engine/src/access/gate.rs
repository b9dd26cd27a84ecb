//! The gate over the live state.

use std::sync::Arc;

use banyan_api::ACCESS;
use banyan_core::Access;
use banyan_identity::{Call, Caller, Denied, Gate, Known, Settings};
use banyan_state::State;
use jiff::Timestamp;

use super::KeyringCache;

/// Third-party services. Health is public (for load balancers and images); reflection requires authentication.
const THIRD_PARTY: [(&str, Access); 5] = [
    ("/grpc.health.v1.Health/Check", Access::Anonymous),
    ("/grpc.health.v1.Health/Watch", Access::Anonymous),
    ("/grpc.health.v1.Health/List", Access::Anonymous),
    (
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        Access::Authenticated,
    ),
    (
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        Access::Authenticated,
    ),
];

/// Asks the gate about calls, on the live view and with the keys of the store.
pub(crate) struct LiveGate {
    state: Arc<State>,
    keys: Arc<KeyringCache>,
    gate: Gate,
}

impl LiveGate {
    pub(crate) fn new(state: Arc<State>, keys: Arc<KeyringCache>, settings: Settings) -> Self {
        let ours = ACCESS
            .iter()
            .filter_map(|(path, access)| Some((*path, (*access)?)));
        Self {
            state,
            keys,
            gate: Gate::new(ours.chain(THIRD_PARTY), settings),
        }
    }

    /// Authenticates and authorizes a call.
    ///
    /// # Errors
    /// The call is denied.
    pub(crate) fn authorize(&self, call: Call<'_>, now: Timestamp) -> Result<Caller, Denied> {
        let view = self.state.view();
        let known = Known {
            directory: view.directory(),
            age: self.state.age(),
            keyring: &|| self.keys.at(&view.people.signing_keys, now),
            now,
        };
        self.gate.authorize(call, known)
    }
}
