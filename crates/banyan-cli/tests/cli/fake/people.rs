//! The services about people: tokens that really rotate, and otherwise what the script says.

use banyan_api::v1::audit_service_server::AuditService;
use banyan_api::v1::auth_service_server::AuthService;
use banyan_api::v1::session_service_server::SessionService;
use banyan_api::v1::signing_key_service_server::SigningKeyService;
use banyan_api::v1::user_service_server::UserService;
use banyan_api::{denied, v1};
use banyan_core::Denial;
use tonic::{Request, Response, Status};

use super::{Fake, at, in_seconds};

/// The one session, and what became of its tokens.
#[derive(Default)]
pub(crate) struct Issued {
    /// The number of the pair that is good.
    pub(crate) number: u32,
    /// Whether its access token has expired.
    pub(crate) expired: bool,
    /// Whether the session has ended.
    pub(crate) ended: bool,
    /// How often somebody asked for a refresh.
    pub(crate) refreshes: u32,
    /// The engine is out of order: a refresh is refused so.
    pub(crate) refuse_refresh: Option<Denial>,
    /// For how many seconds an access token is said to be good; an hour for 0.
    pub(crate) lives: i64,
    /// What happens elsewhere while a call is being refused for its token.
    pub(crate) meanwhile: Option<Meanwhile>,
}

pub(crate) type Meanwhile = Box<dyn FnOnce(&mut Issued) + Send>;

impl Issued {
    fn next(&mut self) -> v1::Tokens {
        self.number += 1;
        self.expired = false;
        let lives = match self.lives {
            0 => 3600,
            lives => lives,
        };
        v1::Tokens {
            access_token: format!("access-{}", self.number),
            access_expires: in_seconds(lives),
            refresh_token: format!("refresh-{}", self.number),
            refresh_expires: in_seconds(7 * 86_400),
            now: in_seconds(0),
            name: "alice".to_owned(),
        }
    }

    fn refresh(&mut self, token: &str) -> Result<v1::Tokens, Denial> {
        self.refreshes += 1;
        if let Some(denial) = &self.refuse_refresh {
            return Err(denial.clone());
        }
        if token != format!("refresh-{}", self.number) {
            self.ended = true;
        }
        match self.ended {
            true => Err(Denial::SessionEnded),
            false => Ok(self.next()),
        }
    }

    fn judge(&mut self, authorization: Option<&str>) -> Result<(), Denial> {
        let Some(token) = authorization else {
            return Err(Denial::NoToken);
        };
        let good = token == format!("Bearer access-{}", self.number);
        let judged = match (self.ended, good && !self.expired) {
            (true, _) => Err(Denial::SessionEnded),
            (false, true) => return Ok(()),
            (false, false) => Err(Denial::Expired),
        };
        if let Some(meanwhile) = self.meanwhile.take() {
            meanwhile(self);
        }
        judged
    }
}

impl Fake {
    /// Refuses a call that lacks a token where one is needed.
    pub(super) fn let_through(&self, request: Request<()>) -> Result<Request<()>, Status> {
        self.judge(&request)?;
        Ok(request)
    }

    fn judge<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let header = request.metadata().get("authorization");
        let header = header.map(|value| value.to_str().unwrap());
        match &self.issued {
            Some(issued) => Ok(issued
                .lock()
                .unwrap()
                .judge(header)
                .map_err(|denial| denied(&denial))?),
            // Over the socket nobody sends one.
            None => {
                assert_eq!(header, None);
                Ok(())
            }
        }
    }

    fn people<T>(&self, asked: impl Into<String>, answer: T) -> Result<Response<T>, Status> {
        self.asked.lock().unwrap().people.push(asked.into());
        if let Some(denial) = self.script().deny {
            return Err(denied(&denial));
        }
        self.answer(answer)
    }

    fn user(&self, name: &str) -> v1::User {
        let users = self.script().users;
        let found = users.into_iter().find(|user| user.name == name);
        found.unwrap_or_else(|| v1::User {
            name: name.to_owned(),
            roles: vec!["viewer".to_owned()],
            state: "active".to_owned(),
            ..v1::User::default()
        })
    }
}

fn enrolment() -> v1::Enrolment {
    v1::Enrolment {
        code: "abcd-efgh-jkmn".to_owned(),
        expires: at("2026-11-22T08:15:30Z"),
    }
}

