//! TLS for the engine's TCP listeners: the certificate, and limits on connections.

mod certificate;
mod connection;
mod listener;
#[cfg(test)]
pub(crate) mod made;
mod own;
mod pair;
mod slots;

pub(crate) use certificate::{Certificate, pin_of};
pub(crate) use connection::Connection;
pub(crate) use listener::{Limits, Listener};

use std::path::PathBuf;

use crate::Failure;
use crate::config::Config;

/// A certificate and its key, in two files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Files {
    cert: PathBuf,
    key: PathBuf,
}

impl Files {
    /// The configured files, or the engine's own.
    fn of(config: &Config) -> Self {
        match config.tls.files.clone() {
            Some((cert, key)) => Self { cert, key },
            None => Self {
                cert: config.state_dir.join("tls/cert.pem"),
                key: config.state_dir.join("tls/key.pem"),
            },
        }
    }
}

/// The pin that identifies this engine to clients; creates the certificate if there is none.
///
/// # Errors
/// If there is no usable certificate and none can be created.
pub fn pin(config: &Config) -> Result<banyan_api::Pin, Failure> {
    Ok(Certificate::open(config)?.pin())
}
