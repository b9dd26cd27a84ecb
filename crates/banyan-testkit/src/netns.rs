//! Private hosts for network tests: each has its own network, mount and process namespaces, and its own `/run`.
//!
//! A host lives as long as its handle, or the test process if that dies first: its first process waits on a pipe, and
//! the kernel then kills all others with it and removes their interfaces. The real host gets no names, so tests run in
//! parallel. Requires root; if a tool or privilege is missing, the error says what to install.
//!
//! Sockets belong to the namespace of the thread that creates them. A test that opens devices in its own process
//! re-executes itself inside a host with [`in_private_host`].

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

/// The time limit of an ordinary tool, on a loaded machine.
pub const TOOL_LIMIT: Duration = Duration::from_secs(30);

/// Marks a process as a re-executed test, and names the test.
const INSIDE: &str = "BANYAN_TEST_INSIDE_HOST";

/// The time a process has to exit before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// The script of a host's first process: set up the host, report it, and wait for the pipe to close. It adopts orphans,
/// also those of nested hosts, and a host cannot end before all its zombies are reaped: hence the `trap`.
const FIRST_PROCESS: &str = "mount -t tmpfs tmpfs /run && mkdir -m 700 /run/wireguard \
     && ip link set lo up && echo ready && trap '' CHLD && exec cat >/dev/null";

/// Namespaces to run commands in. Clones are the same host.
#[derive(Clone)]
pub struct Host(Arc<Place>);

enum Place {
    Here,
    Private(Holder),
}

struct Holder {
    unshare: Child,
    /// The host's first process, as seen from here.
    first: u32,
    /// Closing it ends the host, as does the end of this process.
    alive: Option<ChildStdin>,
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.alive.take());
        // The host's first process exits and takes all others with it; `unshare` waits for that.
        end(&mut self.unshare);
    }
}

/// Waits for a process that is about to exit, and kills it if it does not.
fn end(process: &mut Child) {
    let ended = until(GRACE, || process.try_wait()?.context("it still runs"));
    if ended.is_err() {
        let _gone = process.kill();
        let _status = process.wait();
    }
}

impl Host {
    /// A new private host with nothing but a loopback interface.
    ///
    /// # Errors
    /// A tool or the privilege to create namespaces is missing.
    pub fn new() -> Result<Self> {
        require("unshare", "util-linux")?;
        require("nsenter", "util-linux")?;
        require("ip", "iproute2")?;
        let mut unshare = Command::new("unshare")
            .args(["--net", "--mount", "--pid", "--fork", "--mount-proc"])
            .args(["--kill-child=SIGKILL", "--", "sh", "-c", FIRST_PROCESS])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .context("starting `unshare`")?;
        let alive = unshare.stdin.take().context("no pipe to `unshare`")?;
        let said = unshare.stdout.take().context("no pipe from `unshare`")?;
        let mut line = String::new();
        BufReader::new(said).read_line(&mut line)?;
        let first = first_child(unshare.id());
        let holder = Holder {
            first: *first.as_ref().unwrap_or(&0),
            unshare,
            alive: Some(alive),
        };
        ensure!(
            line == "ready\n",
            "no private host could be made; run the tests as root (CAP_SYS_ADMIN, CAP_NET_ADMIN)"
        );
        first?;
        Ok(Self(Arc::new(Place::Private(holder))))
    }

    /// The caller's own namespaces.
    #[must_use]
    pub fn here() -> Self {
        Self(Arc::new(Place::Here))
    }

    /// Whether these are the caller's own namespaces.
    #[must_use]
    pub fn is_here(&self) -> bool {
        matches!(*self.0, Place::Here)
    }

    /// A process id that refers to the host's namespaces.
    pub(crate) fn pid(&self) -> u32 {
        match &*self.0 {
            Place::Here => std::process::id(),
            Place::Private(holder) => holder.first,
        }
    }

