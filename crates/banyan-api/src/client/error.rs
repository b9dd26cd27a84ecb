//! Why there is no connection.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

use tokio_rustls::rustls::{AlertDescription, CertificateError, Error as TlsError};

use super::target::Pin;

/// The engine could not be reached, or what answered is not it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("no engine answers at {target}")]
pub struct ConnectError {
    /// Where it was looked for.
    pub target: String,
    /// What happened.
    #[source]
    pub why: Unconnected,
}

/// What happened instead of a connection.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unconnected {
    /// Nobody listens there, the name has no address, or this process may not go there.
    #[error(transparent)]
    OutOfReach(Arc<io::Error>),
    /// Nothing came back in time.
    #[error("it does not answer")]
    Silent,
    /// What answers there does not speak TLS.
    #[error("what answers there does not speak TLS")]
    NotTls,
    /// It speaks TLS, but not gRPC.
    #[error("what answers there speaks TLS, but not gRPC")]
    NotGrpc,
    /// It has another key than the one that the engine is known by.
    #[error("its key is {found}, not the pinned {expected}")]
    WrongPin {
        /// The pin of what answered.
        found: Pin,
        /// The pin that was given.
        expected: Pin,
    },
    /// Its certificate comes from an authority that is not trusted.
    #[error("its certificate comes from nobody who is trusted here")]
    UnknownIssuer,
    /// Its certificate is for other names.
    #[error("its certificate is not for this name but for {}", or_none(names))]
    WrongName {
        /// The names that it is for.
        names: Vec<String>,
    },
    /// Its certificate is over, or this host's clock is ahead.
    #[error("its certificate has expired")]
    Expired,
    /// Its certificate does not hold yet, or this host's clock is behind.
    #[error("its certificate is not valid yet")]
    NotYetValid,
    /// What was given to know the engine by cannot be used.
    #[error("{0}")]
    BadTrust(String),
    /// TLS failed otherwise.
    #[error("TLS failed: {0}")]
    Tls(TlsError),
    /// The connection failed after TLS.
    #[error("{0}")]
    Other(String),
}

/// A certificate's key is not the pinned one; how the verifier tells it through rustls.
#[derive(Debug, thiserror::Error)]
#[error("the key is {found}, not the pinned {expected}")]
pub(super) struct NotPinned {
    pub(super) found: Pin,
    pub(super) expected: Pin,
}

fn or_none(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    }
}

impl Unconnected {
    /// Of what failed while the connection was made.
    pub(super) fn of(error: &tonic::transport::Error) -> Self {
        let mut next: Option<&(dyn StdError + 'static)> = Some(error);
        let mut last = error.to_string();
        while let Some(cause) = next {
            if let Some(known) = cause.downcast_ref::<Self>() {
                return known.clone();
            }
            last = cause.to_string();
            next = cause.source();
        }
        Self::Other(last)
    }

    /// Of a handshake that failed.
    pub(super) fn of_handshake(error: io::Error) -> Self {
        match error.get_ref().and_then(|e| e.downcast_ref::<TlsError>()) {
            Some(error) => Self::of_tls(error),
            // Whoever does not speak TLS takes the greeting for nonsense and hangs up.
            None if error.kind() == io::ErrorKind::UnexpectedEof => Self::NotTls,
            None => Self::OutOfReach(Arc::new(error)),
        }
    }

    fn of_tls(error: &TlsError) -> Self {
        match error {
            TlsError::InvalidMessage(_) => Self::NotTls,
            TlsError::NoApplicationProtocol => Self::NotGrpc,
            TlsError::AlertReceived(AlertDescription::NoApplicationProtocol) => Self::NotGrpc,
            TlsError::InvalidCertificate(why) => Self::of_certificate(why, error),
            error => Self::Tls(error.clone()),
        }
    }

    fn of_certificate(why: &CertificateError, error: &TlsError) -> Self {
        match why {
            // An authority of the same name has another key.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownIssuer,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::NotYetValid
            }
            CertificateError::NotValidForName => Self::WrongName { names: Vec::new() },
            CertificateError::NotValidForNameContext { presented, .. } => Self::WrongName {
                names: presented.clone(),
            },
            CertificateError::Other(other) => match other.0.downcast_ref::<NotPinned>() {
                Some(NotPinned { found, expected }) => Self::WrongPin {
                    found: *found,
                    expected: *expected,
                },
                None => Self::Tls(error.clone()),
            },
            _ => Self::Tls(error.clone()),
        }
    }
}
