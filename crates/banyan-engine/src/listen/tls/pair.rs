//! A certificate and its key as they are read, and what can be wrong with them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use banyan_api::Pin;
use jiff::Timestamp;
use tokio_rustls::rustls::client::verify_server_cert_signed_by_trust_anchor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{CertificateError, Error as TlsError, InconsistentKeys, RootCertStore};

use super::Files;

/// Why a certificate and its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PairError {
    #[error("cannot read {}", path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{} holds no certificate; it must be PEM, the engine's certificate first, then those that lead to its authority", .0.display())]
    NoCertificate(PathBuf),
    #[error("{} holds no private key that can be used; it must be PEM and without a password", .0.display())]
    NoKey(PathBuf),
    #[error("the key in {} does not belong to the certificate in {}; give the two that were made together", key.display(), cert.display())]
    Mismatch { cert: PathBuf, key: PathBuf },
    #[error("the certificate in {} cannot be used", path.display())]
    Unusable { path: PathBuf, source: TlsError },
}

/// A certificate with its key.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) pin: Pin,
}

/// What time has to do with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Validity {
    Good,
    NotYet,
    Expired,
    Unknown,
}

impl Pair {
    pub(super) fn read(files: &Files) -> Result<Self, PairError> {
        let chain = chain(&files.cert)?;
        let pin = pin(&chain, &files.cert)?;
        let text = zeroize::Zeroizing::new(bytes(&files.key)?);
        let no_key = || PairError::NoKey(files.key.clone());
        let key = PrivateKeyDer::from_pem_slice(&text).map_err(|_| no_key())?;
        let certified = CertifiedKey::from_der(chain, key, &ring::default_provider());
        let certified = certified.map_err(|error| match error {
            TlsError::InconsistentKeys(InconsistentKeys::KeyMismatch) => PairError::Mismatch {
                cert: files.cert.clone(),
                key: files.key.clone(),
            },
            // What else can be wrong with a certificate was looked at before.
            _ => no_key(),
        })?;
        Ok(Self {
            key: Arc::new(certified),
            pin,
        })
    }

    /// How it stands with the certificate so long from now.
    pub(super) fn validity(&self, now: Timestamp, ahead: Duration) -> Validity {
        let Ok(leaf) = self.key.end_entity_cert() else {
            return Validity::Unknown;
        };
        validity(leaf, now, ahead)
    }
}

/// Asks rustls, which looks at the time before it looks at anything else; that nobody is trusted is what is left to
/// complain about.
fn validity(leaf: &CertificateDer<'_>, now: Timestamp, ahead: Duration) -> Validity {
    let Ok(parsed) = ParsedCertificate::try_from(leaf) else {
        return Validity::Unknown;
    };
    let now = Duration::from_secs(u64::try_from(now.as_second()).unwrap_or_default());
    let judged = verify_server_cert_signed_by_trust_anchor(
        &parsed,
        &RootCertStore::empty(),
        &[],
        UnixTime::since_unix_epoch(now.saturating_add(ahead)),
        ring::default_provider()
            .signature_verification_algorithms
            .all,
    );
    match judged {
        Err(TlsError::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        )) => Validity::Expired,
        Err(TlsError::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        )) => Validity::NotYet,
        Ok(()) | Err(TlsError::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            Validity::Good
        }
        Err(_) => Validity::Unknown,
    }
}

/// The pin of the first certificate in a file.
pub(super) fn pin_in(path: &Path) -> Result<Pin, PairError> {
    pin(&chain(path)?, path)
}

fn pin(chain: &[CertificateDer<'_>], path: &Path) -> Result<Pin, PairError> {
    let leaf = chain.first();
    let leaf = leaf.ok_or_else(|| PairError::NoCertificate(path.to_owned()))?;
    Pin::of(leaf).map_err(|source| PairError::Unusable {
        path: path.to_owned(),
        source,
    })
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, PairError> {
    let text = bytes(path)?;
    let read: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = read.unwrap_or_default();
    match chain.is_empty() {
        true => Err(PairError::NoCertificate(path.to_owned())),
        false => Ok(chain),
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>, PairError> {
    std::fs::read(path).map_err(|source| PairError::Unreadable {
        path: path.to_owned(),
        source,
    })
}