#[tonic::async_trait]
impl AuthService for Fake {
    async fn login(
        &self,
        request: Request<v1::LoginRequest>,
    ) -> Result<Response<v1::Tokens>, Status> {
        let v1::LoginRequest { name, password } = request.into_inner();
        self.people(format!("login {name} {password}"), ())?;
        let mut issued = self.issued.as_ref().unwrap().lock().unwrap();
        issued.ended = false;
        Ok(Response::new(issued.next()))
    }

    async fn enroll(
        &self,
        request: Request<v1::EnrollRequest>,
    ) -> Result<Response<v1::Tokens>, Status> {
        let asked = request.into_inner();
        let (name, code, password) = (asked.name, asked.code, asked.password);
        self.people(format!("enroll {name} {code} {password}"), ())?;
        let tokens = self.issued.as_ref().unwrap().lock().unwrap().next();
        Ok(Response::new(tokens))
    }

    async fn refresh(
        &self,
        request: Request<v1::RefreshRequest>,
    ) -> Result<Response<v1::Tokens>, Status> {
        let token = request.into_inner().refresh_token;
        let mut issued = self.issued.as_ref().unwrap().lock().unwrap();
        Ok(Response::new(
            issued.refresh(&token).map_err(|denial| denied(&denial))?,
        ))
    }

    async fn logout(
        &self,
        request: Request<v1::LogoutRequest>,
    ) -> Result<Response<v1::LogoutResponse>, Status> {
        self.judge(&request)?;
        self.issued.as_ref().unwrap().lock().unwrap().ended = true;
        self.people("logout", v1::LogoutResponse {})
    }

    async fn who_am_i(
        &self,
        request: Request<v1::WhoAmIRequest>,
    ) -> Result<Response<v1::Identity>, Status> {
        self.judge(&request)?;
        let host = v1::Identity {
            kind: "host".to_owned(),
            permissions: vec!["*".to_owned()],
            ..v1::Identity::default()
        };
        let alice = v1::Identity {
            kind: "user".to_owned(),
            name: "alice".to_owned(),
            id: "0".repeat(32),
            email: "alice@example.org".to_owned(),
            roles: vec!["viewer".to_owned()],
            permissions: vec!["logs:read".to_owned(), "status:read".to_owned()],
            origin: super::git("users/alice.yaml", 1),
            session: self.script().sessions.first().cloned(),
            token_expires: in_seconds(3600),
        };
        let who = if self.issued.is_some() { alice } else { host };
        self.people("who", who)
    }

    async fn change_password(
        &self,
        request: Request<v1::ChangePasswordRequest>,
    ) -> Result<Response<v1::ChangePasswordResponse>, Status> {
        self.judge(&request)?;
        let asked = request.into_inner();
        let asked = format!("password {} {}", asked.current, asked.new);
        self.people(asked, v1::ChangePasswordResponse { ended_sessions: 2 })
    }

    async fn can_i(
        &self,
        request: Request<v1::CanIRequest>,
    ) -> Result<Response<v1::CanIResponse>, Status> {
        self.judge(&request)?;
        let permission = request.into_inner().permission;
        let allowed = self.script().may.contains(&permission);
        let by_roles = match allowed {
            true => vec!["viewer".to_owned()],
            false => Vec::new(),
        };
        let answer = v1::CanIResponse { allowed, by_roles };
        self.people(format!("can-i {permission}"), answer)
    }
}

#[tonic::async_trait]
impl UserService for Fake {
    async fn list_users(
        &self,
        _: Request<v1::ListUsersRequest>,
    ) -> Result<Response<v1::ListUsersResponse>, Status> {
        let users = self.script().users;
        let generation = 7;
        self.people("users", v1::ListUsersResponse { users, generation })
    }

    async fn get_user(
        &self,
        request: Request<v1::GetUserRequest>,
    ) -> Result<Response<v1::GetUserResponse>, Status> {
        let name = request.into_inner().name;
        self.people(format!("show {name}"), self.script().shown)
    }

    async fn add_user(
        &self,
        request: Request<v1::AddUserRequest>,
    ) -> Result<Response<v1::AddUserResponse>, Status> {
        let asked = request.into_inner();
        let answer = v1::AddUserResponse {
            user: Some(self.user(&asked.name)),
            enrolment: asked.password.is_empty().then(enrolment),
        };
        let expires = asked.expires.map(|at| at.seconds);
        let (name, roles, email) = (asked.name, asked.roles, asked.email);
        let password = asked.password;
        let asked = format!("add {name} {roles:?} {email:?} {expires:?} {password:?}");
        self.people(asked, answer)
    }

    async fn set_roles(
        &self,
        request: Request<v1::SetRolesRequest>,
    ) -> Result<Response<v1::User>, Status> {
        let asked = request.into_inner();
        let user = self.user(&asked.name);
        self.people(format!("roles {} {:?}", asked.name, asked.roles), user)
    }

