//! Users, whatever declares them.

use std::collections::BTreeSet;

use banyan_api::v1::user_service_server::UserService;
use banyan_api::v1::{
    AddUserRequest, AddUserResponse, DisableUserRequest, EnableUserRequest, EnrollUserRequest,
    EnrolledUser, Enrolment, GetUserRequest, GetUserResponse, ListUsersRequest, ListUsersResponse,
    LockUserRequest, LockUserResponse, RemoveUserRequest, RemoveUserResponse, SetRolesRequest,
    UnlockUserRequest, User,
};
use banyan_api::{timestamp, to_jiff};
use banyan_core::Name;
use banyan_core::audit::{Action, AuditEntry};
use banyan_core::people::Session;
use banyan_identity::{Caller, Locked, NewUser, RolesSet, Taken};
use banyan_state::Scope;
use tonic::{Request, Response, Status};

use super::changes::live_sessions;
use super::new_login::NewLogin;
use super::{Changes, NewLogins, no_such, parse_name, sessions};
use crate::access::caller;
use crate::clock::now;
use crate::random;
use crate::refusal::internal;

/// The role of a new user for whom none is given.
const DEFAULT_ROLE: &str = "viewer";

/// Users.
pub(crate) struct UsersApi {
    pub(crate) changes: Changes,
    pub(crate) logins: NewLogins,
}

#[tonic::async_trait]
impl UserService for UsersApi {
    async fn list_users(
        &self,
        _: Request<ListUsersRequest>,
    ) -> Result<Response<ListUsersResponse>, Status> {
        let (view, now) = (self.changes.state.view(), now());
        let live = live_sessions(&view, now);
        let users = view.directory().iter().map(|person| {
            let sessions = live.get(&person.record.spec.id()).copied();
            User::new(view.directory(), &person, sessions.unwrap_or(0), now)
        });
        Ok(Response::new(ListUsersResponse {
            users: users.collect(),
            generation: view.in_force.generation().0,
        }))
    }

    async fn get_user(
        &self,
        request: Request<GetUserRequest>,
    ) -> Result<Response<GetUserResponse>, Status> {
        let by = caller(&request)?;
        let name = parse_name(&request.get_ref().name)?;
        let (view, now) = (self.changes.state.view(), now());
        let directory = view.directory();
        let person = directory
            .find(&name)
            .ok_or_else(|| no_such("user", &name))?;
        let live = directory.live_sessions(now).map(|(_, session)| &**session);
        let theirs: Vec<&Session> = live.filter(|session| person.is(&session.user)).collect();
        let own = by.user().is_some_and(|id| person.is(id));
        let may_read = own || by.must_hold(sessions::READ, directory, now).is_ok();
        let lacks = (!may_read).then_some(sessions::READ);
        Ok(Response::new(GetUserResponse {
            generation: view.in_force.generation().0,
            ..GetUserResponse::new(directory, &person, &theirs, lacks, now)
        }))
    }

    async fn add_user(
        &self,
        request: Request<AddUserRequest>,
    ) -> Result<Response<AddUserResponse>, Status> {
        let by = caller(&request)?;
        let request = request.into_inner();
        let name = parse_name(&request.name)?;
        let mut roles = parse_roles(&request.roles)?;
        if roles.is_empty() {
            roles.insert(parse_name(DEFAULT_ROLE)?);
        }
        let expires = request.expires.as_ref().map(|at| {
            to_jiff(at)
                .ok_or_else(|| Status::invalid_argument("there is no such time to expire at"))
        });
        let login = self.logins.make(request.password).await?;
        let new = NewUser {
            name: name.clone(),
            id: random::id().map_err(|error| internal(&error))?,
            email: Some(request.email).filter(|email| !email.is_empty()),
            roles,
            expires: expires.transpose()?,
            login: login.first.clone(),
        };
        let entry = about(&by, Action::USER_ADD, &name);
        let at = entry.at;
        let said = |(): &()| format!("roles {}", list(&new.roles));
        self.changes
            .make(Scope::Powers, &by, entry, |at| at.add(&new), said)
            .await?;
        Ok(Response::new(AddUserResponse {
            user: Some(self.changes.user(&name)?),
            enrolment: login.enrolment(at),
        }))
    }

    async fn set_roles(&self, request: Request<SetRolesRequest>) -> Result<Response<User>, Status> {
        let by = caller(&request)?;
        let name = parse_name(&request.get_ref().name)?;
        let roles = parse_roles(&request.get_ref().roles)?;
        let entry = about(&by, Action::USER_SET_ROLES, &name);
        let said = |set: &RolesSet| {
            let roles = format!("roles {}; before {}", list(&roles), list(&set.before));
            match voided(&set.voided) {
                none if none.is_empty() => roles,
                voided => format!("{roles}; {voided}"),
            }
        };
        self.changes
            .make(
                Scope::Powers,
                &by,
                entry,
                |at| at.set_roles(&name, &roles),
                said,
            )
            .await?;
        self.changes.user(&name).map(Response::new)
    }

