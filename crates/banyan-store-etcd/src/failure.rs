//! Classifies a failed etcd call: whether it took effect, whose fault it is, and what can be
//! retried.

use std::error::Error;
use std::io;
use std::time::Duration;

use banyan_store::StoreError;
use tonic::{Code, ConnectError, Status};

/// A call that failed at one endpoint.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    /// Whether the request itself may have been sent, not just the connection and the login.
    sent: bool,
    cause: Cause,
}

/// The message of the server or the connection, with its endpoint. Kept as text, because a gRPC
/// status carries metadata that must not be printed.
#[derive(Debug, thiserror::Error)]
#[error("{endpoint}: {message}")]
struct Cause {
    endpoint: String,
    message: String,
}

/// The class of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The connection could not be made.
    Unreachable,
    /// The connection broke, or the request timed out.
    Broken,
    /// The member has no leader and refused before doing anything.
    NoLeader,
    /// The auth token is unknown to the member, or older than the last change of a user.
    StaleLogin,
    /// The operation is not permitted, or one side rejects the other's certificate.
    Denied,
    /// The requested history is compacted.
    Compacted,
    /// The lease does not exist.
    NoSuchLease,
    /// The answer exceeds our size limit.
    AnswerTooLarge,
    /// The server failed for another reason.
    Other,
}

/// Whether a failed operation may be retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It is read-only or idempotent.
    Always,
    /// It may be retried only if it certainly did not happen.
    IfNotDone,
}

impl Failure {
    pub(crate) fn of(error: &etcd_client::Error, endpoint: &str, sent: bool) -> Self {
        Self {
            kind: kind(error),
            sent,
            cause: Cause {
                endpoint: endpoint.to_owned(),
                message: message(error),
            },
        }
    }

    pub(crate) fn new(kind: Kind, endpoint: &str, message: impl Into<String>) -> Self {
        Self {
            kind,
            sent: true,
            cause: Cause {
                endpoint: endpoint.to_owned(),
                message: message.into(),
            },
        }
    }

    pub(crate) fn timeout(endpoint: &str, after: Duration, sent: bool) -> Self {
        let message = format!("no answer within {after:?}");
        Self {
            sent,
            ..Self::new(Kind::Broken, endpoint, message)
        }
    }

    /// Adds a hint at a likely cause.
    pub(crate) fn with_hint(mut self, hint: &str) -> Self {
        self.cause.message = format!("{} ({hint})", self.cause.message);
        self
    }

    /// Whether another endpoint may succeed.
    pub(crate) fn blames_endpoint(&self) -> bool {
        matches!(self.kind, Kind::Unreachable | Kind::Broken | Kind::NoLeader)
    }

    pub(crate) fn may_repeat(&self, repeat: Repeat) -> bool {
        match self.kind {
            Kind::Unreachable | Kind::NoLeader | Kind::StaleLogin => true,
            Kind::Broken => repeat == Repeat::Always || !self.sent,
            _ => false,
        }
    }

    pub(crate) fn into_error(self, doing: &'static str) -> StoreError {
        match self.kind {
            Kind::Denied | Kind::StaleLogin => StoreError::denied(doing, self.cause),
            _ => StoreError::unavailable(doing, self.cause),
        }
    }
}

fn kind(error: &etcd_client::Error) -> Kind {
    use etcd_client::Error as E;
    match error {
        E::GRpcStatus(status) => kind_of_status(status),
        E::TransportError(error) => in_chain(error).unwrap_or(Kind::Unreachable),
        E::IoError(error) => in_chain(error).unwrap_or(Kind::Broken),
        E::WatchError(_) => Kind::Broken,
        // The only reason for this is an answer without time left.
        E::LeaseKeepAliveError(_) => Kind::NoSuchLease,
        _ => Kind::Other,
    }
}

