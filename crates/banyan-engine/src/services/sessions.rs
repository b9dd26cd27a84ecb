//! Sessions: who is logged in.

use banyan_api::timestamp;
use banyan_api::v1::session_service_server::SessionService;
use banyan_api::v1::{
    ListSessionsRequest, ListSessionsResponse, RevokeSessionsRequest, RevokeSessionsResponse,
    Session,
};
use banyan_core::audit::Action;
use banyan_core::{SessionId, UserId};
use banyan_state::{Scope, View};
use jiff::Timestamp;
use tonic::{Request, Response, Status};

use super::{Services, no_such, parse_name};
use crate::access::Caller;
use crate::clock::now;
use crate::people::sessions::Revoked;

/// What it takes to see sessions that are not one's own.
const READ: &str = "sessions:read";

#[tonic::async_trait]
impl SessionService for Services {
    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        let by = Caller::of(&request)?;
        let (view, now) = (self.0.state.view(), now());
        let whose = whose(&view, &by, request.get_ref(), now)?;
        let sessions = list(&view, &by, whose.as_ref(), request.get_ref().ended, now);
        Ok(Response::new(ListSessionsResponse { sessions }))
    }

    async fn revoke_sessions(
        &self,
        request: Request<RevokeSessionsRequest>,
    ) -> Result<Response<RevokeSessionsResponse>, Status> {
        let by = Caller::of(&request)?;
        let request = request.into_inner();
        let entry = by.did(Action::SESSION_REVOKE, now());
        let said = |revoked: &Revoked| format!("user {}: {} ended", revoked.user, revoked.ended);
        let revoked = match (request.id.as_str(), request.user.as_str()) {
            ("", "") => {
                let text = "say which: the id of a session, or a user";
                return Err(Status::invalid_argument(text));
            }
            ("", user) => {
                let name = parse_name(user)?;
                let entry = entry.on(&format!("user {name}"));
                let decide = |ground: crate::people::DecisionContext<'_>| ground.revoke_all(&name);
                self.0.change(Scope::Own, &by, entry, decide, said).await?
            }
            (id, _) => {
                let id: SessionId = id.parse().map_err(|error| {
                    Status::invalid_argument(format!("{id:?} is no session: {error}"))
                })?;
                let entry = entry.on(&format!("session {id}"));
                let decide = |ground: crate::people::DecisionContext<'_>| ground.revoke(&id);
                self.0.change(Scope::Own, &by, entry, decide, said).await?
            }
        };
        let ended = revoked.ended;
        Ok(Response::new(RevokeSessionsResponse { ended }))
    }
}

/// Whose sessions are asked for; everybody's when nobody's. The host has none of its own, so it is told of all.
fn whose(
    view: &View,
    by: &Caller,
    request: &ListSessionsRequest,
    now: Timestamp,
) -> Result<Option<UserId>, Status> {
    let directory = view.directory();
    if request.user.is_empty() && !request.all {
        return Ok(by.user().cloned());
    }
    if request.user.is_empty() {
        by.must_hold(READ, directory, now)?;
        return Ok(None);
    }
    let name = parse_name(&request.user)?;
    let found = directory.find(&name);
    let own = found.is_some_and(|person| by.user().is_some_and(|id| person.is(id)));
    if !own {
        by.must_hold(READ, directory, now)?;
    }
    let person = found.ok_or_else(|| no_such("user", &name))?;
    Ok(Some(person.record.spec.id()))
}

/// Sessions, those that were refreshed last first.
fn list(
    view: &View,
    by: &Caller,
    whose: Option<&UserId>,
    ended: bool,
    now: Timestamp,
) -> Vec<Session> {
    let directory = view.directory();
    let own = match by {
        Caller::User { session, .. } => Some(session),
        _ => None,
    };
    let asked = view.people.sessions.iter();
    let asked = asked.filter(|(_, session)| whose.is_none_or(|user| session.user == *user));
    let mut found: Vec<_> = asked
        .map(|(id, session)| (id, session, directory.session_end(session, now)))
        .filter(|(_, _, end)| ended || end.is_none())
        .collect();
    found.sort_by_key(|(id, session, _)| (std::cmp::Reverse(session.current.issued), *id));
    let message = found.into_iter().map(|(id, session, end)| {
        let account = view.people.accounts.get(&session.user);
        Session {
            ended: end.as_ref().map(|end| timestamp(end.at)),
            ended_because: end.map(|end| end.because.to_string()).unwrap_or_default(),
            current: own == Some(id),
            ..Session::new(id, session, account.map(|account| &**account), now)
        }
    });
    message.collect()
}
