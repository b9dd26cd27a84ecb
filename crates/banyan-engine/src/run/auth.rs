//! Authentication: the parts that several tasks and services share.

use std::sync::Arc;

use banyan_identity::{Cost, Keyring, Limits};
use banyan_state::State;
use tokio_util::task::TaskTracker;

use crate::Failure;
use crate::access::{Denials, GateLayer, KeyringCache, LiveGate};
use crate::audit::Audit;
use crate::config::Config;
use crate::login::{Hashing, Login};
use crate::ops::metrics::Metrics;

/// How many passwords may wait to be hashed.
const HASHING_QUEUE: usize = 64;

/// The parts.
pub(super) struct AuthParts {
    pub(super) gate: GateLayer,
    pub(super) login: Login,
    pub(super) hashing: Arc<Hashing>,
    pub(super) keys: Arc<KeyringCache>,
}

impl AuthParts {
    /// Starts the threads that hash passwords, and puts the gate together.
    pub(super) fn new(
        config: &Config,
        state: &Arc<State>,
        audit: &Audit,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, Failure> {
        let secret = config.auth.jwt_secret.as_ref();
        let shared = secret.map(Keyring::shared).transpose();
        let shared =
            shared.map_err(|error| Failure::setup("use the configured JWT secret", error))?;
        let keys = Arc::new(KeyringCache::new(shared));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = cores.saturating_sub(1).max(1);
        let hashing = Hashing::new(Cost::STANDARD, threads, HASHING_QUEUE);
        let hashing = hashing.map_err(|error| Failure::setup("start hashing passwords", error))?;
        let hashing = Arc::new(hashing);
        let settings = config.auth.settings();
        let denials = Denials::new(audit.clone(), Arc::clone(metrics));
        let gate = LiveGate::new(Arc::clone(state), Arc::clone(&keys), settings.clone());
        Ok(Self {
            gate: GateLayer {
                gate: Arc::new(gate),
                denials: denials.clone(),
                trusted: config.auth.trusted_proxies.clone().into(),
                calls: TaskTracker::new(),
            },
            login: Login {
                state: Arc::clone(state),
                keys: Arc::clone(&keys),
                settings,
                hashing: Arc::clone(&hashing),
                limits: Limits::new(),
                denials,
                audit: audit.clone(),
                metrics: Arc::clone(metrics),
                began: std::time::Instant::now(),
            },
            hashing,
            keys,
        })
    }
}
