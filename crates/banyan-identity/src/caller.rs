//! Who calls.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use banyan_core::audit::{Action, Actor, AuditEntry, Text};
use banyan_core::people::{Directory, Issuer, Person};
use banyan_core::{Denial, Name, Permission, SessionId, UserId};
use jiff::Timestamp;

/// Where a call comes from, as reported by the kernel or a trusted proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerAddr {
    /// The local socket, which only the host's root and the engine's own user can open.
    Socket {
        /// The process's user id.
        uid: u32,
    },
    /// The network.
    Address(IpAddr),
    /// A connection without a known origin.
    Unknown,
}

impl fmt::Display for PeerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket { .. } => f.write_str(LOCAL),
            Self::Address(address) => write!(f, "{address}"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// The principal that makes a call, whether or not a machine's key is proved beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// The administrator of the engine's host, over the local socket. May do everything.
    Host {
        /// The process's user id.
        uid: u32,
    },
    /// A user with a live session.
    User {
        /// The user's id, which is never reused.
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
    /// An unauthenticated caller, of calls that need no authentication.
    Anonymous {
        /// Where the call comes from.
        via: String,
    },
}

/// The origin that is shown for calls over the local socket.
pub const LOCAL: &str = "local socket";

impl Caller {
    /// The name under which actions are recorded: the user's name, or `host`.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Host { .. } => "host".to_owned(),
            Self::User { name, .. } => name.to_string(),
            Self::Anonymous { .. } => "nobody".to_owned(),
        }
    }

    /// The caller in the audit log.
    #[must_use]
    pub fn actor(&self) -> Actor {
        match self {
            Self::Host { uid } => Actor::Host { uid: *uid },
            Self::User { id, name, .. } => Actor::User {
                id: Text::new(id.as_str()),
                name: Text::new(name.as_str()),
            },
            Self::Anonymous { .. } => Actor::Nobody { claimed: None },
        }
    }

    /// An audit entry about an action of the caller.
    #[must_use]
    pub fn did(&self, action: Action, at: Timestamp) -> AuditEntry {
        AuditEntry::new(at, self.actor(), action).via(self.via())
    }

    /// Where the call comes from.
    #[must_use]
    pub fn via(&self) -> &str {
        match self {
            Self::Host { .. } => LOCAL,
            Self::User { via, .. } | Self::Anonymous { via } => via,
        }
    }

    /// The user's id; `None` for the host and for anonymous callers.
    #[must_use]
    pub fn user(&self) -> Option<&UserId> {
        match self {
            Self::User { id, .. } => Some(id),
            _ => None,
        }
    }

    /// The caller as the issuer of one-time codes; `None` for anonymous callers.
    #[must_use]
    pub fn issuer(&self) -> Option<Issuer> {
        match self {
            Self::Host { .. } => Some(Issuer::Host),
            Self::User { id, name, .. } => Some(Issuer::User {
                id: id.clone(),
                name: name.clone(),
            }),
            Self::Anonymous { .. } => None,
        }
    }

    /// The user that calls, if it still exists.
    #[must_use]
    pub fn person<'a>(&self, directory: Directory<'a>) -> Option<Person<'a>> {
        match self {
            Self::User { id, name, .. } => directory.find_id(id, name),
            _ => None,
        }
    }

    /// Whether the caller holds a permission at `now`. Every question of this kind is decided here.
    #[must_use]
    pub fn may(&self, wanted: &Permission, directory: Directory<'_>, now: Timestamp) -> bool {
        match self {
            Self::Host { .. } => true,
            Self::User { .. } => {
                (self.person(directory)).is_some_and(|person| directory.may(&person, wanted, now))
            }
            Self::Anonymous { .. } => false,
        }
    }

    /// All permissions of the caller at `now`, which are also all that the caller can grant.
    #[must_use]
    pub fn powers(&self, directory: Directory<'_>, now: Timestamp) -> BTreeSet<Permission> {
        match self {
            Self::Host { .. } => [Permission::everything()].into(),
            Self::User { .. } => (self.person(directory))
                .map(|person| directory.permissions(&person, now))
                .unwrap_or_default(),
            Self::Anonymous { .. } => BTreeSet::new(),
        }
    }

    /// Requires a permission of the caller at `now`.
    ///
    /// # Errors
    /// The caller does not hold it.
    pub fn must_hold(
        &self,
        permission: &'static str,
        directory: Directory<'_>,
        now: Timestamp,
    ) -> Result<(), Denial> {
        let wanted = permission.parse();
        let wanted: Permission = wanted.map_err(|_| Denial::lacks(permission))?;
        match self.may(&wanted, directory, now) {
            true => Ok(()),
            false => Err(Denial::lacks(permission)),
        }
    }
}
