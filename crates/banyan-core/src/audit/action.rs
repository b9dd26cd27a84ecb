//! The actions, as short stable texts that people and programs search for.

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
    /// A commit was applied.
    GITOPS_APPLIED = "gitops.applied";
    /// A commit was refused.
    GITOPS_REFUSED = "gitops.refused";
    /// Records or peers that were changed out of band were restored.
    GITOPS_RESTORED = "gitops.restored";
    /// A commit was allowed although it does not descend from the one in force.
    GITOPS_ACCEPTED = "gitops.accepted";
    /// An engine was removed from the cluster.
    ENGINE_REMOVED = "engine.removed";
    /// A call was denied by authentication or authorization.
    ACCESS_DENIED = "access.denied";
    /// Calls were denied, more than are recorded individually.
    ACCESS_DENIED_MORE = "access.denied-more";
    /// A user logged in with a password.
    LOGIN = "login";
    /// A user set a password with a one-time code and logged in.
    LOGIN_ENROLL = "login.enroll";
    /// A session was continued with new tokens.
    LOGIN_REFRESH = "login.refresh";
    /// A refresh token was used twice, and the session ended.
    LOGIN_REUSE = "login.reuse";
    /// A user logged out.
    LOGOUT = "logout";
    /// A user changed their own password.
    PASSWORD_CHANGE = "password.change";
    /// A backup was taken.
    STATE_BACKUP = "state.backup";
    /// The store was restored from a backup; this log lacks entries written after the backup.
    STATE_RESTORED = "state.restored";
    /// A user was created.
    USER_ADD = "user.add";
    /// A user's roles were replaced.
    USER_SET_ROLES = "user.set-roles";
    /// A user was disabled.
    USER_DISABLE = "user.disable";
    /// A user was enabled again.
    USER_ENABLE = "user.enable";
    /// A user was locked out.
    USER_LOCK = "user.lock";
    /// A lock was removed.
    USER_UNLOCK = "user.unlock";
    /// A one-time code for setting a password was issued.
    USER_ENROLL = "user.enroll";
    /// A one-time code was voided: its issuer lost the power to issue it, or its user gained power.
    USER_CODE_VOID = "user.code-void";
    /// A user was removed.
    USER_REMOVE = "user.remove";
    /// A session ended without a call.
    SESSION_END = "session.end";
    /// Sessions were ended by a call.
    SESSION_REVOKE = "session.revoke";
    /// A token signing key was created.
    SIGNING_KEY_ROTATE = "signing-key.rotate";
    /// An admin was created, or enabled to log in again, from the host.
    HOST_RECOVER_ADMIN = "host.recover-admin";
    /// Entries were lost because more arrived than could be written.
    AUDIT_DROPPED = "audit.dropped";
    /// The log was found to be tampered with.
    AUDIT_BROKEN = "audit.broken";
}
