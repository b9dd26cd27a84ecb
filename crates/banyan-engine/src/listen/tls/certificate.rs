//! The certificate of the listeners. It follows its files, so a renewal needs no restart.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use banyan_api::Pin;
use tokio::time::Instant;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::version::TLS13;
use tracing::{info, warn};

use super::pair::{Pair, Validity};
use super::{Files, own, pair};
use crate::Failure;
use crate::config::Config;

/// Minimum interval between checks of the files, which happen only when a client connects.
const LOOK: Duration = Duration::from_secs(5);

/// A configured certificate that expires sooner than this causes a warning.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// The current certificate.
#[derive(Debug)]
pub(crate) struct Certificate {
    files: Files,
    current: ArcSwap<Pair>,
    looked: Mutex<Looked>,
}

/// When the files were last checked, and their stamp then.
#[derive(Debug)]
struct Looked {
    at: Instant,
    stamp: Stamp,
}

/// Identifies a version of the files without reading them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp([Option<(SystemTime, u64, u64)>; 2]);

impl Stamp {
    fn of(files: &Files) -> Self {
        let one = |path: &Path| {
            let data = std::fs::metadata(path).ok()?;
            let inode = std::os::unix::fs::MetadataExt::ino(&data);
            Some((data.modified().ok()?, data.len(), inode))
        };
        Self([one(&files.cert), one(&files.key)])
    }
}

impl Certificate {
    /// Reads the configured certificate, or the engine's own, which is created if missing.
    pub(crate) fn open(config: &Config) -> Result<Arc<Self>, Failure> {
        let files = Files::of(config);
        if config.tls.files.is_none() {
            own::ensure(&files, &config.tls.names, crate::clock::now())?;
        }
        Self::read(files)
    }

    fn read(files: Files) -> Result<Arc<Self>, Failure> {
        // Taken before reading, so that a concurrent write is detected as a change.
        let stamp = Stamp::of(&files);
        let pair = Pair::read(&files);
        let pair = pair.map_err(|error| Failure::setup("use the certificate for TLS", error))?;
        tell_of_time(&pair, &files);
        Ok(Arc::new(Self {
            files,
            current: ArcSwap::from_pointee(pair),
            looked: Mutex::new(Looked {
                at: Instant::now(),
                stamp,
            }),
        }))
    }

    /// The pin that identifies the engine to clients.
    pub(crate) fn pin(&self) -> Pin {
        self.current.load().pin
    }

    /// A TLS configuration with this certificate for these protocols.
    pub(crate) fn server(self: &Arc<Self>, protocols: &[&[u8]]) -> Result<ServerConfig, Failure> {
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_protocol_versions(&[&TLS13]);
        let builder = builder.map_err(|error| Failure::setup("set up TLS", error))?;
        let resolver = Arc::clone(self) as Arc<dyn ResolvesServerCert>;
        let mut config = builder.with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(config)
    }

    /// Reloads changed files, checking every few seconds at most. If the new files are unusable, the current
    /// certificate stays.
    pub(super) async fn renew(self: &Arc<Self>) {
        let Some(before) = self.is_due() else {
            return;
        };
        let certificate = Arc::clone(self);
        // The files may be on a slow disk.
        let renewing = tokio::task::spawn_blocking(move || certificate.reread(&before));
        if renewing.await.is_err() {
            warn!("the certificate files could not be checked");
        }
    }

    /// The stamp of the last check, if that was long enough ago.
    fn is_due(&self) -> Option<Stamp> {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if looked.at.elapsed() < LOOK {
            return None;
        }
        looked.at = Instant::now();
        Some(looked.stamp.clone())
    }

    fn reread(&self, before: &Stamp) {
        let stamp = Stamp::of(&self.files);
        if stamp == *before {
            return;
        }
        match Pair::read(&self.files) {
            Ok(pair) => {
                tell_of_time(&pair, &self.files);
                info!(pin = %pair.pin, file = %self.files.cert.display(), "the TLS certificate was replaced");
                self.current.store(Arc::new(pair));
            }
            // Possibly only one of the two files is written yet; writing the other is another change.
            Err(error) => {
                let error = crate::report(&error);
                warn!(
                    error,
                    "the new TLS certificate is unusable; keeping the previous one"
                );
            }
        }
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        looked.stamp = stamp;
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.load().key))
    }
}

/// The pin of a running engine with this configuration; creates nothing.
pub(crate) fn pin_of(config: &Config) -> Result<Pin, Failure> {
    let pin = pair::pin_in(&Files::of(config).cert);
    pin.map_err(|error| Failure::setup("find out the engine's pin", error))
}

fn tell_of_time(pair: &Pair, files: &Files) {
    let now = crate::clock::now();
    let file = files.cert.display();
    match (pair.validity(now, Duration::ZERO), pair.validity(now, SOON)) {
        (Validity::Expired, _) => {
            warn!(%file, "the TLS certificate has expired: clients that trust its authority refuse it; renew it");
        }
        (Validity::NotYet, _) => {
            warn!(%file, "the TLS certificate is not valid yet; is this host's clock right?");
        }
        (Validity::Good, Validity::Expired) => {
            warn!(%file, "the TLS certificate expires within 14 days; renew it");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
