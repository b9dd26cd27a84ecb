//! Section `engine.tls`: the TLS certificate of the engine.

use std::path::PathBuf;

use serde::Deserialize;
use tokio_rustls::rustls::pki_types::ServerName;

use super::{ConfigError, Wrong};

/// The TLS certificate of the engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// A certificate and its key, in PEM; if absent the engine generates its own.
    pub files: Option<(PathBuf, PathBuf)>,
    /// Names and addresses to add to the generated certificate, besides those of the host.
    pub names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsSection {
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    names: Option<Vec<String>>,
}

impl TlsSection {
    pub(super) fn into_tls(self, wrong: Wrong<'_>) -> Result<Tls, ConfigError> {
        let files = match (self.cert_file, self.key_file) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            (Some(_), None) => {
                let why = "a certificate requires its key; set key_file".to_owned();
                return Err(wrong("engine.tls.cert_file", why));
            }
            (None, Some(_)) => {
                let why = "a key requires its certificate; set cert_file".to_owned();
                return Err(wrong("engine.tls.key_file", why));
            }
        };
        let names = self.names.unwrap_or_default();
        if files.is_some() && !names.is_empty() {
            let why =
                "names apply only to the generated certificate, not to a configured one".to_owned();
            return Err(wrong("engine.tls.names", why));
        }
        let bad = |name: &String| ServerName::try_from(name.as_str()).is_err();
        if let Some(at) = names.iter().position(bad) {
            let why = format!(
                "number {} is neither a name like engine.example.org nor an address",
                at + 1
            );
            return Err(wrong("engine.tls.names", why));
        }
        Ok(Tls { files, names })
    }
}
