//! Who calls.

use std::collections::BTreeSet;

use banyan_api::Denial;
use banyan_core::audit::{Action, Actor, AuditEntry, Text};
use banyan_core::people::Directory;
use banyan_core::{Name, Permission, SessionId, UserId};
use jiff::Timestamp;
use tonic::{Request, Status};

/// Who makes a call. The access layer puts one into each request that it lets through, whether a machine's key has to be
/// proved besides or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Whoever has the engine's host, over the local socket: may do everything.
    Host {
        /// The process's user id.
        uid: u32,
    },
    /// A person with a live session.
    User {
        /// Never used again.
        id: UserId,
        /// The name.
        name: Name,
        /// The session.
        session: SessionId,
        /// When the token of this call expires.
        token_expires: Timestamp,
        /// Where the call comes from: an address, or `local socket`.
        via: String,
    },
    /// Nobody who is known; calls that anybody may make.
    Anonymous {
        /// Where the call comes from.
        via: String,
    },
}

/// What a call over the local socket is said to come from.
pub(crate) const LOCAL: &str = "local socket";

impl Caller {
    /// The caller of a request.
    ///
    /// # Errors
    /// The request did not come through the access layer; it must not be served.
    pub(crate) fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        let caller = request.extensions().get::<Self>().cloned();
        caller.ok_or_else(|| Status::internal("the call was not checked, so it is not served"))
    }

    /// What is written down as who did something: a user's name, or `host`.
    pub(crate) fn label(&self) -> String {
        match self {
            Self::Host { .. } => "host".to_owned(),
            Self::User { name, .. } => name.to_string(),
            Self::Anonymous { .. } => "nobody".to_owned(),
        }
    }

    /// Who it is for the audit log.
    pub(crate) fn actor(&self) -> Actor {
        match self {
            Self::Host { uid } => Actor::Host { uid: *uid },
            Self::User { id, name, .. } => Actor::User {
                id: Text::new(id.as_str()),
                name: Text::new(name.as_str()),
            },
            Self::Anonymous { .. } => Actor::Nobody { claimed: None },
        }
    }

    /// An entry of the audit log about something that the caller did.
    pub(crate) fn did(&self, action: Action, at: Timestamp) -> AuditEntry {
        AuditEntry::new(at, self.actor(), action).via(self.via())
    }

    /// The entry about what came of a call.
    pub(crate) fn result<T>(&self, action: Action, result: Result<&T, &Status>) -> AuditEntry {
        let entry = self.did(action, crate::clock::now());
        match result {
            Ok(_) => entry,
            Err(status) => entry.refused(status.message()),
        }
    }

    /// Where the call comes from.
    pub(crate) fn via(&self) -> &str {
        match self {
            Self::Host { .. } => LOCAL,
            Self::User { via, .. } | Self::Anonymous { via } => via,
        }
    }

    /// The user's id; nothing for the host.
    pub(crate) fn user(&self) -> Option<&UserId> {
        match self {
            Self::User { id, .. } => Some(id),
            _ => None,
        }
    }

    /// What the caller may do at `now`, which is also all that they may give to others.
    pub(crate) fn powers(&self, directory: Directory<'_>, now: Timestamp) -> BTreeSet<Permission> {
        match self {
            Self::Host { .. } => [Permission::everything()].into(),
            Self::User { id, name, .. } => (directory.find_id(id, name))
                .map(|person| directory.permissions(&person, now))
                .unwrap_or_default(),
            Self::Anonymous { .. } => BTreeSet::new(),
        }
    }

    /// Refuses a caller who does not hold a permission at `now`.
    ///
    /// # Errors
    /// What it takes.
    pub(crate) fn must_hold(
        &self,
        permission: &'static str,
        directory: Directory<'_>,
        now: Timestamp,
    ) -> Result<(), Denial> {
        let takes = || Denial::NotPermitted {
            takes: format!("the permission {permission}"),
        };
        let wanted: Permission = permission.parse().map_err(|_| takes())?;
        let holds = match self {
            Self::Host { .. } => true,
            Self::User { id, name, .. } => (directory.find_id(id, name))
                .is_some_and(|person| directory.may(&person, &wanted, now)),
            Self::Anonymous { .. } => false,
        };
        if holds { Ok(()) } else { Err(takes()) }
    }
}
