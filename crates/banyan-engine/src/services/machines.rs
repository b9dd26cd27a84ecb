//! Machines, with what the device knows of their peers.

use banyan_api::v1::machine_service_server::MachineService;
use banyan_api::v1::{GetMachineRequest, ListMachinesRequest, ListMachinesResponse, Machine};
use tonic::{Request, Response, Status};

use super::{Services, no_such, parse_name};

#[tonic::async_trait]
impl MachineService for Services {
    async fn list_machines(
        &self,
        _: Request<ListMachinesRequest>,
    ) -> Result<Response<ListMachinesResponse>, Status> {
        let peers = self.0.peers().await;
        let (view, now) = (self.0.state.view(), crate::clock::now());
        let machines = view.in_force.objects.machines.values();
        let message = |record| {
            let record: &std::sync::Arc<banyan_core::Record<banyan_core::Machine>> = record;
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
        let peers = self.0.peers().await;
        let view = self.0.state.view();
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
