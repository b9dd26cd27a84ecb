//! `migrate`: moves the embedded store's state to another backend, and records in the embedded store where it went.

use std::sync::Arc;

use banyan_state::ArchiveError;
use banyan_store::Store;
use jiff::Timestamp;

use super::{embedded_path, etcd_name, not_opened, open, require};
use crate::Failure;
use crate::clock::now;
use crate::config::Config;

/// Options of `migrate`.
#[derive(Debug, clap::Args)]
pub struct MigrateOptions {
    /// The target backend.
    #[arg(long, value_enum)]
    pub to: Target,
}

/// A backend that the embedded store can be moved to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Target {
    /// The etcd configured in `engine.etcd`.
    Etcd,
}

/// Moves the embedded store's state and returns a summary.
///
/// # Errors
/// If the target has a state, engines are running on one of the stores, or one of them fails.
pub async fn migrate(config: &Config, options: &MigrateOptions) -> Result<String, Failure> {
    let (store, name) = target(config, options.to)?;
    move_embedded(config, &*store, &name, now()).await
}

fn target(config: &Config, to: Target) -> Result<(Arc<dyn Store>, String), Failure> {
    match (to, &config.etcd) {
        (Target::Etcd, Some(etcd)) => Ok((crate::ops::store::open_etcd(etcd)?, etcd_name(etcd))),
        (Target::Etcd, None) => Err(Failure::setup(
            "migrate to etcd",
            "etcd is not configured; set engine.etcd",
        )),
    }
}

pub(super) async fn move_embedded(
    config: &Config,
    to: &dyn Store,
    name: &str,
    at: Timestamp,
) -> Result<String, Failure> {
    let path = embedded_path(config);
    let doing = format!("move {} to {name}", path.display());
    require(&doing, &path)?;
    let from = open(&path)
        .await
        .map_err(|error| not_opened(&doing, error))?;
    let moved = banyan_state::migrate(&from, to, name, at).await;
    let moved = moved.map_err(|error| match error {
        ArchiveError::InForce { .. } => {
            let why = format!("{error}; to overwrite it, restore a backup of the embedded store there with --replace");
            Failure::setup(&doing, why)
        }
        error => Failure::setup(&doing, error),
    })?;
    let summary = moved.summary;
    let what = match moved.earlier {
        Some(at) => format!("the state was already moved to {name} at {at:.0}"),
        None => format!("moved {} entries to {name}", summary.entries),
    };
    Ok(format!(
        "{what}: generation {} of commit {}; set `engine.store_backend: etcd` and start the engine; {} is no longer used",
        summary.generation,
        summary.commit.short(),
        path.display()
    ))
}
