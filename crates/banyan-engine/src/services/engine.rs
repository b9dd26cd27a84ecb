//! The engine itself.

use std::sync::Arc;

use banyan_api::timestamp;
use banyan_api::v1::engine_service_server::EngineService;
use banyan_api::v1::{
    AuditHead, BackupChunk, BackupRequest, EngineStatus, GetEngineStatusRequest, GetVersionRequest,
    ListEnginesRequest, ListEnginesResponse, RemoveEngineRequest, RemoveEngineResponse, Version,
};
use banyan_core::Objects;
use banyan_core::audit::Action;
use banyan_repo::EngineContext;
use banyan_state::{Leadership, State};
use banyan_wireguard::{Backend, CurrentDevice, DeviceProblem};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{DevicePeers, Recorder, leader, parse_name};
use crate::access::caller;
use crate::audit::Audit;
use crate::tunnel::device::DeviceFactory;

/// The engine.
pub(crate) struct EngineApi {
    pub(crate) state: Arc<State>,
    pub(crate) context: EngineContext,
    pub(crate) role: watch::Receiver<Leadership>,
    pub(crate) device: CurrentDevice,
    pub(crate) peers: DevicePeers,
    pub(crate) devices: DeviceFactory,
    pub(crate) problem: DeviceProblem,
    pub(crate) audit: Audit,
    /// The name of this engine's audit log.
    pub(crate) chain: String,
    pub(crate) recorder: Recorder,
    pub(crate) started_at: Timestamp,
}

#[tonic::async_trait]
impl EngineService for EngineApi {
    async fn get_status(
        &self,
        _: Request<GetEngineStatusRequest>,
    ) -> Result<Response<EngineStatus>, Status> {
        let peers = self.peers.all().await;
        let view = self.state.view();
        let objects = &view.in_force.objects;
        let device = self.device.load_full();
        let backend = if self.devices.none.is_some() {
            Backend::None
        } else {
            Backend::Userspace
        };
        let addresses = objects
            .cluster
            .as_ref()
            .map(|c| self.devices.addresses(&c.spec, &view));
        let (store_problem, view_age_ms) = self.freshness();
        let role = self.role.borrow().clone();
        Ok(Response::new(EngineStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: Some(timestamp(self.started_at)),
            now: Some(timestamp(crate::clock::now())),
            store: if self.devices.shared_as.is_some() {
                "etcd"
            } else {
                "embedded"
            }
            .to_owned(),
            wireguard: backend.to_string(),
            wireguard_reason: self.devices.none.clone().unwrap_or_default(),
            interface: self.devices.name.to_string(),
            listen_port: device.map_or(0, |d| u32::from(d.listen_port())),
            public_key: self.devices.key.public_key().to_string(),
            addresses: addresses
                .iter()
                .flatten()
                .map(ToString::to_string)
                .collect(),
            peers: count(peers.len()),
            live_peers: count(peers.values().filter(|p| p.is_live()).count()),
            generation: view.in_force.generation().0,
            cluster: cluster_name(objects),
            users: count(view.directory().iter().count()),
            roles: count(objects.roles.len()),
            machines: count(objects.machines.len()),
            age_recipient: self
                .context
                .recipients
                .first()
                .map(ToString::to_string)
                .unwrap_or_default(),
            warnings: self.warnings(),
            name: self.name(),
            role: role.as_str().to_owned(),
            role_reason: role.reason().to_owned(),
            leader: leader(&view),
            engines: count(self.engines().len()),
            store_problem,
            view_age_ms,
            audit: self.audit.head().map(|head| AuditHead {
                engine: self.chain.clone(),
                number: head.seq,
                hash: head.hash.to_string(),
            }),
        }))
    }

    async fn get_version(
        &self,
        _: Request<GetVersionRequest>,
    ) -> Result<Response<Version>, Status> {
        Ok(Response::new(crate::version()))
    }

    async fn list_engines(
        &self,
        _: Request<ListEnginesRequest>,
    ) -> Result<Response<ListEnginesResponse>, Status> {
        let engines = self.engines();
        Ok(Response::new(ListEnginesResponse { engines }))
    }

    async fn remove_engine(
        &self,
        request: Request<RemoveEngineRequest>,
    ) -> Result<Response<RemoveEngineResponse>, Status> {
        let entry = caller(&request)?.did(Action::ENGINE_REMOVED, crate::clock::now());
        let name = parse_name(&request.get_ref().name)?;
        let entry = entry.on(&format!("engine {name}"));
        let removed = self.remove(&name).await;
        (self.recorder)
            .record(entry, removed, |()| String::new())
            .await?;
        Ok(Response::new(RemoveEngineResponse {}))
    }

    type BackupStream = ReceiverStream<Result<BackupChunk, Status>>;

    async fn backup(
        &self,
        request: Request<BackupRequest>,
    ) -> Result<Response<Self::BackupStream>, Status> {
        let entry = caller(&request)?.did(Action::STATE_BACKUP, crate::clock::now());
        let archive = super::backup::archive(&self.state).await;
        let archive = archive.inspect_err(|status| {
            (self.recorder.0).record(entry.clone().refused(status.message()));
        })?;
        // A backup holds every secret of the store.
        self.recorder.require(entry).await?;
        Ok(Response::new(super::backup::stream(archive)))
    }
}

/// How many locked users the status names.
const LOCKED_SHOWN: usize = 5;

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn cluster_name(objects: &Objects) -> String {
    objects
        .cluster
        .as_ref()
        .map(|c| c.spec.name.to_string())
        .unwrap_or_default()
}

impl EngineApi {
    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(reason) = &self.devices.none {
            warnings.push(format!("no packets move: {reason}"));
        }
        if let Some(text) = &*self.problem.borrow() {
            warnings.push(format!("the peers are not up to date: {text}"));
        }
        if self.context.recipients.is_empty() {
            warnings.push("no age identity: a commit with sealed values is refused".to_owned());
        }
        let view = self.state.view();
        let locked = crate::reconcile::locked(view.directory());
        warnings.extend(
            locked
                .map(|line| format!("locked: {line}"))
                .take(LOCKED_SHOWN),
        );
        warnings.push("commit signatures are not verified: whoever can push to the repo can change everything in it".to_owned());
        warnings
    }
}
