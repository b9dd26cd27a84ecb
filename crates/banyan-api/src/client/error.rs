//! Why a connection could not be established.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

use tokio_rustls::rustls::{AlertDescription, CertificateError, Error as TlsError};

use super::target::Pin;

/// The engine could not be reached, or something else answered.
#[derive(Debug, Clone, thiserror::Error)]
#[error("no engine answers at {target}")]
pub struct ConnectError {
    /// The address that was tried.
    pub target: String,
    /// The cause.
    #[source]
    pub why: Unconnected,
}

/// The cause of a failed connection.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unconnected {
    /// Nothing listens there, the name does not resolve, or access is denied.
    #[error(transparent)]
    OutOfReach(Arc<io::Error>),
    /// There was no answer in time.
    #[error("it does not answer")]
    Silent,
    /// The other end does not speak TLS.
    #[error("what answers there does not speak TLS")]
    NotTls,
    /// The other end speaks TLS, but not gRPC.
    #[error("what answers there speaks TLS, but not gRPC")]
    NotGrpc,
    /// The engine's key is not the pinned one.
    #[error("its key is {found}, not the pinned {expected}")]
    WrongPin {
        /// The pin of the key that was presented.
        found: Pin,
        /// The pin that was configured.
        expected: Pin,
    },
    /// Its certificate is not signed by a trusted authority.
    #[error("its certificate is not signed by an authority that this system trusts")]
    UnknownIssuer,
    /// Its certificate is for other names.
    #[error(
        "its certificate is not valid for this name, only for {}",
        or_none(names)
    )]
    WrongName {
        /// The names in the certificate.
        names: Vec<String>,
    },
    /// Its certificate has expired, or this host's clock is ahead.
    #[error("its certificate has expired")]
    Expired,
    /// Its certificate is not valid yet, or this host's clock is behind.
    #[error("its certificate is not valid yet")]
    NotYetValid,
    /// The configured pin or CA file is unusable.
    #[error("{0}")]
    BadTrust(String),
    /// TLS failed for another reason.
    #[error("TLS failed: {0}")]
    Tls(TlsError),
    /// The connection failed after the TLS handshake.
    #[error("{0}")]
    Other(String),
}

/// A certificate's key is not the pinned one; carries the verifier's result through rustls.
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
    /// The cause of a failure to connect.
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

    /// The cause of a failed handshake.
    pub(super) fn of_handshake(error: io::Error) -> Self {
        match error.get_ref().and_then(|e| e.downcast_ref::<TlsError>()) {
            Some(error) => Self::of_tls(error),
            // A server that does not speak TLS rejects the ClientHello and closes the connection.
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
            // An authority with the same name but another key.
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
