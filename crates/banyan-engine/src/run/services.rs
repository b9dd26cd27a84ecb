//! Each service, from what it uses.

use std::sync::Arc;

use jiff::SignedDuration;
use tokio::sync::watch;

use super::auth::AuthParts;
use super::{Prepared, Wiring};
use crate::Failure;
use crate::clock::now;
use crate::config::Config;
use crate::ops::store::engine_name;
use crate::services::{
    AuditApi, AuthApi, Changes, DevicePeers, EngineApi, GitopsApi, HostApi, MachinesApi, NewLogins,
    Recorder, RolesApi, Services, SessionsApi, SigningKeysApi, UsersApi,
};
use crate::status::Status;

impl Prepared {
    /// The services.
    pub(super) fn services(
        &self,
        config: &Config,
        wiring: &Wiring,
        auth: AuthParts,
        status: watch::Receiver<Arc<Status>>,
    ) -> Result<Services, Failure> {
        let state = || Arc::clone(&self.state);
        let recorder = Recorder(wiring.audit.clone());
        let peers = DevicePeers(Arc::clone(&wiring.device));
        let changes = Changes {
            state: state(),
            recorder: recorder.clone(),
        };
        let logins = NewLogins {
            hashing: auth.hashing,
        };
        let refresh_expiry = SignedDuration::try_from(config.auth.refresh_token_expiry);
        Ok(Services {
            audit: AuditApi { state: state() },
            auth: AuthApi {
                state: state(),
                login: Arc::new(auth.login),
            },
            engine: EngineApi {
                state: state(),
                context: self.context.clone(),
                role: wiring.role.clone(),
                device: Arc::clone(&wiring.device),
                peers: peers.clone(),
                devices: self.devices.clone(),
                problem: wiring.problem.clone(),
                audit: wiring.audit.clone(),
                chain: engine_name(config).to_string(),
                recorder: recorder.clone(),
                started_at: now(),
            },
            gitops: GitopsApi {
                state: state(),
                reader: Arc::clone(&self.reader),
                plans: self.plans()?,
                source: config.source.clone(),
                trigger: wiring.trigger.clone(),
                status,
                reconciler: wiring.reconciler.clone(),
                role: wiring.role.clone(),
                name: wiring.name.clone(),
                recorder,
            },
            host: HostApi {
                changes: changes.clone(),
                logins: logins.clone(),
            },
            machines: MachinesApi {
                state: state(),
                peers,
            },
            roles: RolesApi { state: state() },
            sessions: SessionsApi {
                changes: changes.clone(),
            },
            signing_keys: SigningKeysApi {
                changes: changes.clone(),
                keys: auth.keys,
                refresh_expiry: refresh_expiry.unwrap_or(SignedDuration::MAX),
            },
            users: UsersApi { changes, logins },
        })
    }
}
