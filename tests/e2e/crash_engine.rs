//! The engine of the crash tests: a process to kill, in a directory that outlives it, and a concurrent reader.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use banyan_api::v1::{GitopsStatus, ListMachinesRequest, ListUsersRequest, SyncRequest};
use banyan_api::{Client, Target};
use tempfile::TempDir;
use tonic::Status;

use crate::crash_repo::World;
use crate::harness::{PATIENCE, program};

/// The retry interval.
const PAUSE: Duration = Duration::from_millis(2);

/// The directory of an engine: its configuration, state, socket and log.
pub(crate) struct Place {
    dir: TempDir,
}

impl Place {
    /// A directory without state, for engines of this repo.
    pub(crate) fn new(world: &World) -> Result<Self> {
        let place = Self {
            dir: TempDir::new()?,
        };
        let text = format!(
            "engine:\n  state_dir: {}\n  socket: {}\n  grpc_port: 0\n  http: {{port: 0}}\n  metrics_port: 0\n  wireguard: none\n  \
             gitops: {{url: {}, poll: 1h}}\n",
            place.state().display(),
            place.socket().display(),
            world.url(),
        );
        fs::write(place.path("banyan.yaml"), text)?;
        Ok(place)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The directory of store, clone and key.
    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("engine.sock")
    }

    /// The log of the engine that was started last.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Starts an engine; it may not be ready yet.
    pub(crate) fn start(&self) -> Result<Engine> {
        let mut command = Command::new(program("banyan-engine"));
        command.arg("run").arg("--config");
        command
            .arg(self.path("banyan.yaml"))
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(self.path("log"))?);
        Ok(Engine(command.spawn()?))
    }

    /// Waits until the engine answers, runs a pass on it and returns the resulting status. Fails if the engine exits or
    /// does not answer.
    pub(crate) async fn sync(&self, engine: &mut Engine) -> Result<(Client, GitopsStatus)> {
        let synced = tokio::time::timeout(PATIENCE, self.sync_once(engine)).await;
        synced
            .context("the engine does not answer")
            .flatten()
            .with_context(|| format!("the engine's log:\n{}", self.log()))
    }

    async fn sync_once(&self, engine: &mut Engine) -> Result<(Client, GitopsStatus)> {
        let client = loop {
            if let Ok(client) = Client::connect(&Target::Socket(self.socket())).await {
                break client;
            }
            if let Some(status) = engine.0.try_wait()? {
                bail!("the engine did not start: {status}");
            }
            tokio::time::sleep(PAUSE).await;
        };
        let status = client.gitops().sync(SyncRequest { wait: true }).await?;
        Ok((client, status.into_inner()))
    }
}

/// A running engine, killed when dropped.
pub(crate) struct Engine(Child);

impl Engine {
    /// Kills it with `SIGKILL`. It is gone when this returns.
    pub(crate) fn kill(mut self) -> Result<()> {
        let ended = self.0.try_wait()?;
        self.0.kill()?;
        self.0.wait()?;
        ensure!(ended.is_none(), "the engine had ended by itself: {ended:?}");
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _status = self.0.wait();
    }
}

/// Everything the reader has seen, from all engines of one directory.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    newest: AtomicU64,
    answers: AtomicU64,
    advances: AtomicU64,
}

impl Seen {
    /// The newest generation reported by any engine.
    pub(crate) fn newest(&self) -> u64 {
        self.newest.load(Ordering::SeqCst)
    }

    /// The number of answers checked.
    pub(crate) fn answers(&self) -> u64 {
        self.answers.load(Ordering::SeqCst)
    }

    /// How often the reader was the first to see a generation.
    pub(crate) fn advances(&self) -> u64 {
        self.advances.load(Ordering::SeqCst)
    }

    /// Records the generation of an answer to a request that was sent when `floor` was the newest.
    fn take(&self, generation: u64, floor: u64) -> Result<()> {
        ensure!(
            generation >= floor,
            "generation {generation} is in force after {floor} was"
        );
        self.answers.fetch_add(1, Ordering::SeqCst);
        if self.newest.fetch_max(generation, Ordering::SeqCst) < generation {
            self.advances.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Requests all users and machines once and checks the answers.
    ///
    /// The outer error is a wrong answer, the inner one no answer.
    pub(crate) async fn look(&self, client: &Client, world: &World) -> Result<Result<(), Status>> {
        let floor = self.newest();
        let users = match client.users().list_users(ListUsersRequest {}).await {
            Ok(users) => users.into_inner(),
            Err(status) => return Ok(Err(status)),
        };
        world.judge_users(&users)?;
        self.take(users.generation, floor)?;
        let floor = self.newest();
        let machines = match client
            .machines()
            .list_machines(ListMachinesRequest {})
            .await
        {
            Ok(machines) => machines.into_inner(),
            Err(status) => return Ok(Err(status)),
        };
        world.judge_machines(&machines)?;
        self.take(machines.generation, floor)?;
        Ok(Ok(()))
    }
}

/// Reads from each engine until it dies, then from its successor, until there are no more. Fails only on a wrong
/// answer.
pub(crate) async fn read_on(socket: PathBuf, world: Arc<World>, seen: Arc<Seen>) -> Result<()> {
    loop {
        if let Ok(client) = Client::connect(&Target::Socket(socket.clone())).await {
            while seen.look(&client, &world).await?.is_ok() {
                tokio::time::sleep(PAUSE).await;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}