    /// A command to run inside, in `/`. Its processes end with the host; killing its `Child` alone may not end them.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        match &*self.0 {
            Place::Here => Command::new(program),
            Place::Private(holder) => {
                let mut command = Command::new("nsenter");
                let target = holder.first.to_string();
                command.args(["--net", "--mount", "--pid", "--target", &target, "--"]);
                command.arg(program);
                command
            }
        }
    }

    /// A command inside that is killed at the time limit.
    pub fn bounded(&self, program: impl AsRef<OsStr>, limit: Duration) -> Command {
        let mut command = self.command("timeout");
        let seconds = format!("{:.3}", limit.as_secs_f64());
        command.args(["-s", "KILL", &seconds]).arg(program);
        command
    }

    /// Runs a program inside to completion and returns its output.
    ///
    /// # Errors
    /// It cannot be started, fails, or takes longer than `limit`; the error includes its output.
    pub fn run(&self, argv: &[&str], limit: Duration) -> Result<String> {
        let (program, arguments) = argv.split_first().context("nothing to run")?;
        let mut command = self.bounded(program, limit);
        finish(command.args(arguments).stdin(Stdio::null()), None)
            .with_context(|| format!("running `{}`", argv.join(" ")))
    }

    /// Connects two hosts by a veth pair, with an address (`a.b.c.d/n` or IPv6) at each end.
    ///
    /// # Errors
    /// The pair cannot be created, or an address is refused.
    pub fn join(&self, address: &str, other: &Self, their_address: &str) -> Result<()> {
        let (here, there) = (self.pid().to_string(), other.pid().to_string());
        let names = [format!("to{there}"), format!("to{here}")];
        let [near, far] = names.each_ref().map(String::as_str);
        let cable = ["type", "veth", "peer", "name", far, "netns", &there];
        let make = [&["ip", "link", "add", near, "netns", &here][..], &cable].concat();
        Self::here().run(&make, TOOL_LIMIT)?;
        for (host, name, address) in [(self, near, address), (other, far, their_address)] {
            // Without `nodad` an IPv6 address cannot be used for the first second or two.
            let nodad: &[&str] = if address.contains(':') {
                &["nodad"]
            } else {
                &[]
            };
            let give = [&["ip", "address", "add", address, "dev", name], nodad].concat();
            host.run(&give, TOOL_LIMIT)?;
            host.run(&["ip", "link", "set", name, "up"], TOOL_LIMIT)?;
        }
        Ok(())
    }

    /// Waits until an address answers a ping, sent once a second.
    ///
    /// # Errors
    /// No answer in time.
    pub fn ping(&self, address: IpAddr, within: Duration) -> Result<()> {
        require("ping", "iputils-ping")?;
        let seconds = within.as_secs().max(1).to_string();
        let to = address.to_string();
        let argv = ["ping", "-n", "-q", "-c", "1", "-w", &seconds, &to];
        self.run(&argv, within + TOOL_LIMIT)
            .with_context(|| format!("{address} did not answer within {within:?}"))?;
        Ok(())
    }

    /// Starts to ping an address in the background.
    ///
    /// # Errors
    /// `ping` cannot be started.
    pub fn start_pings(&self, address: IpAddr, count: u32, every: Duration) -> Result<Pings> {
        require("ping", "iputils-ping")?;
        let limit = every * count + TOOL_LIMIT;
        let mut command = self.bounded("ping", limit);
        let (count, every) = (count.to_string(), format!("{:.3}", every.as_secs_f64()));
        command.args(["-n", "-W", "2", "-c", &count, "-i", &every]);
        command.arg(address.to_string());
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting `ping`")?;
        Ok(Pings { child })
    }
}

fn first_child(of: u32) -> Result<u32> {
    let path = format!("/proc/{of}/task/{of}/children");
    let children = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let first = children.split_whitespace().next().unwrap_or_default();
    first
        .parse()
        .with_context(|| format!("process {of} has no child"))
}

/// A running `ping`.
pub struct Pings {
    child: Child,
}

/// The result of a `ping`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PingCount {
    /// Requests sent.
    pub sent: u32,
    /// Replies received.
    pub received: u32,
}

impl Pings {
    /// Waits until it finishes.
    ///
    /// # Errors
    /// `ping` could not send, for example because there is no route.
    pub fn finish(self) -> Result<PingCount> {
        let output = self.child.wait_with_output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        parse_ping(&text).with_context(|| format!("`ping` printed no summary: {text}"))
    }
}

fn parse_ping(text: &str) -> Option<PingCount> {
    let summary = text
        .lines()
        .find(|line| line.contains("packets transmitted"))?;
    let mut numbers = summary
        .split(',')
        .filter_map(|part| part.split_whitespace().next()?.parse().ok());
    Some(PingCount {
        sent: numbers.next()?,
        received: numbers.next()?,
    })
}

/// A WireGuard peer made of stock tools: `wireguard-go`, configured with `wg`. Removed on drop.
pub struct StockPeer {
    host: Host,
    interface: String,
    public_key: String,
    process: Child,
}

