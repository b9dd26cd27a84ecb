//! The commands that read the state from a store or write it to one: `backup`, `restore`, `migrate`.

mod backup;
mod file;
mod migrate;
mod restore;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use banyan_store::{EmbeddedStore, StoreError};

use crate::Failure;
use crate::config::{Config, Etcd};

pub use backup::{BackupOptions, backup};
pub use migrate::{MigrateOptions, migrate};
pub use restore::{RestoreOptions, restore};

/// Means standard input or output.
const STANDARD: &str = "-";

fn embedded_path(config: &Config) -> PathBuf {
    crate::ops::store::embedded_path(&config.state_dir)
}

/// A name of an etcd cluster for messages, without credentials that its URLs may contain.
fn etcd_name(etcd: &Etcd) -> String {
    let endpoints: Vec<&str> = etcd.endpoints.iter().map(|url| address(url)).collect();
    format!("etcd {}, prefix {}", endpoints.join(","), etcd.prefix)
}

fn address(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.rsplit_once('@').map_or(rest, |(_, host)| host)
}

/// Opens or creates an embedded store. It stays locked until it is dropped.
async fn open(path: &Path) -> Result<EmbeddedStore, StoreError> {
    let path = path.to_owned();
    let opened = tokio::task::spawn_blocking(move || EmbeddedStore::open(path)).await;
    opened.map_err(|error| StoreError::unavailable("opening its file", error))?
}

/// The error for a store that could not be opened, for example because an engine has it open.
fn not_opened(doing: &str, error: StoreError) -> Failure {
    match error {
        StoreError::Busy { .. } => {
            Failure::setup(doing, "an engine has it open; stop the engine first")
        }
        other => Failure::setup(doing, other),
    }
}

/// Checks that the embedded store exists.
fn require(doing: &str, path: &Path) -> Result<(), Failure> {
    match path.try_exists() {
        Ok(true) => Ok(()),
        Ok(false) => {
            let why = "the file does not exist; check engine.state_dir";
            Err(Failure::setup(doing, why))
        }
        Err(error) => Err(Failure::setup(doing, error)),
    }
}
