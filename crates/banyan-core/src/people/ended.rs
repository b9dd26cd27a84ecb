//! When and why sessions end.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The end of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// When it ended.
    pub at: Timestamp,
    /// Why it ended.
    pub because: EndReason,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndReason {
    /// The user logged out.
    Logout,
    /// The password was changed or reset.
    Password,
    /// The user was locked.
    Lock,
    /// The user was disabled.
    Disable,
    /// The user was removed.
    Removal,
    /// The user or the session expired.
    Expiry,
    /// A refresh token was used again.
    Suspicion,
    /// Ended by a call.
    Revoked,
    /// The user exceeded the maximum number of sessions.
    Displaced,
    /// The signing keys were revoked.
    Keys,
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Logout => "logged out",
            Self::Password => "the password was changed",
            Self::Lock => "the user was locked",
            Self::Disable => "the user was disabled",
            Self::Removal => "the user was removed",
            Self::Expiry => "expired",
            Self::Suspicion => "a refresh token was used twice",
            Self::Revoked => "revoked",
            Self::Displaced => "too many sessions",
            Self::Keys => "the signing keys were revoked",
        })
    }
}
