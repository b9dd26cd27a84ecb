//! Logging in, and oneself.

use banyan_api::timestamp;
use banyan_api::v1::auth_service_server::AuthService;
use banyan_api::v1::{
    CanIRequest, CanIResponse, ChangePasswordRequest, ChangePasswordResponse, EnrollRequest,
    Identity, LoginRequest, LogoutRequest, LogoutResponse, RefreshRequest, Session, Tokens,
    WhoAmIRequest,
};
use banyan_core::Permission;
use tonic::{Request, Response, Status};
use zeroize::Zeroizing;

use super::{Services, Shared};
use crate::access::Caller;
use crate::login::Issued;

#[tonic::async_trait]
impl AuthService for Services {
    async fn login(&self, request: Request<LoginRequest>) -> Result<Response<Tokens>, Status> {
        let caller = Caller::of(&request)?;
        let LoginRequest { name, password } = request.into_inner();
        let issued = self.0.login.login(&caller, &name, password).await?;
        Ok(Response::new(tokens(&issued)))
    }

    async fn enroll(&self, request: Request<EnrollRequest>) -> Result<Response<Tokens>, Status> {
        let caller = Caller::of(&request)?;
        let EnrollRequest {
            name,
            code,
            password,
        } = request.into_inner();
        let code = Zeroizing::new(code);
        let issued = self.0.login.enroll(&caller, &name, &code, password).await?;
        Ok(Response::new(tokens(&issued)))
    }

    async fn refresh(&self, request: Request<RefreshRequest>) -> Result<Response<Tokens>, Status> {
        let caller = Caller::of(&request)?;
        let token = Zeroizing::new(request.into_inner().refresh_token);
        let issued = self.0.login.refresh(&caller, &token).await?;
        Ok(Response::new(tokens(&issued)))
    }

    async fn logout(
        &self,
        request: Request<LogoutRequest>,
    ) -> Result<Response<LogoutResponse>, Status> {
        self.0.login.logout(&Caller::of(&request)?).await?;
        Ok(Response::new(LogoutResponse {}))
    }

    async fn who_am_i(
        &self,
        request: Request<WhoAmIRequest>,
    ) -> Result<Response<Identity>, Status> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(self.0.identity(&caller)?))
    }

    async fn change_password(
        &self,
        request: Request<ChangePasswordRequest>,
    ) -> Result<Response<ChangePasswordResponse>, Status> {
        let caller = Caller::of(&request)?;
        let ChangePasswordRequest { current, new } = request.into_inner();
        let ended_sessions = self.0.login.change_password(&caller, current, new).await?;
        Ok(Response::new(ChangePasswordResponse { ended_sessions }))
    }

    async fn can_i(&self, request: Request<CanIRequest>) -> Result<Response<CanIResponse>, Status> {
        let caller = Caller::of(&request)?;
        let text = &request.get_ref().permission;
        let wanted: Permission = text.parse().map_err(|error| {
            Status::invalid_argument(format!("{text:?} is no permission: {error}"))
        })?;
        Ok(Response::new(self.0.can_i(&caller, &wanted)))
    }
}

impl Shared {
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
        let gone = || Status::from(banyan_api::Denial::SessionEnded);
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
        let person = match caller {
            Caller::Host { .. } => {
                return CanIResponse {
                    allowed: true,
                    by_roles: Vec::new(),
                };
            }
            Caller::User { id, name, .. } => directory.find_id(id, name),
            Caller::Anonymous { .. } => None,
        };
        let Some(person) = person.filter(|person| directory.may(person, wanted, now)) else {
            return CanIResponse::default();
        };
        let roles = person.record.spec.roles.iter();
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
