//! What is done, as short texts that stay as they are: people and programs search for them.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What was done, such as `gitops.applied`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Action(Cow<'static, str>);

impl Action {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        impl Action {
            $($(#[$doc])* pub const $name: Self = Self(Cow::Borrowed($text));)*

            /// Every action that this program writes.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

actions! {
    /// A commit got into force.
    GITOPS_APPLIED = "gitops.applied";
    /// A commit was refused.
    GITOPS_REFUSED = "gitops.refused";
    /// Records or peers that somebody changed behind the engine's back were put back.
    GITOPS_RESTORED = "gitops.restored";
    /// A commit may get into force although it does not descend from the one in force.
    GITOPS_ACCEPTED = "gitops.accepted";
    /// An engine was removed from the cluster.
    ENGINE_REMOVED = "engine.removed";
    /// A call was refused before it was looked at.
    ACCESS_DENIED = "access.denied";
    /// Calls were refused, more than are written down one by one.
    ACCESS_DENIED_MORE = "access.denied-more";
    /// Somebody logged in with a password.
    LOGIN = "login";
    /// Somebody set a password with a one-time code, and logged in.
    LOGIN_ENROLL = "login.enroll";
    /// A session went on with new tokens.
    LOGIN_REFRESH = "login.refresh";
    /// A refresh token was used twice, and the session ended.
    LOGIN_REUSE = "login.reuse";
    /// Somebody logged out.
    LOGOUT = "logout";
    /// Somebody changed their own password.
    PASSWORD_CHANGE = "password.change";
    /// A backup was taken.
    STATE_BACKUP = "state.backup";
    /// The store was filled from a backup; what was recorded after the backup is not in this log.
    STATE_RESTORED = "state.restored";
    /// A user was made.
    USER_ADD = "user.add";
    /// A user's roles were replaced.
    USER_SET_ROLES = "user.set-roles";
    /// A user was switched off.
    USER_DISABLE = "user.disable";
    /// A user was switched on again.
    USER_ENABLE = "user.enable";
    /// All access was taken from a user.
    USER_LOCK = "user.lock";
    /// A lock was lifted.
    USER_UNLOCK = "user.unlock";
    /// A one-time code was made, with which a user sets a password.
    USER_ENROLL = "user.enroll";
    /// A user was removed.
    USER_REMOVE = "user.remove";
    /// A session ended that nobody ended by a call.
    SESSION_END = "session.end";
    /// Sessions were ended by a call.
    SESSION_REVOKE = "session.revoke";
    /// A key to sign tokens with was made.
    SIGNING_KEY_ROTATE = "signing-key.rotate";
    /// An admin was made, or made able to log in again, by the host.
    HOST_RECOVER_ADMIN = "host.recover-admin";
    /// Entries were lost, for more came than could be written.
    AUDIT_DROPPED = "audit.dropped";
    /// The log was found changed by somebody else than the engine.
    AUDIT_BROKEN = "audit.broken";
}
