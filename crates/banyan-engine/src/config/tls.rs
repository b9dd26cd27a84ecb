//! Section `engine.tls`: the certificate that the engine shows.

use std::path::PathBuf;

use serde::Deserialize;
use tokio_rustls::rustls::pki_types::ServerName;

use super::{ConfigError, Wrong};

/// The certificate that the engine shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// A certificate and its key, in PEM; without them the engine makes its own.
    pub files: Option<(PathBuf, PathBuf)>,
    /// Names and addresses that the engine's own certificate is for, besides those of the host.
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
                let why = "a certificate needs its key; give key_file".to_owned();
                return Err(wrong("engine.tls.cert_file", why));
            }
            (None, Some(_)) => {
                let why = "a key belongs to a certificate; give cert_file".to_owned();
                return Err(wrong("engine.tls.key_file", why));
            }
        };
        let names = self.names.unwrap_or_default();
        if files.is_some() && !names.is_empty() {
            let why =
                "names are for the engine's own certificate; a given one has its own".to_owned();
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
