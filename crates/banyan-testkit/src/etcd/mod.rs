//! Real etcd servers for tests: one or three, on loopback, with their own ports and data.
//!
//! Each cluster has its own address in 127.0.0.0/8, so that tests run in parallel and a restarted
//! server finds its ports free. The servers end with the cluster, or with the test process if that
//! dies first. If the test panics, the tail of their logs is printed.

mod process;
mod tls;

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

use crate::netns::{Host, require, until};
use process::Process;

/// How long a cluster may take to become healthy, on a loaded machine.
const HEALTHY_WITHIN: Duration = Duration::from_secs(30);
/// How many times to pick new ports when the free ones were taken in between.
const TRIES: usize = 5;
/// The time limit of a server's answer about itself.
const ASK_LIMIT: Duration = Duration::from_secs(2);

/// Name and password of the user with all permissions, if authentication is on.
pub const ROOT: (&str, &str) = ("root", "the root of all");
/// Name and password of the user that may do anything under one prefix and nothing elsewhere.
pub const LIMITED: (&str, &str) = ("banyan", "grows downwards");

/// How the servers of a cluster authenticate clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Security {
    /// Not at all, and without TLS.
    #[default]
    None,
    /// TLS with a server certificate only.
    Tls,
    /// TLS in which clients need a certificate of the same authority.
    MutualTls,
}

/// The options of a cluster.
#[derive(Clone, Default)]
pub struct Options {
    /// The number of servers: 1 or 3 (0 counts as 1).
    pub nodes: usize,
    /// TLS and certificates.
    pub security: Security,
    /// Turns on authentication: [`ROOT`], and [`LIMITED`] for the keys under this prefix.
    pub users_under: Option<String>,
    /// Extra arguments of each server.
    pub arguments: Vec<String>,
    /// The network the servers run in; by default the caller's.
    pub host: Option<Host>,
}

/// Running etcd servers. Dropping them stops them and deletes their data.
pub struct Cluster {
    options: Options,
    nodes: Vec<Node>,
    users: bool,
    dir: TempDir,
}

struct Node {
    name: String,
    client: SocketAddr,
    peer: SocketAddr,
    /// Metrics and health in plain HTTP, independent of the other ports' TLS.
    about: SocketAddr,
    process: Option<Process>,
}

impl Cluster {
    /// Starts this many servers (1 or 3), without TLS and users, and waits until they are healthy.
    ///
    /// # Errors
    /// etcd is missing or does not come up.
    pub fn start(nodes: usize) -> Result<Self> {
        Self::with(&Options {
            nodes,
            ..Options::default()
        })
    }

    /// Starts servers with these options and waits until they are healthy.
    ///
    /// # Errors
    /// etcd, or `openssl` for TLS, is missing; they do not come up.
    pub fn with(options: &Options) -> Result<Self> {
        require("etcd", "etcd-server")?;
        require("etcdctl", "etcd-client")?;
        let mut last = None;
        for _ in 0..TRIES {
            let mut cluster = Self::place(options.clone())?;
            match cluster.launch() {
                Ok(()) => return Ok(cluster),
                Err(error) if cluster.logs().contains("address already in use") => {
                    last = Some(error);
                }
                Err(error) => return Err(error.context(cluster.logs())),
            }
        }
        bail!("no free ports for etcd: {last:?}")
    }

    fn place(options: Options) -> Result<Self> {
        let address = own_address();
        let names = ["n0", "n1", "n2"];
        let count = options.nodes.clamp(1, names.len());
        let nodes = names.iter().take(count).map(|name| Node::at(name, address));
        let cluster = Self {
            nodes: nodes.collect::<Result<_>>()?,
            users: false,
            dir: TempDir::new()?,
            options,
        };
        if cluster.options.security != Security::None {
            tls::make(cluster.dir.path(), address)?;
        }
        Ok(cluster)
    }

    fn launch(&mut self) -> Result<()> {
        for n in 0..self.nodes.len() {
            self.run(n)?;
        }
        self.wait_healthy()?;
        if let Some(prefix) = self.options.users_under.clone() {
            self.make_users(&prefix)?;
        }
        Ok(())
    }

    fn run(&mut self, n: usize) -> Result<()> {
        let arguments = self.arguments(n)?;
        let log = self.log(n)?;
        let mut command = vec!["etcd".to_owned()];
        if let Some(host) = &self.options.host {
            let target = host.pid().to_string();
            command = ["nsenter", "--net", "--target", &target, "--", "etcd"]
                .map(str::to_owned)
                .to_vec();
        }
        command.extend(arguments);
        self.node_mut(n)?.process = Some(Process::start(&command, &log)?);
        Ok(())
    }

