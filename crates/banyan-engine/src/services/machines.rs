//! Machines, with the device's data about their peers.

use std::collections::BTreeMap;
use std::sync::Arc;

use banyan_api::v1::machine_service_server::MachineService;
use banyan_api::v1::{GetMachineRequest, ListMachinesRequest, ListMachinesResponse, Machine};
use banyan_core::{ObservedPeer, PublicKey};
use banyan_state::State;
use banyan_wireguard::CurrentDevice;
use tonic::{Request, Response, Status};

use super::{no_such, parse_name};

/// The peers of the control tunnel's device.
#[derive(Clone)]
pub(crate) struct DevicePeers(pub(crate) CurrentDevice);

impl DevicePeers {
    /// The device's peers; none without a device, or if it does not answer: machines are listed all the same.
    pub(super) async fn all(&self) -> BTreeMap<PublicKey, ObservedPeer> {
        match self.0.load_full() {
            Some(device) => device.peers().await.unwrap_or_default(),
            None => BTreeMap::new(),
        }
    }
}

/// Machines.
pub(crate) struct MachinesApi {
    pub(crate) state: Arc<State>,
    pub(crate) peers: DevicePeers,
}

#[tonic::async_trait]
impl MachineService for MachinesApi {
    async fn list_machines(
        &self,
        _: Request<ListMachinesRequest>,
    ) -> Result<Response<ListMachinesResponse>, Status> {
        let peers = self.peers.all().await;
        let (view, now) = (self.state.view(), crate::clock::now());
        let machines = view.in_force.objects.machines.values();
        let message = |record| {
            let record: &Arc<banyan_core::Record<banyan_core::Machine>> = record;
            Machine::new(record, peers.get(&record.spec.public_key), now)
        };
        Ok(Response::new(ListMachinesResponse {
            machines: machines.map(message).collect(),
            generation: view.in_force.generation().0,
        }))
    }

    async fn get_machine(
        &self,
        request: Request<GetMachineRequest>,
    ) -> Result<Response<Machine>, Status> {
        let name = parse_name(&request.get_ref().name)?;
        let peers = self.peers.all().await;
        let view = self.state.view();
        let record = view.in_force.objects.machines.get(&name);
        let record = record.ok_or_else(|| no_such("machine", &name))?;
        let peer = peers.get(&record.spec.public_key);
        Ok(Response::new(Machine::new(
            record,
            peer,
            crate::clock::now(),
        )))
    }
}
