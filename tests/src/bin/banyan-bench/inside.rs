//! An engine in the benchmark's process, and how long its commits take: from the branch's move until the event that says that
//! store and device have them.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use banyan_engine::Event;
use banyan_engine::config::Config;
use banyan_engine::run::Engine;
use tempfile::TempDir;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::big_repo::{BigRepo, Prepared};
use crate::engine::Ground;
use crate::sample::Sample;

/// The time limit of a pass, and of the first one, which reads the whole repo.
const LIMIT: Duration = Duration::from_secs(60);
const FIRST: Duration = Duration::from_secs(600);

pub(crate) struct Inside<'r> {
    engine: Engine,
    repo: &'r BigRepo,
    folder: TempDir,
}

impl<'r> Inside<'r> {
    /// Starts an engine on a repo and waits until its first commit is in force.
    pub(crate) async fn start(repo: &'r BigRepo, wireguard: &str, store: &str) -> Result<Self> {
        let folder = TempDir::new()?;
        let text = Ground {
            url: &repo.git.url(),
            identity: &repo.identity_file()?,
            wireguard,
            store,
        }
        .config(folder.path(), 0);
        let engine = Engine::start(Config::parse(Path::new("banyan.yaml"), &text)?, false).await?;
        let inside = Self {
            engine,
            repo,
            folder,
        };
        inside.settle().await?;
        Ok(inside)
    }

    /// On etcd, the engine must be elected first.
    async fn settle(&self) -> Result<()> {
        let deadline = Instant::now() + FIRST;
        loop {
            self.engine.pass().await;
            if self.engine.state().view().in_force.applied.is_some() {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "the first commit is not in force"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Its local socket.
    pub(crate) fn socket(&self) -> &Path {
        self.engine.socket()
    }

    /// Copies the objects of a commit and its ancestors into the engine's clone, as a transport would.
    pub(crate) fn bring(&self, commit: &Prepared) -> Result<()> {
        let clone = self.folder.path().join("state/repo.git");
        let mut fetch = banyan_testkit::git::command(&clone);
        fetch.args(["fetch", "--quiet", "--no-tags", "--no-write-fetch-head"]);
        let source = self.repo.git.path();
        fetch.arg(source).arg(&commit.side).stdin(Stdio::null());
        let output = fetch.output()?;
        if !output.status.success() {
            bail!("git fetch: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    /// Brings commits into force, one after the other, and adds how long each took.
    pub(crate) async fn apply_all<'s>(
        &self,
        commits: impl IntoIterator<Item = (&Prepared, &'s mut Sample)>,
    ) -> Result<()> {
        for (commit, sample) in commits {
            sample.push(self.apply(commit).await?);
        }
        Ok(())
    }

    /// Brings a commit into force.
    pub(crate) async fn apply(&self, commit: &Prepared) -> Result<Duration> {
        // Any other pass is over by then.
        self.engine.pass().await;
        let mut events = self.engine.events();
        self.repo.publish(commit)?;
        let started = Instant::now();
        let (passed, applied) = tokio::join!(
            self.engine.pass(),
            tokio::time::timeout(LIMIT, applied(&mut events, commit))
        );
        let () = passed;
        let at = applied.context("no event came of the commit")??;
        Ok(at.duration_since(started))
    }

    pub(crate) async fn stop(self) {
        self.engine.stop().await;
    }
}

async fn applied(events: &mut Receiver<Event>, commit: &Prepared) -> Result<Instant> {
    loop {
        match events.recv().await {
            Ok(Event::Applied { applied, .. }) if applied.commit.id.to_string() == commit.id => {
                return Ok(Instant::now());
            }
            Ok(Event::PutBack { .. } | Event::Applied { .. }) | Err(RecvError::Lagged(_)) => {}
            Ok(Event::Refused { findings, .. }) => bail!("refused: {:?}", findings.first()),
            Ok(Event::Failed { error }) => bail!("the pass failed: {error}"),
            Err(RecvError::Closed) => bail!("the engine stopped"),
        }
    }
}

/// How long the commits of each kind of change took.
#[derive(Default)]
pub(crate) struct Edits {
    edits: [Sample; 3],
}

/// In the order of [`crate::big_repo::Edit::rounds`].
pub(crate) const EDITS: [&str; 3] = ["a user changed", "a machine added", "a machine removed"];

impl Edits {
    /// Brings one commit of each kind into force.
    pub(crate) async fn round(&mut self, engine: &Inside<'_>, commits: &[Prepared]) -> Result<()> {
        engine.apply_all(commits.iter().zip(&mut self.edits)).await
    }

    /// Brings commits into force, of which the first rounds warm up.
    pub(crate) async fn measure(
        engine: &Inside<'_>,
        commits: &[Prepared],
        warm: usize,
    ) -> Result<Self> {
        let mut edits = Self::default();
        for (round, commits) in commits.chunks(EDITS.len()).enumerate() {
            if round == warm {
                edits = Self::default();
            }
            edits.round(engine, commits).await?;
        }
        Ok(edits)
    }

    pub(crate) fn all(&self) -> Sample {
        Sample::joined(&self.edits)
    }

    /// Each kind by name.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = (&'static str, &Sample)> {
        EDITS.into_iter().zip(&self.edits)
    }
}
