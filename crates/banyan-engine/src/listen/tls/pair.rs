//! A certificate and its key as read from files, and the possible errors.

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

/// Why a certificate and its key are unusable.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PairError {
    #[error("cannot read {}", path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{} contains no certificate; it must be PEM, with the engine's certificate first and then the intermediate ones", .0.display())]
    NoCertificate(PathBuf),
    #[error("{} contains no usable private key; it must be PEM and not encrypted", .0.display())]
    NoKey(PathBuf),
    #[error("the key in {} does not belong to the certificate in {}; use a matching pair", key.display(), cert.display())]
    Mismatch { cert: PathBuf, key: PathBuf },
    #[error("the certificate in {} is unusable", path.display())]
    Unusable { path: PathBuf, source: TlsError },
}

/// A certificate with its key.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) pin: Pin,
}

/// The validity of a certificate at a time.
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
            // All other errors of the certificate were excluded before.
            _ => no_key(),
        })?;
        Ok(Self {
            key: Arc::new(certified),
            pin,
        })
    }

    /// The validity of the certificate this far from now.
    pub(super) fn validity(&self, now: Timestamp, ahead: Duration) -> Validity {
        let Ok(leaf) = self.key.end_entity_cert() else {
            return Validity::Unknown;
        };
        validity(leaf, now, ahead)
    }
}

/// Uses rustls, which checks the validity period before anything else. Since no authority is trusted here, a
/// certificate within its period fails with "unknown issuer".
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