impl StockPeer {
    /// Creates an interface on `host` with a new key, listening on `port`, with these addresses (each with its prefix
    /// length).
    ///
    /// # Errors
    /// A tool or `/dev/net/tun` is missing, or the name is taken.
    pub fn up(host: &Host, interface: &str, port: u16, addresses: &[&str]) -> Result<Self> {
        require("wireguard-go", "wireguard-go")?;
        require("wg", "wireguard-tools")?;
        ensure!(
            Path::new("/dev/net/tun").exists(),
            "/dev/net/tun is missing: `modprobe tun`, or give the container `--device /dev/net/tun`"
        );
        let process = host
            .command("wireguard-go")
            .args(["--foreground", interface])
            .env("LOG_LEVEL", "error")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .context("starting `wireguard-go`")?;
        let mut peer = Self {
            host: host.clone(),
            interface: interface.to_owned(),
            public_key: String::new(),
            process,
        };
        peer.configure(port, addresses)?;
        Ok(peer)
    }

    fn configure(&mut self, port: u16, addresses: &[&str]) -> Result<()> {
        let interface = self.interface.clone();
        until(TOOL_LIMIT, || self.wg(&["show", &interface]).map(|_| ()))
            .context("`wireguard-go` did not come up")?;
        let key = self.wg(&["genkey"])?;
        let mut set = self.host.bounded("wg", TOOL_LIMIT);
        set.args(["set", &interface, "listen-port", &port.to_string()]);
        finish(set.args(["private-key", "/dev/stdin"]), Some(&key)).context("running `wg set`")?;
        self.public_key = self.wg(&["show", &interface, "public-key"])?.trim().into();
        for address in addresses {
            let give = ["ip", "address", "add", address, "dev", &interface];
            self.host.run(&give, TOOL_LIMIT)?;
        }
        let raise = ["ip", "link", "set", &interface, "mtu", "1420", "up"];
        self.host.run(&raise, TOOL_LIMIT).map(|_| ())
    }

    /// Runs `wg` on the peer's host.
    ///
    /// # Errors
    /// It fails.
    pub fn wg(&self, arguments: &[&str]) -> Result<String> {
        self.host.run(&[&["wg"], arguments].concat(), TOOL_LIMIT)
    }

    /// The peer's public key, in base64.
    #[must_use]
    pub fn public_key(&self) -> &str {
        &self.public_key
    }

    /// The host it runs on.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Adds a peer to it, or changes one.
    ///
    /// # Errors
    /// `wg` refuses it.
    pub fn set_peer(
        &self,
        public_key: &str,
        allowed_ips: &[&str],
        endpoint: Option<SocketAddr>,
        keepalive: Option<u16>,
    ) -> Result<()> {
        let mut arguments = ["set", &self.interface, "peer", public_key]
            .map(str::to_owned)
            .to_vec();
        arguments.extend(["allowed-ips".to_owned(), allowed_ips.join(",")]);
        if let Some(endpoint) = endpoint {
            arguments.extend(["endpoint".to_owned(), endpoint.to_string()]);
        }
        if let Some(keepalive) = keepalive {
            arguments.extend(["persistent-keepalive".to_owned(), keepalive.to_string()]);
        }
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        self.wg(&arguments).map(|_| ())
    }

    /// Removes a peer from it.
    ///
    /// # Errors
    /// `wg` fails.
    pub fn remove_peer(&self, public_key: &str) -> Result<()> {
        self.wg(&["set", &self.interface, "peer", public_key, "remove"])
            .map(|_| ())
    }
}

impl Drop for StockPeer {
    fn drop(&mut self) {
        // `wireguard-go` exits with its interface.
        let removed = ["ip", "link", "delete", self.interface.as_str()];
        let _gone = self.host.run(&removed, TOOL_LIMIT);
        end(&mut self.process);
    }
}

/// Runs `body` inside a private host, by re-executing the test `name` (its full path in the test binary) there; a test
/// must do nothing else before or after. `body` may start runtimes and open devices.
///
/// # Errors
/// `body` fails, panics or takes longer than `limit`; no private host can be created.
pub fn in_private_host(
    name: &str,
    limit: Duration,
    body: impl FnOnce() -> Result<()>,
) -> Result<()> {
    if std::env::var_os(INSIDE).is_some_and(|inside| inside == name) {
        return body();
    }
    let host = Host::new()?;
    let mut again = host.bounded(std::env::current_exe()?, limit);
    again
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, name);
    let printed = finish(again.stdin(Stdio::null()), None)?;
    ensure!(
        printed.contains("test result: ok. 1 passed"),
        "there is no test called {name} to run inside: {printed}"
    );
    std::io::stdout().write_all(printed.as_bytes())?;
    Ok(())
}

/// Retries `attempt` until it succeeds.
///
/// # Errors
/// The last failure, once the time is over.
pub fn until<T>(within: Duration, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        match attempt() {
            Err(error) if Instant::now() >= deadline => {
                return Err(error.context(format!("not within {within:?}")));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
            done => return done,
        }
    }
}

