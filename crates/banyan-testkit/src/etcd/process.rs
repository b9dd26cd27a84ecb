//! A server as a child process that cannot outlive the test.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// Starts the server, prints its process id, and kills it once the other end of the pipe is closed,
/// for whatever reason.
const GUARD: &str = "log=$1; shift; \"$@\" </dev/null >>\"$log\" 2>&1 & echo $!; exec 1>&-; \
     cat >/dev/null; kill -KILL $! 2>/dev/null; wait";

/// Dropping it kills the server and waits for its end.
pub(super) struct Process {
    guard: Child,
    /// Closing it ends the server, as does the end of this process.
    alive: Option<ChildStdin>,
    id: u32,
}

impl Process {
    pub(super) fn start(command: &[String], log: &Path) -> Result<Self> {
        File::options().create(true).append(true).open(log)?;
        let mut guard = Command::new("sh")
            .args(["-c", GUARD, "sh"])
            .arg(log)
            .args(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("starting `{}`", command.join(" ")))?;
        let alive = guard.stdin.take();
        let said = guard.stdout.take().context("no pipe from the guard")?;
        let mut line = String::new();
        BufReader::new(said).read_line(&mut line)?;
        let id = line
            .trim()
            .parse()
            .context("the guard said no process id")?;
        Ok(Self { guard, alive, id })
    }

    pub(super) fn signal(&self, signal: &str) -> Result<()> {
        let id = self.id.to_string();
        let sent = Command::new("sh")
            .args(["-c", "kill -s \"$1\" \"$2\"", "sh", signal, &id])
            .status()?;
        ensure!(sent.success(), "process {id} is gone");
        Ok(())
    }

    /// Whether it exited by itself. Its guard reaps it last, so that its process id is not reused.
    pub(super) fn has_ended(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id));
        let stat = stat.unwrap_or_default();
        let state = stat.rsplit_once(") ").map(|(_, rest)| rest);
        state.is_none_or(|state| state.starts_with('Z'))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.alive.take());
        let _status = self.guard.wait();
    }
}
