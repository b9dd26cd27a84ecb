//! Why a call is denied: one table from cause to stable name and HTTP status.
//!
//! The texts help the caller and tell an attacker nothing: neither whether a user exists, nor which part of a password,
//! code or token was wrong.

use std::fmt;
use std::time::Duration;

/// Why a call is denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// No token was given where one is required.
    NoToken,
    /// The token has expired.
    Expired,
    /// The token's signature is not by a key that is accepted.
    BadSignature,
    /// The token cannot be read, or lacks a claim that has no cause of its own here.
    Malformed,
    /// The token does not name its signing key.
    MissingKid,
    /// The token does not name its user.
    MissingSub,
    /// The token is for another audience.
    WrongAudience,
    /// The session has ended, or its user was removed or is inactive.
    SessionEnded,
    /// The user name, password or code is wrong, or the user cannot log in.
    BadCredentials,
    /// The caller may not do this.
    NotPermitted {
        /// The permission or condition that is missing, as a sentence.
        why: String,
    },
    /// Too many attempts.
    TooMany {
        /// How long to wait.
        wait: Duration,
    },
    /// Too many logins at once.
    Busy,
    /// The engine lost its store too long ago to know who may do what.
    CutOff,
    /// The keys of another issuer cannot be fetched.
    IssuerUnreachable,
}

/// A row of the table: the cause's stable name and its HTTP status.
type Row = (&'static str, u16);

impl Denial {
    fn row(&self) -> Row {
        match self {
            Self::NoToken => ("no-token", 401),
            Self::Expired => ("expired", 401),
            Self::BadSignature => ("bad-signature", 401),
            Self::Malformed => ("malformed", 401),
            Self::MissingKid => ("missing-kid", 401),
            Self::MissingSub => ("missing-sub", 401),
            Self::WrongAudience => ("wrong-audience", 401),
            Self::SessionEnded => ("session-ended", 401),
            Self::BadCredentials => ("bad-credentials", 401),
            Self::NotPermitted { .. } => ("not-permitted", 403),
            Self::TooMany { .. } => ("too-many", 429),
            Self::Busy => ("busy", 429),
            Self::CutOff => ("cut-off", 503),
            Self::IssuerUnreachable => ("issuer-unreachable", 503),
        }
    }

    /// The cause's stable name.
    #[must_use]
    pub fn cause(&self) -> &'static str {
        self.row().0
    }

    /// The HTTP status.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        self.row().1
    }

    /// The denial of a caller who lacks a permission.
    #[must_use]
    pub fn lacks(permission: impl fmt::Display) -> Self {
        Self::NotPermitted {
            why: format!("the permission {permission} is required"),
        }
    }

    /// How long to wait before trying again.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        match self {
            Self::TooMany { wait } => Some(*wait),
            Self::Busy => Some(Duration::from_secs(1)),
            _ => None,
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoToken => f.write_str("not logged in: run `banyan login`"),
            Self::Expired => f.write_str("the token has expired"),
            Self::BadSignature => f.write_str("the token was not signed by this engine"),
            Self::Malformed => f.write_str("the token is not a valid one"),
            Self::MissingKid => f.write_str("the token does not name its signing key"),
            Self::MissingSub => f.write_str("the token does not name its user"),
            Self::WrongAudience => f.write_str("the token is not for this engine"),
            Self::SessionEnded => f.write_str("the session has ended: run `banyan login`"),
            Self::BadCredentials => f.write_str("wrong user name, password or code"),
            Self::NotPermitted { why } => f.write_str(why),
            Self::TooMany { wait } => {
                write!(f, "too many attempts: try again in {} s", wait.as_secs())
            }
            Self::Busy => f.write_str("too many logins at the moment: try again in a few seconds"),
            Self::CutOff => f.write_str(
                "the engine lost its store too long ago to know who may do what; machines are still served",
            ),
            Self::IssuerUnreachable => f.write_str("the keys of the token's issuer cannot be fetched"),
        }
    }
}