fn kind_of_status(status: &Status) -> Kind {
    let text = status.message();
    let says = |what: &str| text.contains(what);
    match status.code() {
        Code::PermissionDenied => Kind::Denied,
        Code::Unauthenticated => Kind::StaleLogin,
        Code::InvalidArgument if says("authentication failed") => Kind::Denied,
        Code::InvalidArgument if says("user name") => Kind::StaleLogin,
        Code::InvalidArgument if says("revision of auth store") => Kind::StaleLogin,
        Code::FailedPrecondition if says("authentication is not enabled") => Kind::Denied,
        Code::NotFound if says("lease") => Kind::NoSuchLease,
        Code::OutOfRange if says("compacted") => Kind::Compacted,
        Code::OutOfRange if says("message length too large") => Kind::AnswerTooLarge,
        _ if says("etcdserver: no leader") => Kind::NoLeader,
        code => in_chain(status).unwrap_or(match code {
            Code::Unavailable
            | Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Internal
            | Code::Unknown => Kind::Broken,
            _ => Kind::Other,
        }),
    }
}

/// The detail in an error's causes that its own message lacks.
fn in_chain(error: &(dyn Error + 'static)) -> Option<Kind> {
    let mut found = None;
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<ConnectError>() {
            found = Some(Kind::Unreachable);
        }
        let io = error.downcast_ref::<io::Error>();
        // How rustls reports a rejection by either side.
        if io.is_some_and(|io| io.kind() == io::ErrorKind::InvalidData) {
            return Some(Kind::Denied);
        }
        next = error.source();
    }
    found
}

/// The message of an error and of those causes that add to it.
fn message(error: &etcd_client::Error) -> String {
    let mut text = match error {
        etcd_client::Error::GRpcStatus(status) => status.message().to_owned(),
        other => other.to_string(),
    };
    let mut next: Option<&(dyn Error + 'static)> = match error {
        etcd_client::Error::GRpcStatus(status) => status.source(),
        etcd_client::Error::TransportError(error) => error.source(),
        _ => None,
    };
    while let Some(error) = next {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: Status) -> Failure {
        Failure::of(&etcd_client::Error::GRpcStatus(status), "http://e:1", true)
    }

    #[test]
    fn a_write_is_repeated_only_if_it_certainly_did_not_happen() {
        let unknown = of(Status::unavailable("etcdserver: request timed out"));
        assert!(unknown.may_repeat(Repeat::Always) && !unknown.may_repeat(Repeat::IfNotDone));
        assert!(unknown.blames_endpoint());
        let refused = of(Status::unavailable("etcdserver: no leader"));
        assert!(refused.may_repeat(Repeat::IfNotDone) && refused.blames_endpoint());
        let full = of(Status::resource_exhausted(
            "etcdserver: mvcc: database space exceeded",
        ));
        assert!(!full.may_repeat(Repeat::Always) && !full.blames_endpoint());
        let early = Failure::timeout("http://e:1", Duration::from_secs(5), false);
        assert!(early.may_repeat(Repeat::IfNotDone));
    }

    #[test]
    fn refusals_are_not_taken_for_failures() {
        for status in [
            Status::permission_denied("etcdserver: permission denied"),
            Status::invalid_argument(
                "etcdserver: authentication failed, invalid user ID or password",
            ),
            Status::unauthenticated("etcdserver: invalid auth token"),
            Status::invalid_argument("etcdserver: user name is empty"),
        ] {
            let failure = of(status);
            assert!(!failure.blames_endpoint());
            let error = failure.into_error("committing");
            assert!(matches!(error, StoreError::Denied { .. }), "{error:?}");
        }
    }

    #[test]
    fn an_error_has_no_metadata_of_the_status() {
        let mut status = Status::unavailable("gone");
        status
            .metadata_mut()
            .insert("token", "s3cret".parse().unwrap());
        let error = of(status).into_error("committing");
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        assert_eq!(error.source().unwrap().to_string(), "http://e:1: gone");
    }
}
