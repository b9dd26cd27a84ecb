//! The built engine as a process of its own, reached as people reach it.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use banyan_api::Client;
use banyan_api::v1::{GitopsStatus, SyncRequest};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// How long an engine may take to listen.
const START: Duration = Duration::from_secs(30);

/// The configuration of an engine on this repo.
pub(crate) fn config(
    folder: &Path,
    url: &str,
    identity: &Path,
    wireguard: &str,
    http: u16,
) -> String {
    format!(
        "engine:\n  state_dir: {folder}/state\n  socket: {folder}/engine.sock\n  grpc_port: 0\n  metrics_port: {http}\n  \
         age_identity_file: {}\n  wireguard: {wireguard}\n  wg_port: 0\n  gitops: {{url: \"{url}\", poll: 1h}}\n",
        identity.display(),
        folder = folder.display(),
    )
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
    _folder: TempDir,
}

impl EngineProcess {
    /// Starts an engine on a repo and waits until it listens.
    pub(crate) async fn start(url: &str, identity: &Path) -> Result<Self> {
        let folder = TempDir::new()?;
        let http = free_port()?;
        let file = folder.path().join("banyan.yaml");
        std::fs::write(
            &file,
            config(folder.path(), url, identity, "none", http.port()),
        )?;
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
            _folder: folder,
        })
    }

    /// A pass, awaited.
    pub(crate) async fn sync(&self) -> Result<GitopsStatus> {
        let answer = self
            .client
            .gitops()
            .sync(SyncRequest { wait: true })
            .await?;
        Ok(answer.into_inner())
    }

    /// A pass that must leave a commit in force.
    pub(crate) async fn settle(&self) -> Result<()> {
        let status = self.sync().await?;
        ensure!(
            status.state == "in-force",
            "the engine is {}: {} {:?}",
            status.state,
            status.error,
            status.findings.first()
        );
        Ok(())
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
        let path = format!("/proc/{}/{file}", self.child.id());
        let text = std::fs::read_to_string(&path)?;
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        let line = line.with_context(|| format!("{path} has no {key}"))?;
        let number = line.split_whitespace().next();
        Ok(number.with_context(|| format!("{key} is empty"))?.parse()?)
    }
}

impl Drop for EngineProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn connect(child: &mut Child, folder: &Path) -> Result<Client> {
    let deadline = Instant::now() + START;
    loop {
        match Client::connect(&folder.join("engine.sock")).await {
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
