//! Break-glass, for whoever has the engine's host.

use banyan_api::Denial;
use banyan_api::v1::host_service_server::HostService;
use banyan_api::v1::{RecoverAdminRequest, RecoverAdminResponse};
use banyan_core::audit::Action;
use banyan_state::Scope;
use tonic::{Request, Response, Status};

use super::people::internal;
use super::{Services, parse_name};
use crate::access::Caller;
use crate::clock::now;
use crate::people::random_id;
use crate::people::recover::{ADMIN, Recovered, Recovery};

#[tonic::async_trait]
impl HostService for Services {
    async fn recover_admin(
        &self,
        request: Request<RecoverAdminRequest>,
    ) -> Result<Response<RecoverAdminResponse>, Status> {
        let by = Caller::of(&request)?;
        if !matches!(by, Caller::Host { .. }) {
            // The access layer lets nobody else through; here it would be everything at once.
            let takes = "the engine's host".to_owned();
            return Err(Denial::NotPermitted { takes }.into());
        }
        let request = request.into_inner();
        let name = match request.name.as_str() {
            "" => parse_name(ADMIN)?,
            name => parse_name(name)?,
        };
        let login = self.0.new_login(request.password).await?;
        let wanted = Recovery {
            name: name.clone(),
            id: random_id().map_err(|error| internal(&error))?,
            login: login.first.clone(),
            only_if_none: request.only_if_none,
        };
        let entry = by.did(Action::HOST_RECOVER_ADMIN, now());
        let entry = entry.on(&format!("user {name}"));
        let at = entry.at;
        let recovered = self
            .0
            .change(
                Scope::Powers,
                &by,
                entry,
                |ground| ground.recover(&wanted),
                Recovered::detail,
            )
            .await?;
        let set = recovered.login_set;
        Ok(Response::new(RecoverAdminResponse {
            user: Some(self.0.user(&recovered.name)?),
            enrolment: login.enrolment(at).filter(|_| set),
            done: recovered.done,
        }))
    }
}
