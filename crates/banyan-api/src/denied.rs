//! Denials on the wire.

use std::time::Duration;

use banyan_core::Denial;
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

/// The metadata key of the cause.
const CAUSE: &str = "banyan-denial";
/// The metadata key of the seconds to wait, named as in HTTP (RFC 9110 §10.2.3).
const RETRY_AFTER: &str = "retry-after";

/// The status that a denied call is answered with. The gRPC code follows from the HTTP status of the cause.
#[must_use]
pub fn denied(denial: &Denial) -> Status {
    let code = match denial.http_status() {
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        429 => Code::ResourceExhausted,
        _ => Code::Unavailable,
    };
    let mut status = Status::new(code, denial.to_string());
    let metadata = status.metadata_mut();
    metadata.insert(CAUSE, MetadataValue::from_static(denial.cause()));
    if let Some(wait) = denial.wait() {
        metadata.insert(RETRY_AFTER, MetadataValue::from(wait.as_secs().max(1)));
    }
    status
}

/// The cause of the denial that a status carries.
#[must_use]
pub fn denial_cause(status: &Status) -> Option<&str> {
    status.metadata().get(CAUSE)?.to_str().ok()
}

/// How long a status says to wait before trying again.
#[must_use]
pub fn retry_after(status: &Status) -> Option<Duration> {
    let seconds = status.metadata().get(RETRY_AFTER)?.to_str().ok()?;
    seconds.parse().ok().map(Duration::from_secs)
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
            Denial::lacks("users:write"),
            Denial::TooMany { wait },
            Denial::Busy,
            Denial::CutOff,
            Denial::IssuerUnreachable,
        ];
        let line = |denial: &Denial| {
            let status = denied(denial);
            assert_eq!(denial_cause(&status), Some(denial.cause()));
            assert_eq!(retry_after(&status), denial.wait());
            let (code, http) = (status.code(), denial.http_status());
            format!("{} {code:?} {http}: {denial}", denial.cause())
        };
        insta::assert_snapshot!(all.iter().map(line).collect::<Vec<_>>().join("\n"));
    }
}