    async fn disable_user(
        &self,
        request: Request<DisableUserRequest>,
    ) -> Result<Response<User>, Status> {
        let by = caller(&request)?;
        let name = parse_name(&request.get_ref().name)?;
        let entry = about(&by, Action::USER_DISABLE, &name);
        self.changes
            .make(Scope::Powers, &by, entry, |at| at.disable(&name), lost)
            .await?;
        self.changes.user(&name).map(Response::new)
    }

    async fn enable_user(
        &self,
        request: Request<EnableUserRequest>,
    ) -> Result<Response<User>, Status> {
        let by = caller(&request)?;
        let name = parse_name(&request.get_ref().name)?;
        let entry = about(&by, Action::USER_ENABLE, &name);
        self.changes
            .make(Scope::Powers, &by, entry, |at| at.enable(&name), nothing)
            .await?;
        self.changes.user(&name).map(Response::new)
    }

    async fn lock_user(
        &self,
        request: Request<LockUserRequest>,
    ) -> Result<Response<LockUserResponse>, Status> {
        let by = caller(&request)?;
        let request = request.into_inner();
        let name = parse_name(&request.name)?;
        let entry = about(&by, Action::USER_LOCK, &name);
        let said = |locked: &Locked| {
            let mut parts = Vec::new();
            parts.extend(Some(request.reason.trim()).filter(|reason| !reason.is_empty()));
            if locked.emergency {
                parts.push("emergency lock by users:lock");
            }
            let lost = lost(&locked.taken);
            parts.push(&lost);
            parts.join("; ")
        };
        let locked = (self.changes)
            .make(
                Scope::Powers,
                &by,
                entry,
                |at| at.lock(&name, &request.reason),
                said,
            )
            .await?;
        let enrolled = |(name, at): (Name, _)| EnrolledUser {
            name: name.to_string(),
            at: Some(timestamp(at)),
        };
        Ok(Response::new(LockUserResponse {
            user: Some(self.changes.user(&name)?),
            voided_codes: locked.taken.voided.iter().map(Name::to_string).collect(),
            enrolled: locked.enrolled.into_iter().map(enrolled).collect(),
        }))
    }

    async fn unlock_user(
        &self,
        request: Request<UnlockUserRequest>,
    ) -> Result<Response<User>, Status> {
        let by = caller(&request)?;
        let name = parse_name(&request.get_ref().name)?;
        let entry = about(&by, Action::USER_UNLOCK, &name);
        self.changes
            .make(Scope::Powers, &by, entry, |at| at.unlock(&name), nothing)
            .await?;
        self.changes.user(&name).map(Response::new)
    }

    async fn enroll_user(
        &self,
        request: Request<EnrollUserRequest>,
    ) -> Result<Response<Enrolment>, Status> {
        let by = caller(&request)?;
        let name = parse_name(&request.get_ref().name)?;
        let login = NewLogin::code()?;
        let entry = about(&by, Action::USER_ENROLL, &name);
        let at = entry.at;
        self.changes
            .make(
                Scope::Powers,
                &by,
                entry,
                |at| at.enroll(&name, &login.first),
                nothing,
            )
            .await?;
        let enrolment = login.enrolment(at);
        let enrolment = enrolment.ok_or_else(|| Status::internal("there is no code"))?;
        Ok(Response::new(enrolment))
    }

    async fn remove_user(
        &self,
        request: Request<RemoveUserRequest>,
    ) -> Result<Response<RemoveUserResponse>, Status> {
        let by = caller(&request)?;
        let name = parse_name(&request.get_ref().name)?;
        let entry = about(&by, Action::USER_REMOVE, &name);
        let lost = self
            .changes
            .make(Scope::Powers, &by, entry, |at| at.remove(&name), lost)
            .await?;
        Ok(Response::new(RemoveUserResponse {
            ended_sessions: lost.ended,
        }))
    }
}

fn about(by: &Caller, action: Action, name: &Name) -> AuditEntry {
    by.did(action, now()).on(&format!("user {name}"))
}

fn nothing((): &()) -> String {
    String::new()
}

/// What a user lost, for the audit log.
fn lost(taken: &Taken) -> String {
    let ended = match taken.ended {
        1 => "1 session ended".to_owned(),
        count => format!("{count} sessions ended"),
    };
    match voided(&taken.voided) {
        none if none.is_empty() => ended,
        voided => format!("{ended}; {voided}"),
    }
}

fn voided(users: &[Name]) -> String {
    let names: Vec<&str> = users.iter().map(Name::as_str).collect();
    match users {
        [] => String::new(),
        _ => format!("one-time codes void: {}", names.join(", ")),
    }
}

fn parse_roles(texts: &[String]) -> Result<BTreeSet<Name>, Status> {
    texts.iter().map(|text| parse_name(text)).collect()
}

fn list(names: &BTreeSet<Name>) -> String {
    let names: Vec<&str> = names.iter().map(Name::as_str).collect();
    names.join(", ")
}