    fn arguments(&self, n: usize) -> Result<Vec<String>> {
        let node = self.node(n)?;
        let all = self.nodes.iter();
        let members: Vec<_> = all
            .map(|m| format!("{}=http://{}", m.name, m.peer))
            .collect();
        let client = self.url(node);
        let data = self.dir.path().join(&node.name);
        let mut arguments: Vec<String> = [
            ("--name", node.name.clone()),
            ("--data-dir", data.display().to_string()),
            ("--listen-client-urls", client.clone()),
            ("--advertise-client-urls", client),
            ("--listen-peer-urls", format!("http://{}", node.peer)),
            (
                "--initial-advertise-peer-urls",
                format!("http://{}", node.peer),
            ),
            ("--listen-metrics-urls", format!("http://{}", node.about)),
            ("--initial-cluster", members.join(",")),
            ("--logger", "zap".to_owned()),
            ("--log-outputs", "stderr".to_owned()),
            ("--bcrypt-cost", "4".to_owned()),
            ("--heartbeat-interval", "50".to_owned()),
            ("--election-timeout", "500".to_owned()),
        ]
        .into_iter()
        .flat_map(|(name, value)| [name.to_owned(), value])
        .collect();
        arguments.extend(tls::server_arguments(
            self.options.security,
            self.dir.path(),
        ));
        arguments.extend(self.options.arguments.iter().cloned());
        Ok(arguments)
    }

    fn make_users(&mut self, prefix: &str) -> Result<()> {
        let user = |(name, password)| format!("{name}:{password}");
        let (root, limited) = (user(ROOT), user(LIMITED));
        let all = format!("--prefix={}", !prefix.is_empty());
        for arguments in [
            &["user", "add", root.as_str()][..],
            &["role", "add", "root"],
            &["user", "grant-role", ROOT.0, "root"],
            &["user", "add", limited.as_str()],
            &["role", "add", "limited"],
            &[
                "role",
                "grant-permission",
                &all,
                "limited",
                "readwrite",
                prefix,
            ],
            &["user", "grant-role", LIMITED.0, "limited"],
            &["auth", "enable"],
        ] {
            self.done(arguments)?;
        }
        self.users = true;
        Ok(())
    }

    /// The client addresses of all servers, those that are down included.
    #[must_use]
    pub fn endpoints(&self) -> Vec<String> {
        self.nodes.iter().map(|node| self.url(node)).collect()
    }

    fn url(&self, node: &Node) -> String {
        let scheme = if self.options.security == Security::None {
            "http"
        } else {
            "https"
        };
        format!("{scheme}://{}", node.client)
    }

    /// The authority that signed the servers' certificates, in PEM.
    ///
    /// # Errors
    /// The cluster has no TLS.
    pub fn ca_pem(&self) -> Result<String> {
        self.pem("ca.pem")
    }

    /// A certificate for clients and its key, in PEM.
    ///
    /// # Errors
    /// The cluster has no TLS.
    pub fn client_identity(&self) -> Result<(String, String)> {
        Ok((self.pem("client.pem")?, self.pem("client.key")?))
    }

    fn pem(&self, name: &str) -> Result<String> {
        let path = self.dir.path().join(name);
        std::fs::read_to_string(path).context("the cluster was started without TLS")
    }

    /// Kills a server, like a power cut.
    ///
    /// # Errors
    /// No such server.
    pub fn kill(&mut self, n: usize) -> Result<()> {
        drop(self.node_mut(n)?.process.take());
        Ok(())
    }

    /// Restarts a killed server on its data and ports. Does not wait until it is healthy.
    ///
    /// # Errors
    /// No such server, or it cannot be started.
    pub fn restart(&mut self, n: usize) -> Result<()> {
        self.kill(n)?;
        self.run(n)
    }

    /// Pauses a server: its connections stay open, but it does not answer.
    ///
    /// # Errors
    /// It is not running.
    pub fn stop(&self, n: usize) -> Result<()> {
        self.signal(n, "STOP")
    }

    /// Resumes a paused server.
    ///
    /// # Errors
    /// It is not running.
    pub fn cont(&self, n: usize) -> Result<()> {
        self.signal(n, "CONT")
    }

    fn signal(&self, n: usize, signal: &str) -> Result<()> {
        let process = self.node(n)?.process.as_ref();
        process.context("the server does not run")?.signal(signal)
    }

    /// The current leader, as the servers report it.
    ///
    /// # Errors
    /// There is none, or not within a few seconds.
    pub fn leader(&self) -> Result<usize> {
        until(HEALTHY_WITHIN, || {
            let leads = |n: &usize| {
                let metrics = self.ask(*n, "/metrics").unwrap_or_default();
                metrics.lines().any(|l| l == "etcd_server_is_leader 1")
            };
            let found = (0..self.nodes.len()).find(leads);
            found.context("no server leads")
        })
    }

