//! Why a call was refused before it was looked at: one table from cause to gRPC code and HTTP status.
//!
//! What is said helps whoever calls and tells an attacker nothing: neither whether a user exists, nor what of a
//! password, a code or a token was wrong beyond what its holder can see in it.

use std::fmt;
use std::time::Duration;

use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

/// The metadata key of the cause.
const CAUSE: &str = "banyan-denial";
/// The metadata key of the seconds to wait, named as in HTTP (RFC 9110 §10.2.3).
const RETRY_AFTER: &str = "retry-after";

/// Why a call was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// No token was given where one is needed.
    NoToken,
    /// The token has expired.
    Expired,
    /// The token's signature is not by a key that is accepted.
    BadSignature,
    /// The token cannot be read, or lacks something that is not listed here.
    Malformed,
    /// The token does not say which key signed it.
    MissingKid,
    /// The token does not say whose it is.
    MissingSub,
    /// The token is for somebody else.
    WrongAudience,
    /// The session has ended, or its user is gone or barred.
    SessionEnded,
    /// The name, password or code is wrong, or the user may not log in.
    BadCredentials,
    /// The caller may not do this.
    NotPermitted {
        /// What it takes: a permission, or a condition in words.
        takes: String,
    },
    /// Too many attempts.
    TooMany {
        /// How long to wait.
        wait: Duration,
    },
    /// The engine does too much of this at once.
    Busy,
    /// The engine has been cut off from its store for too long to know who may do what.
    CutOff,
    /// The keys of another issuer are out of reach.
    IssuerUnreachable,
}

/// A row of the table: the cause's stable name, its gRPC code, its HTTP status.
type Row = (&'static str, Code, u16);

impl Denial {
    fn row(&self) -> Row {
        match self {
            Self::NoToken => ("no-token", Code::Unauthenticated, 401),
            Self::Expired => ("expired", Code::Unauthenticated, 401),
            Self::BadSignature => ("bad-signature", Code::Unauthenticated, 401),
            Self::Malformed => ("malformed", Code::Unauthenticated, 401),
            Self::MissingKid => ("missing-kid", Code::Unauthenticated, 401),
            Self::MissingSub => ("missing-sub", Code::Unauthenticated, 401),
            Self::WrongAudience => ("wrong-audience", Code::Unauthenticated, 401),
            Self::SessionEnded => ("session-ended", Code::Unauthenticated, 401),
            Self::BadCredentials => ("bad-credentials", Code::Unauthenticated, 401),
            Self::NotPermitted { .. } => ("not-permitted", Code::PermissionDenied, 403),
            Self::TooMany { .. } => ("too-many", Code::ResourceExhausted, 429),
            Self::Busy => ("busy", Code::ResourceExhausted, 429),
            Self::CutOff => ("cut-off", Code::Unavailable, 503),
            Self::IssuerUnreachable => ("issuer-unreachable", Code::Unavailable, 503),
        }
    }

    /// The cause's stable name.
    #[must_use]
    pub fn cause(&self) -> &'static str {
        self.row().0
    }

    /// The gRPC code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.row().1
    }

    /// The HTTP status.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        self.row().2
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

    /// The cause of a status that one of these made.
    #[must_use]
    pub fn cause_of(status: &Status) -> Option<&str> {
        status.metadata().get(CAUSE)?.to_str().ok()
    }

    /// How long a status says to wait.
    #[must_use]
    pub fn wait_of(status: &Status) -> Option<Duration> {
        let seconds = status.metadata().get(RETRY_AFTER)?.to_str().ok()?;
        seconds.parse().ok().map(Duration::from_secs)
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoToken => f.write_str("this takes a login; run `banyan login`"),
            Self::Expired => f.write_str("the token has expired"),
            Self::BadSignature => f.write_str("the token was not signed by this engine"),
            Self::Malformed => f.write_str("the token is not one that this engine takes here"),
            Self::MissingKid => f.write_str("the token does not name the key that signed it"),
            Self::MissingSub => f.write_str("the token does not say whose it is"),
            Self::WrongAudience => f.write_str("the token is not for this engine"),
            Self::SessionEnded => f.write_str("the session has ended; run `banyan login`"),
            Self::BadCredentials => f.write_str("the name and the password or code do not fit"),
            Self::NotPermitted { takes } => write!(f, "this takes {takes}"),
            Self::TooMany { wait } => write!(f, "too many attempts; try again in {} s", wait.as_secs()),
            Self::Busy => f.write_str("too many people log in at the moment; try again in a moment"),
            Self::CutOff => f.write_str(
                "the engine has been cut off from its store for too long to know who may do what; machines are served on",
            ),
            Self::IssuerUnreachable => f.write_str("the keys of the token's issuer are out of reach"),
        }
    }
}

impl From<Denial> for Status {
    fn from(denial: Denial) -> Self {
        let mut status = Self::new(denial.code(), denial.to_string());
        let metadata = status.metadata_mut();
        metadata.insert(CAUSE, MetadataValue::from_static(denial.cause()));
        if let Some(wait) = denial.wait() {
            metadata.insert(RETRY_AFTER, MetadataValue::from(wait.as_secs().max(1)));
        }
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_has_its_code_its_status_and_its_words() {
        let wait = Duration::from_secs(7);
        let all = [
            Denial::NoToken,
            Denial::Expired,
            Denial::BadSignature,
            Denial::Malformed,
            Denial::MissingKid,
            Denial::MissingSub,
            Denial::WrongAudience,
            Denial::SessionEnded,
            Denial::BadCredentials,
            Denial::NotPermitted {
                takes: "the permission users:write".into(),
            },
            Denial::TooMany { wait },
            Denial::Busy,
            Denial::CutOff,
            Denial::IssuerUnreachable,
        ];
        let line = |denial: &Denial| {
            let status = Status::from(denial.clone());
            assert_eq!(Denial::cause_of(&status), Some(denial.cause()));
            assert_eq!(Denial::wait_of(&status), denial.wait());
            let (code, http) = (status.code(), denial.http_status());
            format!("{} {code:?} {http}: {denial}", denial.cause())
        };
        insta::assert_snapshot!(all.iter().map(line).collect::<Vec<_>>().join("\n"));
    }
}
