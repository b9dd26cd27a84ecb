//! Users.

use banyan_api::v1::user_service_server::UserService;
use banyan_api::v1::{ListUsersRequest, ListUsersResponse, User};
use tonic::{Request, Response, Status};

use super::Services;

#[tonic::async_trait]
impl UserService for Services {
    async fn list_users(
        &self,
        _: Request<ListUsersRequest>,
    ) -> Result<Response<ListUsersResponse>, Status> {
        let (view, now) = (self.0.state.view(), crate::run::now());
        let users = view.in_force.objects.users.values();
        Ok(Response::new(ListUsersResponse {
            users: users.map(|user| User::new(user, now)).collect(),
            generation: view.in_force.generation().0,
        }))
    }
}