    /// Waits until every running server answers and has a leader.
    ///
    /// # Errors
    /// Not within half a minute, or a server exited.
    pub fn wait_healthy(&self) -> Result<()> {
        for (n, node) in self.nodes.iter().enumerate() {
            let Some(process) = &node.process else {
                continue;
            };
            until(HEALTHY_WITHIN, || {
                if process.has_ended() {
                    return Ok(false);
                }
                let health = self.ask(n, "/health")?;
                ensure!(health.contains("\"true\""), "{}: {health}", node.name);
                Ok(true)
            })
            .and_then(|healthy| {
                ensure!(healthy, "server {} ended", node.name);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// A server's answer at an informational path such as `/metrics`.
    ///
    /// # Errors
    /// It does not answer within two seconds.
    pub fn ask(&self, n: usize, path: &str) -> Result<String> {
        let address = self.node(n)?.about;
        if let Some(host) = &self.options.host {
            let url = format!("http://{address}{path}");
            return host.run(&["curl", "--silent", "--fail", &url], ASK_LIMIT);
        }
        let mut stream = TcpStream::connect_timeout(&address, ASK_LIMIT)?;
        stream.set_read_timeout(Some(ASK_LIMIT))?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// Compacts the whole history. If nothing was written since the last compaction, this does nothing.
    ///
    /// # Errors
    /// The cluster does not answer.
    pub fn compact(&self) -> Result<()> {
        let got = self.done(&["get", "compact", "--write-out=json"])?;
        let got: serde_json::Value = serde_json::from_str(&got)?;
        let revision = got.pointer("/header/revision");
        let revision = revision.context("an answer without a revision")?;
        let output = self.etcdctl(&["compaction", &revision.to_string()])?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        let forgotten = complaint.contains("required revision has been compacted");
        ensure!(
            output.status.success() || forgotten,
            "`etcdctl compaction`: {complaint}"
        );
        Ok(())
    }

    /// Runs `etcdctl` against all servers as root.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn etcdctl(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = match &self.options.host {
            Some(host) => host.command("etcdctl"),
            None => Command::new("etcdctl"),
        };
        command.env("ETCDCTL_API", "3");
        command.arg(format!("--endpoints={}", self.endpoints().join(",")));
        command.args(tls::client_arguments(
            self.options.security,
            self.dir.path(),
        ));
        if self.users {
            command.arg(format!("--user={}:{}", ROOT.0, ROOT.1));
        }
        command
            .args(arguments)
            .output()
            .context("starting `etcdctl`")
    }

    /// Like [`etcdctl`](Self::etcdctl), but fails if the command does; returns its output.
    ///
    /// # Errors
    /// It fails.
    pub fn done(&self, arguments: &[&str]) -> Result<String> {
        let output = self.etcdctl(arguments)?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        let what = arguments.first().copied().unwrap_or_default();
        ensure!(output.status.success(), "`etcdctl {what}`: {complaint}");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn node(&self, n: usize) -> Result<&Node> {
        self.nodes
            .get(n)
            .with_context(|| format!("there is no server {n}"))
    }

    fn node_mut(&mut self, n: usize) -> Result<&mut Node> {
        let node = self.nodes.get_mut(n);
        node.with_context(|| format!("there is no server {n}"))
    }

    fn log(&self, n: usize) -> Result<PathBuf> {
        Ok(self.dir.path().join(format!("{}.log", self.node(n)?.name)))
    }

    fn logs(&self) -> String {
        let mut logs = String::new();
        for (n, node) in self.nodes.iter().enumerate() {
            let log = self.log(n).and_then(|path| tail(&path)).unwrap_or_default();
            logs.push_str(&format!("--- etcd {}\n{log}", node.name));
        }
        logs
    }
}

impl Drop for Cluster {
    #[expect(
        clippy::print_stderr,
        reason = "a failed test shows what its servers said"
    )]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.logs());
        }
    }
}

impl Node {
    fn at(name: &str, address: Ipv4Addr) -> Result<Self> {
        // Held until all three are known, so that they differ.
        let ports = [(); 3].map(|()| TcpListener::bind((address, 0)));
        let [client, peer, about] = ports.map(|port| port?.local_addr());
        Ok(Self {
            name: name.to_owned(),
            client: client?,
            peer: peer?,
            about: about?,
            process: None,
        })
    }
}

/// A loopback address that most likely no other cluster uses.
fn own_address() -> Ipv4Addr {
    static COUNT: AtomicU8 = AtomicU8::new(0);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    Ipv4Addr::new(127, 1 + high % 254, low, 1 + count % 254)
}

/// The last lines of a log.
fn tail(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path)?;
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.iter().skip(lines.len().saturating_sub(40));
    Ok(last.map(|line| format!("{line}\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_keeps_its_data_when_killed_and_ends_with_its_cluster() {
        let mut cluster = Cluster::start(1).unwrap();
        cluster.done(&["put", "k", "v"]).unwrap();
        cluster.kill(0).unwrap();
        assert!(cluster.ask(0, "/health").is_err());
        cluster.restart(0).unwrap();
        cluster.wait_healthy().unwrap();
        assert_eq!(
            cluster.done(&["get", "k", "--print-value-only"]).unwrap(),
            "v\n"
        );
        assert_eq!(cluster.leader().unwrap(), 0);
        let about = cluster.nodes[0].about;
        drop(cluster);
        assert!(TcpStream::connect(about).is_err());
    }

    #[test]
    fn a_halted_server_says_nothing_and_three_go_on_without_one() {
        let cluster = Cluster::start(3).unwrap();
        let leader = cluster.leader().unwrap();
        cluster.stop(leader).unwrap();
        assert!(cluster.ask(leader, "/health").is_err());
        cluster.cont(leader).unwrap();
        cluster.wait_healthy().unwrap();
    }
}
