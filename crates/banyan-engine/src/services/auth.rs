//! Logging in, and the caller's own account.

use std::sync::Arc;

use banyan_api::v1::auth_service_server::AuthService;
use banyan_api::v1::{
    CanIRequest, CanIResponse, ChangePasswordRequest, ChangePasswordResponse, EnrollRequest,
    Identity, LoginRequest, LogoutRequest, LogoutResponse, RefreshRequest, Session, Tokens,
    WhoAmIRequest,
};
use banyan_api::{denied, timestamp};
use banyan_core::{Denial, Permission};
use banyan_identity::Caller;
use banyan_state::State;
use tonic::{Request, Response, Status};
use zeroize::Zeroizing;

use crate::access;
use crate::login::{Issued, Login};

/// Logging in, and the caller's own account.
pub(crate) struct AuthApi {
    pub(crate) state: Arc<State>,
    pub(crate) login: Arc<Login>,
}

#[tonic::async_trait]
impl AuthService for AuthApi {
    async fn login(&self, request: Request<LoginRequest>) -> Result<Response<Tokens>, Status> {
        let caller = access::caller(&request)?;
        let LoginRequest { name, password } = request.into_inner();
        let issued = self.login.login(&caller, &name, password).await?;
        Ok(Response::new(tokens(&issued)))
    }

    async fn enroll(&self, request: Request<EnrollRequest>) -> Result<Response<Tokens>, Status> {
        let caller = access::caller(&request)?;
        let EnrollRequest {
            name,
            code,
            password,
        } = request.into_inner();
        let code = Zeroizing::new(code);
        let issued = self.login.enroll(&caller, &name, &code, password).await?;
        Ok(Response::new(tokens(&issued)))
    }

    async fn refresh(&self, request: Request<RefreshRequest>) -> Result<Response<Tokens>, Status> {
        let caller = access::caller(&request)?;
        let token = Zeroizing::new(request.into_inner().refresh_token);
        let issued = self.login.refresh(&caller, &token).await?;
        Ok(Response::new(tokens(&issued)))
    }

    async fn logout(
        &self,
        request: Request<LogoutRequest>,
    ) -> Result<Response<LogoutResponse>, Status> {
        self.login.logout(&access::caller(&request)?).await?;
        Ok(Response::new(LogoutResponse {}))
    }

    async fn who_am_i(
        &self,
        request: Request<WhoAmIRequest>,
    ) -> Result<Response<Identity>, Status> {
        let caller = access::caller(&request)?;
        Ok(Response::new(self.identity(&caller)?))
    }

    async fn change_password(
        &self,
        request: Request<ChangePasswordRequest>,
    ) -> Result<Response<ChangePasswordResponse>, Status> {
        let caller = access::caller(&request)?;
        let ChangePasswordRequest { current, new } = request.into_inner();
        let ended_sessions = self.login.change_password(&caller, current, new).await?;
        Ok(Response::new(ChangePasswordResponse { ended_sessions }))
    }

    async fn can_i(&self, request: Request<CanIRequest>) -> Result<Response<CanIResponse>, Status> {
        let caller = access::caller(&request)?;
        let text = &request.get_ref().permission;
        let wanted: Permission = text.parse().map_err(|error| {
            Status::invalid_argument(format!("{text:?} is not a permission: {error}"))
        })?;
        Ok(Response::new(self.can_i(&caller, &wanted)))
    }
}

impl AuthApi {
    fn identity(&self, caller: &Caller) -> Result<Identity, Status> {
        let (view, now) = (self.state.view(), crate::clock::now());
        let directory = view.directory();
        let permissions = caller.powers(directory, now);
        let permissions = permissions.iter().map(ToString::to_string).collect();
        let Caller::User {
            id,
            name,
            session,
            token_expires,
            ..
        } = caller
        else {
            return Ok(Identity {
                kind: "host".to_owned(),
                permissions,
                ..Identity::default()
            });
        };
        let gone = || denied(&Denial::SessionEnded);
        let person = directory.find_id(id, name).ok_or_else(gone)?;
        let user = &person.record.spec;
        let account = person.account.map(|account| &**account);
        let live = view.people.sessions.get(session);
        Ok(Identity {
            kind: "user".to_owned(),
            name: name.to_string(),
            id: id.to_string(),
            email: user.email.clone().unwrap_or_default(),
            roles: user.roles.iter().map(ToString::to_string).collect(),
            permissions,
            origin: Some((&person.record.origin).into()),
            session: live.map(|live| Session {
                current: true,
                ..Session::new(session, live, account, now)
            }),
            token_expires: Some(timestamp(*token_expires)),
        })
    }

    fn can_i(&self, caller: &Caller, wanted: &Permission) -> CanIResponse {
        let (view, now) = (self.state.view(), crate::clock::now());
        let directory = view.directory();
        if !caller.may(wanted, directory, now) {
            return CanIResponse::default();
        }
        let person = caller.person(directory);
        let roles = person.iter().flat_map(|person| &person.record.spec.roles);
        let giving = roles.filter(|role| directory.objects.role_covers(role, wanted));
        CanIResponse {
            allowed: true,
            by_roles: giving.map(ToString::to_string).collect(),
        }
    }
}

fn tokens(issued: &Issued) -> Tokens {
    Tokens {
        access_token: issued.access.expose().to_owned(),
        access_expires: Some(timestamp(issued.access_expires)),
        refresh_token: issued.refresh.expose().to_owned(),
        refresh_expires: Some(timestamp(issued.refresh_expires)),
        now: Some(timestamp(issued.now)),
        name: issued.name.to_string(),
    }
}
