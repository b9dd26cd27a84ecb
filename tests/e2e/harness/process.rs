//! The engine's process, and other programs of the workspace.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use banyan_testkit::netns::until;

use super::{Cluster, PATIENCE};

impl Cluster {
    /// Starts the engine and waits until its first pass is over.
    #[track_caller]
    pub(crate) fn start(&mut self) {
        self.spawn();
        self.await_status("a first pass", |status| status.state != "starting");
    }

    /// Starts the engine without waiting.
    #[track_caller]
    pub(crate) fn spawn(&mut self) {
        assert!(self.engine.is_none(), "it runs already");
        self.engine = Some(self.engine_command(&["run"]).spawn().unwrap());
    }

    /// A command `banyan-engine ARGS --config …` where the engine runs, its standard error appended to the log.
    pub(crate) fn engine_command(&self, args: &[&str]) -> Command {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_file());
        let mut command = self.options.host.command(program("banyan-engine"));
        command.args(args).arg("--config").arg(self.config_file());
        command.env_remove("RUST_LOG").stdin(Stdio::null());
        command.envs(self.options.log.map(|level| ("RUST_LOG", level)));
        command.stdout(Stdio::null()).stderr(log.unwrap());
        command
    }

    /// Runs `banyan-engine ARGS --config …` to completion; its standard error does not go to the
    /// log.
    #[track_caller]
    pub(crate) fn engine_output(&self, args: &[&str]) -> Output {
        self.engine_command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .output()
            .unwrap()
    }

    /// Runs `banyan ARGS` against the engine, in the work clone.
    #[track_caller]
    pub(crate) fn banyan(&self, args: &[&str]) -> Output {
        self.banyan_command(args).output().unwrap()
    }

    /// Like [`Self::banyan`], with this standard input.
    #[track_caller]
    pub(crate) fn banyan_told(&self, args: &[&str], input: &str) -> Output {
        let mut child = self.banyan_begun(args);
        let mut stdin = child.stdin.take().unwrap();
        // A process that exits before it has read everything reports the reason itself.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        child.wait_with_output().unwrap()
    }

    /// Like [`Self::banyan`], without waiting.
    #[track_caller]
    pub(crate) fn banyan_begun(&self, args: &[&str]) -> Child {
        let mut command = self.banyan_command(args);
        command.stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    fn banyan_command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program("banyan"));
        command
            .args(args)
            .current_dir(self.repo.work().join(self.in_repo("")));
        command
            .env_remove("RUST_LOG")
            .env("BANYAN_SOCKET", self.socket())
            .env("NO_COLOR", "1");
        command
            .env("HOME", self.dir())
            .env_remove("XDG_CONFIG_HOME");
        command.stdin(Stdio::null());
        command
    }

    /// The output of `banyan ARGS`, which must succeed.
    #[track_caller]
    pub(crate) fn banyan_ok(&self, args: &[&str]) -> String {
        let output = self.banyan(args);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(
            output.status.success(),
            "banyan {args:?}: {}\n{out}{err}",
            output.status
        );
        out
    }

    /// Kills the engine, like a power cut.
    #[track_caller]
    pub(crate) fn kill9(&mut self) {
        let mut child = self.engine.take().expect("it does not run");
        kill(&child, "KILL").unwrap();
        child.wait().unwrap();
    }

    /// Sends the engine a signal.
    #[track_caller]
    pub(crate) fn signal(&self, signal: &str) {
        kill(self.engine.as_ref().expect("it does not run"), signal).unwrap();
    }

    /// Asks the engine to stop and waits for its exit.
    #[track_caller]
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        let child = self.engine.as_ref().expect("it does not run");
        kill(child, "TERM").unwrap();
        self.wait_exit()
    }

    /// Waits for the engine's exit.
    #[track_caller]
    pub(crate) fn wait_exit(&mut self) -> ExitStatus {
        let mut child = self.engine.take().expect("it does not run");
        let ended = until(PATIENCE, || child.try_wait()?.context("it still runs"));
        if ended.is_err() {
            self.engine = Some(child);
        }
        ended.unwrap()
    }
}

/// A program of the workspace, built beside the tests.
#[track_caller]
pub(crate) fn program(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let folder = tests.parent().and_then(Path::parent).unwrap();
    let program = folder.join(name);
    assert!(
        program.is_file(),
        "{} is missing; build it: cargo xtask test",
        program.display()
    );
    program
}

/// A program's output as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Signals the engine itself: in a private host the started process is `nsenter`, which waits for
/// it.
pub(super) fn kill(child: &Child, signal: &str) -> Result<()> {
    let pid = engine_pid(child)?.to_string();
    let status = Command::new("kill").args(["-s", signal, &pid]).status()?;
    ensure!(status.success(), "kill -s {signal} {pid}: {status}");
    Ok(())
}

fn engine_pid(child: &Child) -> Result<u32> {
    let pid = child.id();
    let name = fs::read_to_string(format!("/proc/{pid}/comm"))?;
    if name.trim() != "nsenter" {
        return Ok(pid);
    }
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    let first = children
        .split_whitespace()
        .next()
        .context("nsenter has no child")?;
    Ok(first.parse()?)
}