    async fn disable_user(
        &self,
        request: Request<v1::DisableUserRequest>,
    ) -> Result<Response<v1::User>, Status> {
        let name = request.into_inner().name;
        self.people(format!("disable {name}"), self.user(&name))
    }

    async fn enable_user(
        &self,
        request: Request<v1::EnableUserRequest>,
    ) -> Result<Response<v1::User>, Status> {
        let name = request.into_inner().name;
        self.people(format!("enable {name}"), self.user(&name))
    }

    async fn lock_user(
        &self,
        request: Request<v1::LockUserRequest>,
    ) -> Result<Response<v1::LockUserResponse>, Status> {
        let v1::LockUserRequest { name, reason } = request.into_inner();
        let mut answer = v1::LockUserResponse {
            user: Some(self.user(&name)),
            ..v1::LockUserResponse::default()
        };
        if name == "mallory" {
            answer.voided_codes = vec!["dora".to_owned()];
            answer.enrolled = vec![v1::EnrolledUser {
                name: "carl".to_owned(),
                at: None,
            }];
        }
        self.people(format!("lock {name} {reason:?}"), answer)
    }

    async fn unlock_user(
        &self,
        request: Request<v1::UnlockUserRequest>,
    ) -> Result<Response<v1::User>, Status> {
        let name = request.into_inner().name;
        self.people(format!("unlock {name}"), self.user(&name))
    }

    async fn enroll_user(
        &self,
        request: Request<v1::EnrollUserRequest>,
    ) -> Result<Response<v1::Enrolment>, Status> {
        let name = request.into_inner().name;
        self.people(format!("enroll {name}"), enrolment())
    }

    async fn remove_user(
        &self,
        request: Request<v1::RemoveUserRequest>,
    ) -> Result<Response<v1::RemoveUserResponse>, Status> {
        let name = request.into_inner().name;
        let answer = v1::RemoveUserResponse { ended_sessions: 2 };
        self.people(format!("remove {name}"), answer)
    }
}

#[tonic::async_trait]
impl SessionService for Fake {
    async fn list_sessions(
        &self,
        request: Request<v1::ListSessionsRequest>,
    ) -> Result<Response<v1::ListSessionsResponse>, Status> {
        let asked = request.into_inner();
        let asked = format!("sessions {:?} {} {}", asked.user, asked.all, asked.ended);
        let sessions = self.script().sessions;
        self.people(asked, v1::ListSessionsResponse { sessions })
    }

    async fn revoke_sessions(
        &self,
        request: Request<v1::RevokeSessionsRequest>,
    ) -> Result<Response<v1::RevokeSessionsResponse>, Status> {
        let v1::RevokeSessionsRequest { id, user } = request.into_inner();
        let answer = v1::RevokeSessionsResponse { ended: 1 };
        self.people(format!("revoke {id:?} {user:?}"), answer)
    }
}

#[tonic::async_trait]
impl SigningKeyService for Fake {
    async fn list_signing_keys(
        &self,
        _: Request<v1::ListSigningKeysRequest>,
    ) -> Result<Response<v1::ListSigningKeysResponse>, Status> {
        let keys = self.script().keys;
        self.people("keys", v1::ListSigningKeysResponse { keys })
    }

    async fn rotate_signing_key(
        &self,
        request: Request<v1::RotateSigningKeyRequest>,
    ) -> Result<Response<v1::ListSigningKeysResponse>, Status> {
        let asked = format!("rotate {}", request.into_inner().revoke);
        let keys = self.script().keys;
        self.people(asked, v1::ListSigningKeysResponse { keys })
    }
}

#[tonic::async_trait]
impl AuditService for Fake {
    async fn list_audit(
        &self,
        request: Request<v1::ListAuditRequest>,
    ) -> Result<Response<v1::ListAuditResponse>, Status> {
        let asked = request.into_inner();
        let (limit, refused) = (asked.limit, asked.refused);
        let (engine, user, action) = (asked.engine, asked.user, asked.action);
        let asked = format!("audit {limit} {engine:?} {user:?} {action:?} {refused}");
        let entries = self.script().audit;
        self.people(asked, v1::ListAuditResponse { entries })
    }

    async fn verify_audit(
        &self,
        _: Request<v1::VerifyAuditRequest>,
    ) -> Result<Response<v1::VerifyAuditResponse>, Status> {
        let chains = self.script().chains;
        self.people("verify", v1::VerifyAuditResponse { chains })
    }
}
