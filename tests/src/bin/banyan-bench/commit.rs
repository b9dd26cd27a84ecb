//! A commit of one file in the big repo: from the branch's move until store and peers have it.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use banyan_engine::Event;
use banyan_engine::config::Config;
use banyan_engine::run::Engine;
use tempfile::TempDir;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::big_repo::{BigRepo, Edit, Prepared};
use crate::out::{Measured, Row};
use crate::place::Place;
use crate::sample::{Sample, millis, shown};
use crate::{engine, stages};

/// Of each kind of change.
const EACH: usize = 10;
/// In the order of [`Edit::rounds`].
const EDITS: [&str; 3] = ["a user changed", "a machine added", "a machine removed"];
/// Rounds that warm up.
const WARM: usize = 2;
/// How long any pass may take.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) async fn measure(repo: &mut BigRepo, place: &Place) -> Result<Vec<Row>> {
    let there = repo.prepare(Edit::rounds(EACH))?;
    let elsewhere = repo.prepare(Edit::rounds(EACH))?;
    let folder = TempDir::new()?;
    let identity = repo.identity_file()?;
    let text = engine::config(
        folder.path(),
        &repo.git.url(),
        &identity,
        place.wireguard(),
        0,
    );
    let engine = Engine::start(Config::parse(Path::new("banyan.yaml"), &text)?, false).await?;
    engine.pass().await;
    let clone = folder.path().join("state/repo.git");
    bring(&repo.git.path(), &clone, there.last().context("a commit")?)?;
    let figures = Figures {
        there: Edits::measure(&engine, repo, &there).await?,
        elsewhere: Edits::measure(&engine, repo, &elsewhere).await?,
    };
    engine.stop().await;
    let mut row = figures.row(place);
    row.details.extend(stages::measure(repo, place).await?);
    Ok(vec![row])
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
                // Whatever is still going on is over.
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
    fn row(&self, place: &Place) -> Row {
        let all = self.there.all();
        let shown_both =
            |sample: &Sample| format!("{} (p95 {})", shown(sample.median()), shown(sample.p95()));
        let kinds = EDITS.iter().zip(&self.there.edits);
        let mut details: Vec<(String, String)> = kinds
            .map(|(what, sample)| ((*what).to_owned(), shown_both(sample)))
            .collect();
        details.push((
            "all three, objects still to be copied from a source on this host".to_owned(),
            shown_both(&self.elsewhere.all()),
        ));
        Row {
            id: "commit",
            what: format!(
                "one-file commit in the big repo → in force (wireguard: {}; {} commits)",
                place.wireguard(),
                all.len()
            ),
            target: "under 50 ms".to_owned(),
            figure: shown_both(&all),
            measured: Some(Measured {
                value: millis(all.median()),
                limit: 50.0,
                unit: "ms",
            }),
            details,
        }
    }
}
