//! Break-glass recovery from the engine's host.

use banyan_api::denied;
use banyan_api::v1::host_service_server::HostService;
use banyan_api::v1::{RecoverAdminRequest, RecoverAdminResponse};
use banyan_core::audit::Action;
use banyan_identity::{ADMIN, Caller, Recovered, Recovery, host_only};
use banyan_state::Scope;
use tonic::{Request, Response, Status};

use super::{Changes, NewLogins, parse_name};
use crate::access::caller;
use crate::clock::now;
use crate::random;
use crate::refusal::internal;

/// Break-glass recovery.
pub(crate) struct HostApi {
    pub(crate) changes: Changes,
    pub(crate) logins: NewLogins,
}

#[tonic::async_trait]
impl HostService for HostApi {
    async fn recover_admin(
        &self,
        request: Request<RecoverAdminRequest>,
    ) -> Result<Response<RecoverAdminResponse>, Status> {
        let by = caller(&request)?;
        if !matches!(by, Caller::Host { .. }) {
            // The gate admits no other caller. It is checked again because this call grants everything.
            return Err(denied(&host_only()));
        }
        let request = request.into_inner();
        let name = match request.name.as_str() {
            "" => parse_name(ADMIN)?,
            name => parse_name(name)?,
        };
        let login = self.logins.make(request.password).await?;
        let wanted = Recovery {
            name: name.clone(),
            id: random::id().map_err(|error| internal(&error))?,
            login: login.first.clone(),
            only_if_none: request.only_if_none,
        };
        let entry = by.did(Action::HOST_RECOVER_ADMIN, now());
        let entry = entry.on(&format!("user {name}"));
        let at = entry.at;
        let recovered = self
            .changes
            .make(
                Scope::Powers,
                &by,
                entry,
                |at| at.recover(&wanted),
                Recovered::detail,
            )
            .await?;
        let set = recovered.login_set;
        Ok(Response::new(RecoverAdminResponse {
            user: Some(self.changes.user(&recovered.name)?),
            enrolment: login.enrolment(at).filter(|_| set),
            done: recovered.done,
        }))
    }
}
