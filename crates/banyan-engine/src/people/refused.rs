//! Why a change of people is not made, in words for whoever wanted it.

use banyan_api::Denial;
use banyan_core::people::EmailError;
use banyan_core::{Name, Origin, Permission};
use banyan_state::ChangeError;
use jiff::Timestamp;
use tonic::{Code, Status};

/// Why a change of people is not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChangeRefused {
    #[error("there is no user {0}; see `banyan user list`")]
    NoUser(Name),
    #[error("there is no role {0}; see `banyan role list`")]
    NoRole(Name),
    #[error("there is no session {0}; see `banyan session list`")]
    NoSession(String),
    #[error("there is a user {0} already; see `banyan user list`")]
    Taken(Name),
    #[error("{0} cannot be a user's name: the audit log calls something else so")]
    Reserved(Name),
    #[error(transparent)]
    Email(#[from] EmailError),
    #[error("{0} is not in the future")]
    Past(Timestamp),
    #[error("a user has at least one role; to take all access away: `banyan user disable {0}`")]
    NoRoles(Name),
    #[error("a reason has at most {0} characters, and no control characters")]
    Reason(usize),
    #[error("user {name} is declared by git: change {place} and push")]
    Git { name: Name, place: String },
    #[error("the password of user {name} is declared by git: change {place} and push")]
    GitPassword { name: Name, place: String },
    #[error("user {0} is disabled already")]
    Disabled(Name),
    #[error("user {0} is not disabled")]
    Enabled(Name),
    #[error("user {name} is {state} already; to lift it: `banyan user unlock {name}`")]
    Locked { name: Name, state: String },
    #[error("user {0} is not locked")]
    NotLocked(Name),
    #[error("user {name} is {state}, so a code would be of no use; {help}")]
    Inactive {
        name: Name,
        state: String,
        help: String,
    },
    #[error(
        "{0} is the last active admin: make another one first, who can log in and does not expire"
    )]
    LastAdmin(Name),
    #[error("holding what it would give: {}", list(.0))]
    Escalation(Vec<Permission>),
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
    pub(super) fn declared(name: &Name, origin: &Origin) -> Self {
        Self::Git {
            name: name.clone(),
            place: place(origin),
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::NoUser(_) | Self::NoRole(_) | Self::NoSession(_) => Code::NotFound,
            Self::Taken(_) => Code::AlreadyExists,
            Self::Reserved(_)
            | Self::Email(_)
            | Self::Past(_)
            | Self::NoRoles(_)
            | Self::Reason(_) => Code::InvalidArgument,
            Self::Escalation(_) | Self::NotPermitted(_) => Code::PermissionDenied,
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
            | Self::NotRecoverable { .. } => Code::FailedPrecondition,
        }
    }
}

impl From<Denial> for ChangeRefused {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::NotPermitted { takes } => Self::NotPermitted(takes),
            other => Self::NotPermitted(other.to_string()),
        }
    }
}

impl From<ChangeRefused> for Status {
    fn from(refused: ChangeRefused) -> Self {
        match (refused.code(), refused.to_string()) {
            (Code::PermissionDenied, takes) => Denial::NotPermitted { takes }.into(),
            (code, text) => Self::new(code, text),
        }
    }
}

/// What a call is answered whose change was not made.
pub(crate) fn status(error: ChangeError<ChangeRefused>) -> Status {
    match error {
        ChangeError::Refused(refused) => refused.into(),
        ChangeError::State(error) => crate::refusal::unavailable(&error),
    }
}

/// Where git declares something.
pub(super) fn place(origin: &Origin) -> String {
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
