//! Where the time of a commit goes: the stages of a pass, called one after the other as in the engine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use banyan_core::{
    AdmitContext, Checked, CommitId, CommitInfo, ControlPeers, Guards, admit, peer_changes, plan,
};
use banyan_git::{Files, Mirror, Source};
use banyan_manifest::{Loader, MAX_FILE_BYTES, Memory, ReadError};
use banyan_state::Term;
use banyan_wireguard::{Device, none};
use tempfile::TempDir;

use crate::big_repo::{BigRepo, Edit};
use crate::cold::now;
use crate::etcd::Etcd;
use crate::kept::Kept;
use crate::peers;
use crate::place::Place;
use crate::sample::{Sample, shown};

const ROUNDS: usize = 8;
/// Warm-up commits.
const WARM: usize = 6;
/// The number of stages up to `admit`.
const TO_DECIDE: usize = 5;
const FETCH: Duration = Duration::from_secs(120);

pub(crate) async fn measure(
    repo: &mut BigRepo,
    place: &Place,
    etcd: Option<&Etcd>,
) -> Result<Laps> {
    let each = [Edit::User, Edit::AddMachine, Edit::RemoveMachine];
    measure_edits(repo, place, etcd, each).await
}

/// Of these edits, in turn.
pub(crate) async fn measure_edits<const N: usize>(
    repo: &mut BigRepo,
    place: &Place,
    etcd: Option<&Etcd>,
    edits: [Edit; N],
) -> Result<Laps> {
    let commits = repo.prepare(std::iter::repeat_n(edits, ROUNDS).flatten())?;
    let folder = TempDir::new()?;
    let device = match place.lacking() {
        None => peers::device("wg-stages").await?,
        Some(_) => none("wg-stages".parse()?),
    };
    let mut pass = Pass::open(repo, device, &folder, etcd).await?;
    pass.run().await?;
    for (n, commit) in commits.iter().enumerate() {
        if n == WARM {
            pass.laps = Laps::default();
        }
        repo.publish(commit)?;
        pass.run().await?;
    }
    pass.device.close().await?;
    Ok(pass.laps)
}

/// The work of an engine's first pass before it can decide anything.
pub(crate) async fn measure_first(repo: &BigRepo) -> Result<Vec<(String, String)>> {
    let folder = TempDir::new()?;
    let mut pass = Pass::open(repo, none("wg-first".parse()?), &folder, None).await?;
    pass.run().await?;
    let mut laps = pass.laps.shown("first pass, alone");
    laps.truncate(TO_DECIDE);
    Ok(laps)
}

struct Pass {
    mirror: Mirror,
    source: Source,
    loader: Loader,
    memory: Memory,
    last: Option<(CommitId, Files)>,
    /// The documents in force.
    made_of: Option<Checked>,
    kept: Kept,
    wanted: ControlPeers,
    device: Arc<dyn Device>,
    laps: Laps,
}

impl Pass {
    async fn open(
        repo: &BigRepo,
        device: Arc<dyn Device>,
        folder: &TempDir,
        etcd: Option<&Etcd>,
    ) -> Result<Self> {
        Ok(Self {
            mirror: Mirror::open(&folder.path().join("repo.git"))?,
            source: Source {
                url: repo.git.url().parse()?,
                branch: "main".to_owned(),
            },
            loader: Loader::new(Some(repo.identities()?)),
            memory: Memory::default(),
            last: None,
            made_of: None,
            kept: Kept::open(folder.path(), etcd).await?,
            wanted: ControlPeers::default(),
            device,
            laps: Laps::default(),
        })
    }

