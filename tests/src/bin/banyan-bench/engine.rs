//! The built engine as a separate process, reached as users reach it.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use banyan_api::v1::{
    EngineStatus, GetEngineStatusRequest, GetGitopsStatusRequest, GitopsStatus, SyncRequest,
};
use banyan_api::{Client, Target};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// The time limit until an engine listens.
const START: Duration = Duration::from_secs(30);
/// The time limit until its first commit is in force.
const SETTLE: Duration = Duration::from_secs(60);
/// The interval between status requests until then.
const ASK: Duration = Duration::from_millis(20);

/// How many lines of its log are shown if that fails.
const LOG: usize = 20;

/// The options of an engine.
#[derive(Clone, Copy)]
pub(crate) struct Ground<'g> {
    pub(crate) url: &'g str,
    pub(crate) identity: &'g Path,
    /// `engine.wireguard`.
    pub(crate) wireguard: &'g str,
    /// More of the section `engine`: the store. Empty for the embedded store.
    pub(crate) store: &'g str,
}

impl Ground<'_> {
    /// The configuration of an engine whose files are in this directory.
    pub(crate) fn config(&self, folder: &Path, http: u16) -> String {
        format!(
            "engine:\n  state_dir: {folder}/state\n  socket: {folder}/engine.sock\n  grpc_port: 0\n  http: {{port: 0}}\n  \
             metrics_port: {http}\n  age_identity_file: {}\n  wireguard: {}\n  wg_port: 0\n  \
             gitops: {{url: \"{}\", poll: 1h}}\n{}",
            self.identity.display(),
            self.wireguard,
            self.url,
            self.store,
            folder = folder.display(),
        )
    }
}

/// A program built beside this one.
pub(crate) fn program(name: &str) -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    let file = here.with_file_name(name);
    ensure!(
        file.is_file(),
        "{} is missing: run the benchmark by `cargo xtask bench`, which builds it",
        file.display()
    );
    Ok(file)
}

pub(crate) struct EngineProcess {
    child: Child,
    http: SocketAddr,
    client: Client,
    folder: TempDir,
}

impl EngineProcess {
    /// Starts an engine and waits until it listens.
    pub(crate) async fn start(ground: Ground<'_>) -> Result<Self> {
        let folder = TempDir::new()?;
        let http = free_port()?;
        let file = folder.path().join("banyan.yaml");
        std::fs::write(&file, ground.config(folder.path(), http.port()))?;
        let log = std::fs::File::create(folder.path().join("log"))?;
        let mut child = Command::new(program("banyan-engine")?)
            .arg("--config")
            .args([file.as_os_str(), "run".as_ref()])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("starting the engine")?;
        let client = match connect(&mut child, folder.path()).await {
            Ok(client) => client,
            Err(error) => {
                let log = std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
                let _ = child.kill();
                return Err(error.context(log));
            }
        };
        Ok(Self {
            child,
            http,
            client,
            folder,
        })
    }

    /// Its local socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("engine.sock")
    }

    /// Runs a pass and waits for it.
    pub(crate) async fn sync(&self) -> Result<GitopsStatus> {
        let answer = self
            .client
            .gitops()
            .sync(SyncRequest { wait: true })
            .await?;
        Ok(answer.into_inner())
    }

    /// Runs passes until a commit is in force: an engine that shares its store must be elected
    /// first.
    pub(crate) async fn settle(&self) -> Result<()> {
        let deadline = Instant::now() + SETTLE;
        loop {
            let stands = match self.sync().await {
                Ok(status) if status.state == "in-force" => return Ok(()),
                Ok(status) => {
                    let first = status.findings.first();
                    format!("{}: {} {first:?}", status.state, status.error)
                }
                Err(error) => format!("{error:#}"),
            };
            ensure!(
                self.runs() && Instant::now() < deadline,
                "the engine {} {stands}\n{}",
                if self.runs() { "is" } else { "ended, and was" },
                self.log()
            );
            tokio::time::sleep(ASK).await;
        }
    }

    /// Whether it is still running.
    fn runs(&self) -> bool {
        let state = self.line("status", "State:");
        state.is_ok_and(|state| !state.trim_start().starts_with('Z'))
    }

    /// Whether it has logged this.
    pub(crate) fn has_logged(&self, text: &str) -> bool {
        let log = std::fs::read_to_string(self.folder.path().join("log"));
        log.unwrap_or_default().contains(text)
    }

    /// The end of its log.
    fn log(&self) -> String {
        let log = std::fs::read_to_string(self.folder.path().join("log"));
        let log = log.unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.get(lines.len().saturating_sub(LOG)..);
        last.unwrap_or_default().join("\n")
    }

    /// The repo's status, as the engine reports it.
    pub(crate) async fn gitops(&self) -> Result<GitopsStatus> {
        let answer = (self.client.gitops().get_status(GetGitopsStatusRequest {})).await?;
        Ok(answer.into_inner())
    }

    /// The engine's own status.
    pub(crate) async fn status(&self) -> Result<EngineStatus> {
        let answer = (self.client.engine().get_status(GetEngineStatusRequest {})).await?;
        Ok(answer.into_inner())
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) -> Result<()> {
        Ok(self.child.kill()?)
    }

    /// The CPU time it has used.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        cpu_of(&self.child.id().to_string())
    }

    /// Sum and count of the histogram of passes.
    pub(crate) async fn passes(&self) -> Result<(f64, f64)> {
        let text = self.metrics().await?;
        let value = |name: &str| -> Result<f64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let line = line.with_context(|| format!("there is no metric {name}"))?;
            Ok(line.trim().parse()?)
        };
        Ok((
            value("banyan_pass_duration_seconds_sum ")?,
            value("banyan_pass_duration_seconds_count ")?,
        ))
    }

    async fn metrics(&self) -> Result<String> {
        let mut stream = tokio::net::TcpStream::connect(self.http).await?;
        let request = "GET /metrics HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    /// A line of `/proc/PID/FILE`, in KiB.
    pub(crate) fn memory(&self, file: &str, key: &str) -> Result<u64> {
        let line = self.line(file, key)?;
        let number = line.split_whitespace().next();
        Ok(number.with_context(|| format!("{key} is empty"))?.parse()?)
    }

    /// The value of a key in `/proc/PID/FILE`.
    fn line(&self, file: &str, key: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.child.id());
        let text = std::fs::read_to_string(&path)?;
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        Ok(line
            .with_context(|| format!("{path} has no {key}"))?
            .to_owned())
    }
}

impl Drop for EngineProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The CPU time that a process has used, `self` for this one.
pub(crate) fn cpu_of(process: &str) -> Result<Duration> {
    // The kernel's unit in user space, on every architecture.
    const TICKS: f64 = 100.0;
    let path = format!("/proc/{process}/stat");
    let text = std::fs::read_to_string(&path)?;
    // The name, in parentheses, may contain anything.
    let (_, rest) = text.rsplit_once(')').context("no name")?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut ticks = || -> Result<f64> {
        let field = fields.next().with_context(|| format!("{path} is short"))?;
        Ok(field.parse()?)
    };
    let (user, system) = (ticks()?, ticks()?);
    Ok(Duration::from_secs_f64((user + system) / TICKS))
}

async fn connect(child: &mut Child, folder: &Path) -> Result<Client> {
    let deadline = Instant::now() + START;
    loop {
        match Client::connect(&Target::Socket(folder.join("engine.sock"))).await {
            Ok(client) => return Ok(client),
            Err(error) if Instant::now() > deadline => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
        if let Some(status) = child.try_wait()? {
            bail!("the engine ended: {status}");
        }
    }
}

fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}
