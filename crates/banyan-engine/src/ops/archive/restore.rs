//! `restore`: restores a complete and unaltered backup, or nothing. An embedded store is built next to the current one
//! and replaces it at the end, so a failure leaves the current one unchanged.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal as _};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};

use banyan_state::{Archive, ArchiveError, Summary};
use banyan_store::{EmbeddedStore, Store, StoreError};
use jiff::Timestamp;

use super::{STANDARD, embedded_path, file, not_opened, open};
use crate::Failure;
use crate::clock::now;
use crate::config::{Config, StoreBackend};
use crate::private_file::make_private_dir;

/// Options of `restore`.
#[derive(Debug, clap::Args)]
pub struct RestoreOptions {
    /// The backup; `-` for standard input.
    #[arg(value_name = "FILE|-")]
    pub file: PathBuf,
    /// Whether to discard the store's current state.
    #[arg(long)]
    pub replace: bool,
}

/// Fills the engine's store from a backup and returns a summary.
///
/// # Errors
/// If the backup is incomplete, the store has a state and `replace` is not set, an engine is running, or a file
/// operation fails.
pub async fn restore(config: &Config, options: &RestoreOptions) -> Result<String, Failure> {
    let archive = read(&options.file)?;
    match config.store_backend {
        StoreBackend::Embedded => {
            into_embedded(config, &archive, options.replace, now()).await?;
        }
        StoreBackend::Etcd => {
            let store = crate::ops::store::open_store(config).await?;
            into_shared(&*store, &archive, options.replace, now()).await?;
        }
    }
    Ok(done(archive.summary()))
}

fn done(summary: &Summary) -> String {
    format!(
        "restored {} entries, generation {}, as of {:.0}; start the engine: it serves commit {} and waits for `banyan gitops accept COMMIT`",
        summary.entries, summary.generation, summary.made_at, summary.commit
    )
}

pub(super) fn read(path: &Path) -> Result<Archive, Failure> {
    if path != Path::new(STANDARD) {
        let doing = || format!("read the backup {}", path.display());
        let opened = File::open(path).map_err(|error| Failure::setup(doing(), error))?;
        return read_from(&mut BufReader::new(opened), &doing());
    }
    let doing = "read the backup from standard input";
    if io::stdin().is_terminal() {
        return Err(Failure::setup(
            doing,
            "it is a terminal; give a file, or pipe one in",
        ));
    }
    read_from(&mut io::stdin().lock(), doing)
}

fn read_from(input: &mut dyn BufRead, doing: &str) -> Result<Archive, Failure> {
    Archive::read(input).map_err(|error| Failure::setup(doing, error))
}

pub(super) async fn into_embedded(
    config: &Config,
    archive: &Archive,
    replace: bool,
    at: Timestamp,
) -> Result<(), Failure> {
    make_private_dir(&config.state_dir)?;
    let path = embedded_path(config);
    let doing = format!("restore into {}", path.display());
    let present = hold(&path, replace, &doing).await?;
    let draft = path.with_added_extension("restoring");
    let failed = |error| Failure::setup(format!("write {}", draft.display()), error);
    file::remove(&draft).map_err(failed)?;
    let built = build(&draft, archive, at, &doing).await;
    let placed = match built {
        // Both stay locked until the new one is in place, so no engine can start in between.
        Ok(store) => place(&config.state_dir, &draft, &path)
            .map(|()| drop(store))
            .map_err(|error| Failure::setup(&doing, error)),
        Err(failure) => Err(failure),
    };
    drop(present);
    if placed.is_err() {
        // The first error is the one to report; the next restore removes a leftover draft.
        let _ = file::remove(&draft);
    }
    placed
}

/// Restores in place into a store that engines share; the store is marked as incomplete until it is finished.
pub(super) async fn into_shared(
    store: &dyn Store,
    archive: &Archive,
    replace: bool,
    at: Timestamp,
) -> Result<(), Failure> {
    let doing = "restore into the store in engine.etcd";
    let restored = banyan_state::restore(store, archive, replace, at).await;
    restored.map_err(|error| match error {
        ArchiveError::InForce { .. } => needs_replace(doing, &error),
        error => Failure::setup(doing, error),
    })
}

/// Locks the current store, if it can be opened, and refuses one whose state must not be lost.
async fn hold(path: &Path, replace: bool, doing: &str) -> Result<Option<EmbeddedStore>, Failure> {
    let store = match open(path).await {
        Ok(store) => store,
        // No engine can run on it, and the backup is meant to replace it.
        Err(StoreError::Corrupt { .. } | StoreError::Format { .. }) if replace => return Ok(None),
        Err(error @ (StoreError::Corrupt { .. } | StoreError::Format { .. })) => {
            return Err(needs_replace(doing, &error));
        }
        Err(error) => return Err(not_opened(doing, error)),
    };
    if replace {
        return Ok(Some(store));
    }
    match Archive::take(&store, Timestamp::UNIX_EPOCH).await {
        Err(ArchiveError::NothingInForce) => Ok(Some(store)),
        Err(error) => Err(needs_replace(doing, &error)),
        Ok(present) => {
            let Summary {
                generation, commit, ..
            } = *present.summary();
            let error = ArchiveError::InForce { generation, commit };
            Err(needs_replace(doing, &error))
        }
    }
}

fn needs_replace(doing: &str, error: &dyn std::error::Error) -> Failure {
    let why = format!(
        "{}; give --replace to discard it for the backup",
        crate::report(error)
    );
    Failure::setup(doing, why)
}

async fn build(
    draft: &Path,
    archive: &Archive,
    at: Timestamp,
    doing: &str,
) -> Result<EmbeddedStore, Failure> {
    let store = open(draft)
        .await
        .map_err(|error| not_opened(doing, error))?;
    let restored = banyan_state::restore(&store, archive, false, at).await;
    restored.map_err(|error| Failure::setup(doing, error))?;
    Ok(store)
}

/// Renames the new store into place. It gets the owner of the directory, so that an engine that does not run as root
/// can open a store restored by root.
fn place(folder: &Path, draft: &Path, path: &Path) -> io::Result<()> {
    let (theirs, ours) = (folder.metadata()?, draft.metadata()?);
    if (theirs.uid(), theirs.gid()) != (ours.uid(), ours.gid()) {
        chown(draft, Some(theirs.uid()), Some(theirs.gid()))?;
    }
    file::put_in_place(draft, path)
}