    async fn run(&mut self) -> Result<()> {
        let now = now();
        let mut lap = Lap::new(&mut self.laps);
        let id = self.mirror.fetch(&self.source, Instant::now() + FETCH)?;
        let commit = commit_info(self.mirror.commit(id)?);
        lap.end("fetch: the commit's objects into the clone");
        let files = match self.last.take() {
            Some((from, files)) => self.mirror.files_changed(files, from, id, None)?,
            None => self.mirror.files(id, None)?,
        };
        lap.end("files: the folders that differ");
        let read = |_: &str, blob| {
            let bytes = self.mirror.read(blob, MAX_FILE_BYTES);
            bytes.map_err(ReadError::new)
        };
        let (loaded, memory) = self.loader.load(&self.memory, &files.entries, &read)?;
        self.memory = memory;
        lap.end("load: parse and unseal what is new");
        self.last = Some((id, files));
        let view = self.kept.state.view();
        let refused = |findings: Vec<banyan_core::Finding>| anyhow!("{:?}", findings.first());
        let checked = (loaded.catalog)
            .check(loaded.findings, now)
            .map_err(refused)?;
        lap.end("check");
        let circumstances = AdmitContext {
            guards: Guards::default(),
            engine_recipients: &[],
            recent: &view.recent(now),
            people: &banyan_core::people::NOBODY,
            made_of: self.made_of.as_ref(),
            now,
        };
        let target = admit(&view.in_force, &checked, &commit, &circumstances).map_err(refused)?;
        lap.end("admit");
        let planned = plan(&view.in_force, &target, now);
        lap.end("plan");
        drop((planned, loaded.catalog, view));
        lap.end("what the stages above let go of");
        self.kept.writes.take();
        self.kept.copies.take();
        (self.kept.state)
            .advance(&Term::alone(), &target, 0)
            .await?;
        lap.end_write(&self.kept);
        self.made_of = Some(checked);
        lap.skip();
        let view = self.kept.state.view();
        self.wanted.follow(&view.in_force.objects, now);
        lap.end("peers wanted");
        let known = self.device.peers().await?;
        lap.skip();
        let changes = peer_changes(self.wanted.peers(), &known);
        lap.end("peers compared");
        self.device.apply(&changes).await?;
        lap.end("peers applied");
        drop((known, view));
        (self.kept.state)
            .collect_garbage(&Term::alone(), now)
            .await?;
        Ok(())
    }
}

/// The time of each stage, in the order of the pass.
#[derive(Default)]
pub(crate) struct Laps(Vec<(&'static str, Sample)>);

struct Lap<'l> {
    laps: &'l mut Laps,
    since: Instant,
}

impl<'l> Lap<'l> {
    fn new(laps: &'l mut Laps) -> Self {
        Self {
            laps,
            since: Instant::now(),
        }
    }

    fn end(&mut self, stage: &'static str) {
        self.laps.add(stage, self.since.elapsed());
        self.since = Instant::now();
    }

    /// The write to the store, and its parts.
    fn end_write(&mut self, kept: &Kept) {
        let now = Instant::now();
        self.end("stage, flip, view");
        let (writes, copies) = (kept.writes.take(), kept.copies.take());
        self.laps.add(
            "  of it: the store's answers to staging and flip",
            writes.iter().map(|write| write.took).sum(),
        );
        if let Some(flip) = writes.last() {
            let shown = now.saturating_duration_since(flip.answered);
            self.laps
                .add("  of it: from the flip's answer to the view", shown);
        }
        if !copies.is_empty() {
            self.laps.add(
                "  beside it: the copy on disk",
                copies.iter().map(|copy| copy.took).sum(),
            );
        }
        self.since = Instant::now();
    }

    fn skip(&mut self) {
        self.since = Instant::now();
    }
}

impl Laps {
    fn add(&mut self, stage: &'static str, took: Duration) {
        match self.0.iter_mut().find(|(name, _)| *name == stage) {
            Some((_, sample)) => sample.push(took),
            None => {
                let mut sample = Sample::default();
                sample.push(took);
                self.0.push((stage, sample));
            }
        }
    }

    /// The medians of two passes side by side.
    pub(crate) fn beside(one: &Self, other: &Self, what: &str) -> Vec<(String, String)> {
        let line = |((stage, first), (_, second)): (&(&str, Sample), &(&str, Sample))| {
            let medians = format!("{} → {}", shown(first.median()), shown(second.median()));
            (format!("{what}: {stage}"), medians)
        };
        one.0.iter().zip(&other.0).map(line).collect()
    }

    pub(crate) fn shown(&self, what: &str) -> Vec<(String, String)> {
        let line =
            |(stage, sample): &(&str, Sample)| (format!("{what}: {stage}"), shown(sample.median()));
        self.0.iter().map(line).collect()
    }
}

fn commit_info(commit: banyan_git::Commit) -> CommitInfo {
    CommitInfo {
        id: commit.id,
        author: format!("{} <{}>", commit.author.name, commit.author.email),
        committed_at: commit.committed_at,
        summary: commit.summary,
        trailers: commit.trailers,
    }
}
