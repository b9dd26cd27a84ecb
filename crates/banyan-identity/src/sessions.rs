//! Ending sessions on request: decisions.

use banyan_core::people::{EndReason, Ended, Session, Write};
use banyan_core::{Name, SessionId};

use crate::context::{Decision, DecisionContext};
use crate::refused::ChangeRefused;

/// The permission to end other users' sessions.
const REVOKE: &str = "sessions:revoke";

/// What was ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// Whose sessions.
    pub user: Name,
    /// How many.
    pub ended: u32,
}

impl DecisionContext<'_> {
    /// Ends a session: the caller's own, or, with the permission, another user's. Does nothing if it has ended.
    ///
    /// # Errors
    /// The change is refused.
    pub fn revoke(&self, id: &SessionId) -> Decision<Revoked> {
        let found = self.directory.people.sessions.get(id);
        let own = found.is_some_and(|session| self.by.user() == Some(&session.user));
        if !own {
            self.by.must_hold(REVOKE, self.directory, self.now)?;
        }
        let Some(session) = found else {
            return Err(ChangeRefused::NoSession(id.to_string()));
        };
        if let Some(person) = self.directory.find_id(&session.user, &session.name) {
            self.not_above(&person)?;
        }
        let over = self.directory.session_end(session, self.now).is_some();
        let revoked = |ended| Revoked {
            user: session.name.clone(),
            ended,
        };
        if over {
            return Ok((Vec::new(), revoked(0)));
        }
        let ended = Ended {
            at: self.now,
            because: EndReason::Revoked,
        };
        let session = Session {
            ended: Some(ended),
            ..Session::clone(session)
        };
        let write = Write::Session(id.clone(), Some(session));
        Ok((vec![write], revoked(1)))
    }

    /// Ends all sessions of a user.
    ///
    /// # Errors
    /// The change is refused.
    pub fn revoke_all(&self, name: &Name) -> Decision<Revoked> {
        let found = self.directory.find(name);
        let own = found.is_some_and(|person| self.by.user().is_some_and(|id| person.is(id)));
        if !own {
            self.by.must_hold(REVOKE, self.directory, self.now)?;
        }
        let person = self.find(name)?;
        self.not_above(&person)?;
        let ended = self.live(&person);
        let revoked = Revoked {
            user: name.clone(),
            ended,
        };
        if ended == 0 {
            return Ok((Vec::new(), revoked));
        }
        let account = self.ending(&person, EndReason::Revoked);
        let write = Write::Account(person.record.spec.id(), Some(account));
        Ok((vec![write], revoked))
    }
}
