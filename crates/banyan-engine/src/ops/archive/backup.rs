//! `backup`: from a running engine through its local socket, or else directly from the store.

use std::io::{self, BufWriter, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use banyan_api::v1::BackupRequest;
use banyan_api::{Client, ConnectError, Target};
use banyan_state::Archive;
use banyan_store::StoreError;

use super::{STANDARD, embedded_path, file, not_opened, open, require};
use crate::Failure;
use crate::clock::now;
use crate::config::{Config, StoreBackend};

/// Options of `backup`.
#[derive(Debug, clap::Args)]
pub struct BackupOptions {
    /// The file to write, readable by its owner only; `-` for standard output, even if it is a terminal.
    #[arg(long, short, value_name = "FILE|-")]
    pub output: Option<PathBuf>,
}

/// Takes a backup and returns a summary.
///
/// # Errors
/// If neither the engine nor its store provides one, or it cannot be written.
pub async fn backup(config: &Config, options: &BackupOptions) -> Result<String, Failure> {
    if options.output.is_none() && io::stdout().is_terminal() {
        let why = "will not write a backup to a terminal; give --output FILE";
        return Err(Failure::setup("write the backup", why));
    }
    let archive = take(config).await?;
    let output = options.output.as_deref();
    let place = match output.filter(|path| *path != Path::new(STANDARD)) {
        Some(path) => {
            let doing = || format!("write the backup {}", path.display());
            let written = file::write_private(path, |out| archive.write(out));
            written.map_err(|error| Failure::setup(doing(), error))?;
            path.display().to_string()
        }
        None => {
            print(&archive).map_err(|error| Failure::setup("write the backup", error))?;
            "standard output".to_owned()
        }
    };
    let summary = archive.summary();
    Ok(format!(
        "backed up {} entries, generation {} of commit {}, to {place}; keep it secret; it does not include the engine's key files",
        summary.entries,
        summary.generation,
        summary.commit.short()
    ))
}

fn print(archive: &Archive) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    archive.write(&mut out)?;
    out.flush()
}

/// From the running engine; if none answers, from the store.
pub(super) async fn take(config: &Config) -> Result<Archive, Failure> {
    match Client::connect(&Target::Socket(config.socket.clone())).await {
        Ok(client) => from_engine(&client, &config.socket).await,
        Err(unanswered) => from_store(config, unanswered).await,
    }
}

async fn from_engine(client: &Client, socket: &Path) -> Result<Archive, Failure> {
    let doing = || format!("take a backup from the engine at {}", socket.display());
    let refused = |status: tonic::Status| Failure::setup(doing(), status.message().to_owned());
    let answer = client.engine().backup(BackupRequest {}).await;
    let mut chunks = answer.map_err(refused)?.into_inner();
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.message().await.map_err(refused)? {
        bytes.extend(chunk.content);
    }
    Archive::read(&mut bytes.as_slice()).map_err(|error| Failure::setup(doing(), error))
}

async fn from_store(config: &Config, unanswered: ConnectError) -> Result<Archive, Failure> {
    if config.store_backend == StoreBackend::Embedded {
        return from_embedded(config, unanswered).await;
    }
    let store = crate::ops::store::open_store(config).await?;
    let taken = Archive::take(&*store, now()).await;
    let taken = taken.and_then(Archive::without_ended);
    taken.map_err(|error| Failure::setup("take a backup of the store in engine.etcd", error))
}

async fn from_embedded(config: &Config, unanswered: ConnectError) -> Result<Archive, Failure> {
    let path = embedded_path(config);
    let doing = format!("take a backup of {}", path.display());
    require(&doing, &path)?;
    let store = open(&path).await.map_err(|error| match error {
        StoreError::Busy { .. } => {
            let why = format!("an engine has it open, but {}", crate::report(&unanswered));
            Failure::setup(&doing, why)
        }
        other => not_opened(&doing, other),
    })?;
    let taken = Archive::take(&store, now()).await;
    let taken = taken.and_then(Archive::without_ended);
    taken.map_err(|error| Failure::setup(&doing, error))
}