/// Fails, saying what to install, unless `tool` is on the path.
///
/// # Errors
/// The tool is missing.
pub fn require(tool: &str, package: &str) -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(tool).is_file());
    ensure!(found, "`{tool}` is missing: apt-get install {package}");
    Ok(())
}

fn finish(command: &mut Command, input: Option<&str>) -> Result<String> {
    if input.is_some() {
        command.stdin(Stdio::piped());
    }
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("it cannot be started")?;
    if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("{}: {printed}{complaint}", output.status);
    }
    Ok(printed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_hosts_reach_each_other_and_nobody_else_sees_their_interfaces() {
        let (one, two) = (Host::new().unwrap(), Host::new().unwrap());
        one.join("192.0.2.1/24", &two, "192.0.2.2/24").unwrap();
        one.ping("192.0.2.2".parse().unwrap(), TOOL_LIMIT).unwrap();
        let three = Host::new().unwrap();
        let links = three.run(&["ip", "-o", "link"], TOOL_LIMIT).unwrap();
        assert_eq!(links.lines().count(), 1, "{links}");
    }

    #[test]
    fn a_dropped_host_takes_its_processes_along() {
        let host = Host::new().unwrap();
        let first = host.pid();
        let mut sleeper = host.command("sleep").arg("600").spawn().unwrap();
        drop(host);
        assert!(!sleeper.wait().unwrap().success());
        assert!(!Path::new(&format!("/proc/{first}")).exists());
    }

    #[test]
    fn a_command_that_hangs_is_ended_and_its_failure_told() {
        let host = Host::new().unwrap();
        let started = Instant::now();
        assert!(
            host.run(&["sleep", "600"], Duration::from_millis(100))
                .is_err()
        );
        assert!(started.elapsed() < TOOL_LIMIT);
        let error = host.run(&["ls", "/nonexistent"], TOOL_LIMIT).unwrap_err();
        assert!(format!("{error:#}").contains("No such file"), "{error:#}");
    }

    #[test]
    fn two_stock_peers_talk() {
        let (one, two) = (Host::new().unwrap(), Host::new().unwrap());
        one.join("192.0.2.1/24", &two, "192.0.2.2/24").unwrap();
        let a = StockPeer::up(&one, "wg0", 51820, &["10.9.0.1/24"]).unwrap();
        let b = StockPeer::up(&two, "wg0", 51820, &["10.9.0.2/24"]).unwrap();
        a.set_peer(b.public_key(), &["10.9.0.2/32"], None, None)
            .unwrap();
        let endpoint = Some("192.0.2.1:51820".parse().unwrap());
        b.set_peer(a.public_key(), &["10.9.0.1/32"], endpoint, None)
            .unwrap();
        two.ping("10.9.0.1".parse().unwrap(), TOOL_LIMIT).unwrap();
        drop(a);
        let links = one.run(&["ip", "-o", "link"], TOOL_LIMIT).unwrap();
        assert!(!links.contains("wg0"), "{links}");
    }

    #[test]
    fn a_test_that_runs_inside_has_no_interface_but_its_own() {
        let name = "netns::tests::a_test_that_runs_inside_has_no_interface_but_its_own";
        in_private_host(name, TOOL_LIMIT, || {
            let links = Host::here().run(&["ip", "-o", "link"], TOOL_LIMIT)?;
            ensure!(links.lines().count() == 1, "{links}");
            Ok(())
        })
        .unwrap();
    }

    #[test]
    fn a_failure_inside_is_a_failure_outside() {
        let name = "netns::tests::a_failure_inside_is_a_failure_outside";
        let outcome = in_private_host(name, TOOL_LIMIT, || bail!("as planned"));
        if std::env::var_os(INSIDE).is_some() {
            return outcome.unwrap();
        }
        assert!(format!("{:#}", outcome.unwrap_err()).contains("as planned"));
        let unknown = in_private_host("netns::tests::none", TOOL_LIMIT, || Ok(()));
        assert!(unknown.is_err());
    }

    #[test]
    fn a_missing_tool_is_named_with_its_package() {
        let error = require("no-such-tool", "no-such-package").unwrap_err();
        assert!(
            error
                .to_string()
                .contains("apt-get install no-such-package")
        );
    }

    #[test]
    fn the_summary_of_ping_is_read() {
        let text =
            "x\n40 packets transmitted, 38 received, +1 errors, 5% packet loss, time 3900ms\n";
        let expected = PingCount {
            sent: 40,
            received: 38,
        };
        assert_eq!(parse_ping(text), Some(expected));
        assert_eq!(parse_ping("nothing"), None);
    }
}
