//! The commands that take the state out of a store and bring it into one: `backup`, `restore`, `migrate`.

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

/// Where data goes to or comes from that is in no file.
const STANDARD: &str = "-";

fn embedded_path(config: &Config) -> PathBuf {
    crate::ops::store::embedded_path(&config.state_dir)
}

/// An etcd cluster, for people: without what somebody may have written into a URL to log in with.
fn etcd_name(etcd: &Etcd) -> String {
    let endpoints: Vec<&str> = etcd.endpoints.iter().map(|url| address(url)).collect();
    format!("etcd {}, prefix {}", endpoints.join(","), etcd.prefix)
}

fn address(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.rsplit_once('@').map_or(rest, |(_, host)| host)
}

/// Opens an embedded store, or makes it. Nobody else can until it is dropped.
async fn open(path: &Path) -> Result<EmbeddedStore, StoreError> {
    let path = path.to_owned();
    let opened = tokio::task::spawn_blocking(move || EmbeddedStore::open(path)).await;
    opened.map_err(|error| StoreError::unavailable("opening its file", error))?
}

/// A store that an engine has open cannot be had.
fn not_opened(doing: &str, error: StoreError) -> Failure {
    match error {
        StoreError::Busy { .. } => {
            Failure::setup(doing, "an engine has it open; stop the engine first")
        }
        other => Failure::setup(doing, other),
    }
}

/// An embedded store that must be there.
fn require(doing: &str, path: &Path) -> Result<(), Failure> {
    match path.try_exists() {
        Ok(true) => Ok(()),
        Ok(false) => {
            let why = "there is no such file; see engine.state_dir";
            Err(Failure::setup(doing, why))
        }
        Err(error) => Err(Failure::setup(doing, error)),
    }
}
