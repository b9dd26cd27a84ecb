//! Roles and permissions.

use std::sync::Arc;

use banyan_api::v1::role_service_server::RoleService;
use banyan_api::v1::{
    ListPermissionsRequest, ListPermissionsResponse, ListRolesRequest, ListRolesResponse,
    Permission, Role,
};
use banyan_core::{ENGINE_PERMISSIONS, all_roles};
use banyan_state::State;
use tonic::{Request, Response, Status};

/// Roles and permissions.
pub(crate) struct RolesApi {
    pub(crate) state: Arc<State>,
}

#[tonic::async_trait]
impl RoleService for RolesApi {
    async fn list_roles(
        &self,
        _: Request<ListRolesRequest>,
    ) -> Result<Response<ListRolesResponse>, Status> {
        let view = self.state.view();
        let roles = all_roles(&view.in_force.objects);
        let message =
            |(role, origin): &(_, Option<_>)| Role::new(role, origin.as_ref(), view.directory());
        Ok(Response::new(ListRolesResponse {
            roles: roles.iter().map(message).collect(),
            generation: view.in_force.generation().0,
        }))
    }

    async fn list_permissions(
        &self,
        _: Request<ListPermissionsRequest>,
    ) -> Result<Response<ListPermissionsResponse>, Status> {
        let permission = |(name, allows): &(&str, &str)| Permission {
            name: (*name).to_owned(),
            allows: (*allows).to_owned(),
        };
        Ok(Response::new(ListPermissionsResponse {
            permissions: ENGINE_PERMISSIONS.iter().map(permission).collect(),
        }))
    }
}
