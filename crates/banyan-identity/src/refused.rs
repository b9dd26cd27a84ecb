//! Why a change of users is refused: each reason with its text and its kind, in one table.

use banyan_core::people::EmailError;
use banyan_core::{Denial, Name, Origin, Permission};
use jiff::Timestamp;

/// The kind of a refusal, which every protocol maps to its own codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// The object does not exist.
    NotFound,
    /// The object exists already.
    Exists,
    /// The request is invalid, whatever the state.
    Invalid,
    /// The caller may not do this.
    NotPermitted,
    /// The state does not allow it.
    Precondition,
}

/// Why a change of users is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(
    missing_docs,
    reason = "the message of each variant is its documentation"
)]
pub enum ChangeRefused {
    #[error("there is no user {0}; see `banyan user list`")]
    NoUser(Name),
    #[error("there is no role {0}; see `banyan role list`")]
    NoRole(Name),
    #[error("there is no session {0}; see `banyan session list`")]
    NoSession(String),
    #[error("user {0} exists already; see `banyan user list`")]
    Taken(Name),
    #[error("{0} is reserved: the audit log uses it for something else")]
    Reserved(Name),
    #[error(transparent)]
    Email(#[from] EmailError),
    #[error("{0} is not in the future")]
    Past(Timestamp),
    #[error("a user has at least one role; to remove all access: `banyan user disable {0}`")]
    NoRoles(Name),
    #[error("a reason has at most {0} characters, and no control characters")]
    Reason(usize),
    #[error("user {name} is declared by git: change {place} and push")]
    Git { name: Name, place: String },
    #[error("the password of user {name} is declared by git: change {place} and push")]
    GitPassword { name: Name, place: String },
    #[error("user {0} is already disabled")]
    Disabled(Name),
    #[error("user {0} is not disabled")]
    Enabled(Name),
    #[error("user {name} is {state} already; to unlock: `banyan user unlock {name}`")]
    Locked { name: Name, state: String },
    #[error("user {0} is not locked")]
    NotLocked(Name),
    #[error("user {name} is {state}, so a code could not be used: {help}")]
    Inactive {
        name: Name,
        state: String,
        help: String,
    },
    #[error(
        "{0} is the last active admin: first create another one who can log in and does not expire"
    )]
    LastAdmin(Name),
    #[error("you cannot grant permissions you do not hold: {}", list(.0))]
    Escalation(Vec<Permission>),
    #[error(
        "user {name} holds permissions that you do not: {}; ask an admin, or use the engine's host",
        list(.more)
    )]
    Above { name: Name, more: Vec<Permission> },
    #[error("{0}")]
    NotPermitted(String),
    #[error(
        "the newest signing key signs from {0:.0} on; rotate again after that, or revoke all keys at once with --revoke"
    )]
    KeyWaits(Timestamp),
    #[error(
        "tokens are signed with a shared secret: JWT_SECRET is configured; change it there and restart the engine"
    )]
    SharedSecret,
    #[error(
        "user {name} cannot be made an admin here: {why}; change {place} and push, or take another name: --user OTHER (init: --admin OTHER)"
    )]
    NotRecoverable {
        name: Name,
        why: String,
        place: String,
    },
}

impl ChangeRefused {
    /// The refusal of a change that is git's to make.
    pub(crate) fn declared(name: &Name, origin: &Origin) -> Self {
        Self::Git {
            name: name.clone(),
            place: place(origin),
        }
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> RefusalKind {
        match self {
            Self::NoUser(_) | Self::NoRole(_) | Self::NoSession(_) => RefusalKind::NotFound,
            Self::Taken(_) => RefusalKind::Exists,
            Self::Reserved(_)
            | Self::Email(_)
            | Self::Past(_)
            | Self::NoRoles(_)
            | Self::Reason(_) => RefusalKind::Invalid,
            Self::Escalation(_) | Self::Above { .. } | Self::NotPermitted(_) => {
                RefusalKind::NotPermitted
            }
            Self::Git { .. }
            | Self::GitPassword { .. }
            | Self::Disabled(_)
            | Self::Enabled(_)
            | Self::Locked { .. }
            | Self::NotLocked(_)
            | Self::Inactive { .. }
            | Self::LastAdmin(_)
            | Self::KeyWaits(_)
            | Self::SharedSecret
            | Self::NotRecoverable { .. } => RefusalKind::Precondition,
        }
    }
}

impl From<Denial> for ChangeRefused {
    fn from(denial: Denial) -> Self {
        Self::NotPermitted(denial.to_string())
    }
}

/// Where something is declared.
pub(crate) fn place(origin: &Origin) -> String {
    match origin {
        Origin::Git { commit, path, line } => format!("{path}:{line} (commit {})", commit.short()),
        Origin::File => "the key file that lists it".to_owned(),
        Origin::Api | Origin::Bootstrap => "it with `banyan user`".to_owned(),
    }
}

fn list(permissions: &[Permission]) -> String {
    let texts: Vec<&str> = permissions.iter().map(Permission::as_str).collect();
    texts.join(", ")
}
