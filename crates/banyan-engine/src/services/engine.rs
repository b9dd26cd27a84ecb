//! The engine itself.

use banyan_api::timestamp;
use banyan_api::v1::engine_service_server::EngineService;
use banyan_api::v1::{
    AuditHead, BackupChunk, BackupRequest, EngineStatus, GetEngineStatusRequest,
    ListEnginesRequest, ListEnginesResponse, RemoveEngineRequest, RemoveEngineResponse,
};
use banyan_core::Objects;
use banyan_core::audit::Action;
use banyan_wireguard::Backend;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{Services, Shared, parse_name};
use crate::access::Caller;

#[tonic::async_trait]
impl EngineService for Services {
    async fn get_status(
        &self,
        _: Request<GetEngineStatusRequest>,
    ) -> Result<Response<EngineStatus>, Status> {
        let shared = &*self.0;
        let peers = shared.peers().await;
        let view = shared.state.view();
        let objects = &view.in_force.objects;
        let device = shared.device.load_full();
        let backend = if shared.opener.none.is_some() {
            Backend::None
        } else {
            Backend::Userspace
        };
        let addresses = objects
            .cluster
            .as_ref()
            .map(|c| shared.opener.addresses(&c.spec, &view));
        let (store_problem, view_age_ms) = shared.freshness();
        let role = shared.role.borrow().clone();
        Ok(Response::new(EngineStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: Some(timestamp(shared.started_at)),
            now: Some(timestamp(crate::clock::now())),
            store: if shared.opener.shared_as.is_some() {
                "etcd"
            } else {
                "embedded"
            }
            .to_owned(),
            wireguard: backend.to_string(),
            wireguard_reason: shared.opener.none.clone().unwrap_or_default(),
            interface: shared.opener.name.to_string(),
            listen_port: device.map_or(0, |d| u32::from(d.listen_port())),
            public_key: shared.opener.key.public_key().to_string(),
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
            age_recipient: shared
                .own
                .recipients
                .first()
                .map(ToString::to_string)
                .unwrap_or_default(),
            warnings: shared.warnings(),
            name: shared.name(),
            role: role.as_str().to_owned(),
            role_reason: role.reason().to_owned(),
            leader: shared.leader(&view),
            engines: count(shared.engines().len()),
            store_problem,
            view_age_ms,
            audit: shared.audit.head().map(|head| AuditHead {
                engine: shared.chain.clone(),
                number: head.seq,
                hash: head.hash.to_string(),
            }),
        }))
    }

    async fn list_engines(
        &self,
        _: Request<ListEnginesRequest>,
    ) -> Result<Response<ListEnginesResponse>, Status> {
        let engines = self.0.engines();
        Ok(Response::new(ListEnginesResponse { engines }))
    }

    async fn remove_engine(
        &self,
        request: Request<RemoveEngineRequest>,
    ) -> Result<Response<RemoveEngineResponse>, Status> {
        let caller = Caller::of(&request)?;
        let name = parse_name(&request.get_ref().name)?;
        let removed = self.0.remove_engine(&name).await;
        let entry = caller.result(Action::ENGINE_REMOVED, removed.as_ref());
        let entry = entry.on(&format!("engine {name}"));
        self.0.audited(entry, removed).await?;
        Ok(Response::new(RemoveEngineResponse {}))
    }

    type BackupStream = ReceiverStream<Result<BackupChunk, Status>>;

    async fn backup(
        &self,
        request: Request<BackupRequest>,
    ) -> Result<Response<Self::BackupStream>, Status> {
        let caller = Caller::of(&request)?;
        let backup = super::backup::stream(&self.0.state).await;
        let entry = caller.result(Action::STATE_BACKUP, backup.as_ref());
        self.0.audited(entry, backup).await.map(Response::new)
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

impl Shared {
    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(reason) = &self.opener.none {
            warnings.push(format!("no packets move: {reason}"));
        }
        if let Some(text) = &*self.trouble.borrow() {
            warnings.push(format!("the peers are behind: {text}"));
        }
        if self.own.recipients.is_empty() {
            warnings.push("no age identity: a commit with sealed values is refused".to_owned());
        }
        let view = self.state.view();
        let locked = crate::reconcile::locked(view.directory());
        warnings.extend(
            locked
                .map(|line| format!("locked: {line}"))
                .take(LOCKED_SHOWN),
        );
        warnings.push("commit signatures are not verified: whoever can push decides".to_owned());
        warnings
    }
}
