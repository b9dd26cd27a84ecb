//! A commit of one file in the big repo: from the branch's move until store and peers have it.

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

use crate::big_repo::{BigRepo, Edit, Prepared};
use crate::engine::Ground;
use crate::etcd::Etcd;
use crate::out::{Measured, Row};
use crate::place::Place;
use crate::sample::{Sample, millis, shown_both};
use crate::stages;

/// Of each kind of change.
const EACH: usize = 10;
/// In the order of [`Edit::rounds`].
const EDITS: [&str; 3] = ["a user changed", "a machine added", "a machine removed"];
/// Warm-up rounds.
const WARM: usize = 2;
/// The time limit of a pass.
const LIMIT: Duration = Duration::from_secs(60);

/// Where the state is kept, and how long a commit may take there.
struct Keeping<'e> {
    id: &'static str,
    etcd: Option<&'e Etcd>,
    limit: u32,
}

/// With the state in the engine's own file.
pub(crate) async fn measure(repo: &mut BigRepo, place: &Place) -> Result<Vec<Row>> {
    let keeping = Keeping {
        id: "commit",
        etcd: None,
        limit: 50,
    };
    Ok(vec![measure_on(repo, place, &keeping).await?])
}

/// With the state in etcd.
pub(crate) async fn measure_etcd(repo: &mut BigRepo, place: &Place) -> Result<Vec<Row>> {
    let etcd = Etcd::start()?;
    let keeping = Keeping {
        id: "commit-etcd",
        etcd: Some(&etcd),
        limit: 100,
    };
    let mut row = measure_on(repo, place, &keeping).await?;
    row.details.extend(etcd.bare().await?);
    Ok(vec![row])
}

async fn measure_on(repo: &mut BigRepo, place: &Place, keeping: &Keeping<'_>) -> Result<Row> {
    let there = repo.prepare(Edit::rounds(EACH))?;
    let elsewhere = repo.prepare(Edit::rounds(EACH))?;
    let folder = TempDir::new()?;
    let store = keeping.etcd.map(|etcd| etcd.config("engine-1"));
    let text = Ground {
        url: &repo.git.url(),
        identity: &repo.identity_file()?,
        wireguard: place.wireguard(),
        store: store.as_deref().unwrap_or_default(),
    }
    .config(folder.path(), 0);
    let engine = Engine::start(Config::parse(Path::new("banyan.yaml"), &text)?, false).await?;
    settle(&engine).await?;
    let clone = folder.path().join("state/repo.git");
    bring(&repo.git.path(), &clone, there.last().context("a commit")?)?;
    let figures = Figures {
        there: Edits::measure(&engine, repo, &there).await?,
        elsewhere: Edits::measure(&engine, repo, &elsewhere).await?,
    };
    engine.stop().await;
    let mut row = figures.row(place, keeping);
    // A separate store: the stages write different state than the engine left there.
    let another = keeping.etcd.map(|_| Etcd::start()).transpose()?;
    let stages = stages::measure(repo, place, another.as_ref()).await?;
    row.details.extend(stages);
    Ok(row)
}

/// Waits until the first commit is in force: on etcd, the engine must be elected first.
async fn settle(engine: &Engine) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    loop {
        engine.pass().await;
        if engine.state().view().in_force.applied.is_some() {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "the first commit is not in force"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Copies the objects of a commit and its ancestors into the engine's clone, as a transport would.
fn bring(source: &Path, clone: &Path, commit: &Prepared) -> Result<()> {
    let mut fetch = banyan_testkit::git::command(clone);
    fetch.args(["fetch", "--quiet", "--no-tags", "--no-write-fetch-head"]);
    fetch.arg(source).arg(&commit.side).stdin(Stdio::null());
    let output = fetch.output()?;
    if !output.status.success() {
        bail!("git fetch: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

async fn apply(engine: &Engine, repo: &BigRepo, commit: &Prepared) -> Result<Duration> {
    let mut events = engine.events();
    repo.publish(commit)?;
    let started = Instant::now();
    let (passed, applied) = tokio::join!(
        engine.pass(),
        tokio::time::timeout(LIMIT, applied(&mut events, commit))
    );
    let () = passed;
    let at = applied.context("no event came of the commit")??;
    Ok(at.duration_since(started))
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

struct Figures {
    /// The clone had the objects.
    there: Edits,
    elsewhere: Edits,
}

#[derive(Default)]
struct Edits {
    edits: [Sample; 3],
}

impl Edits {
    async fn measure(engine: &Engine, repo: &BigRepo, commits: &[Prepared]) -> Result<Self> {
        let mut samples = Self::default();
        for (round, commits) in commits.chunks(EDITS.len()).enumerate() {
            for (commit, sample) in commits.iter().zip(&mut samples.edits) {
                // Any other pass is over by then.
                engine.pass().await;
                let took = apply(engine, repo, commit).await?;
                if round >= WARM {
                    sample.push(took);
                }
            }
        }
        Ok(samples)
    }

    fn all(&self) -> Sample {
        Sample::joined(&self.edits)
    }
}

impl Figures {
    fn row(&self, place: &Place, keeping: &Keeping<'_>) -> Row {
        let all = self.there.all();
        let kinds = EDITS.iter().zip(&self.there.edits);
        let mut details: Vec<(String, String)> = kinds
            .map(|(what, sample)| ((*what).to_owned(), shown_both(sample)))
            .collect();
        details.push((
            "all three, objects still to be copied from a source on this host".to_owned(),
            shown_both(&self.elsewhere.all()),
        ));
        Row {
            id: keeping.id,
            what: format!(
                "one-file commit in the big repo → in force (state: {}; wireguard: {}; {} commits)",
                keeping.etcd.map_or("embedded", |_| "etcd"),
                place.wireguard(),
                all.len()
            ),
            target: format!("under {} ms", keeping.limit),
            figure: shown_both(&all),
            measured: Some(Measured {
                value: millis(all.median()),
                limit: f64::from(keeping.limit),
                unit: "ms",
            }),
            details,
        }
    }
}
