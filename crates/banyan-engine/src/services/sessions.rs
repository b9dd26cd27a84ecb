//! Sessions: who is logged in.

use banyan_api::v1::session_service_server::SessionService;
use banyan_api::v1::{
    ListSessionsRequest, ListSessionsResponse, RevokeSessionsRequest, RevokeSessionsResponse,
    Session,
};
use banyan_api::{denied, timestamp};
use banyan_core::audit::Action;
use banyan_core::{SessionId, UserId};
use banyan_identity::{Caller, DecisionContext, Revoked};
use banyan_state::{Scope, View};
use jiff::Timestamp;
use tonic::{Request, Response, Status};

use super::{Changes, no_such, parse_name};
use crate::access::caller;
use crate::clock::now;

/// The permission to see other users' sessions.
pub(super) const READ: &str = "sessions:read";

/// Sessions.
pub(crate) struct SessionsApi {
    pub(crate) changes: Changes,
}

#[tonic::async_trait]
impl SessionService for SessionsApi {
    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        let by = caller(&request)?;
        let (view, now) = (self.changes.state.view(), now());
        let whose = whose(&view, &by, request.get_ref(), now)?;
        let sessions = list(&view, &by, whose.as_ref(), request.get_ref().ended, now);
        Ok(Response::new(ListSessionsResponse { sessions }))
    }

    async fn revoke_sessions(
        &self,
        request: Request<RevokeSessionsRequest>,
    ) -> Result<Response<RevokeSessionsResponse>, Status> {
        let by = caller(&request)?;
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
                let decide = |at: DecisionContext<'_>| at.revoke_all(&name);
                self.changes
                    .make(Scope::Own, &by, entry, decide, said)
                    .await?
            }
            (id, _) => {
                let id: SessionId = id.parse().map_err(|error| {
                    Status::invalid_argument(format!("{id:?} is no session: {error}"))
                })?;
                let entry = entry.on(&format!("session {id}"));
                let decide = |at: DecisionContext<'_>| at.revoke(&id);
                self.changes
                    .make(Scope::Own, &by, entry, decide, said)
                    .await?
            }
        };
        let ended = revoked.ended;
        Ok(Response::new(RevokeSessionsResponse { ended }))
    }
}

/// Whose sessions are asked for; `None` for all. The host has no sessions of its own, so it gets all.
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
        by.must_hold(READ, directory, now)
            .map_err(|denial| denied(&denial))?;
        return Ok(None);
    }
    let name = parse_name(&request.user)?;
    let found = directory.find(&name);
    let own = found.is_some_and(|person| by.user().is_some_and(|id| person.is(id)));
    if !own {
        by.must_hold(READ, directory, now)
            .map_err(|denial| denied(&denial))?;
    }
    let person = found.ok_or_else(|| no_such("user", &name))?;
    Ok(Some(person.record.spec.id()))
}

/// Sessions, the most recently refreshed first.
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
