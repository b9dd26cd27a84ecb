//! How far a second engine's view lags behind what the leader acknowledged, and when it knows that it may be stale.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use banyan_core::{AdmitContext, Checked, CommitId, CommitInfo, Generation, Guards, Target, admit};
use banyan_manifest::{Loader, Memory, ReadError};
use banyan_state::{State, Term};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;

use crate::big_repo::{self, BigRepo};
use crate::cold::now;
use crate::etcd::Etcd;
use crate::kept::Kept;
use crate::out::{Measured, Row};
use crate::sample::{Sample, millis, seconds, shown, worst_and_median};

const COMMITS: u8 = 200;
const QUICK_COMMITS: u8 = 30;
/// Warm-up commits.
const WARM: u8 = 10;
/// How many times etcd is paused.
const HALTS: u32 = 6;
const QUICK_HALTS: u32 = 2;
/// The time limit of any step, after which the measurement fails.
const PATIENCE: Duration = Duration::from_secs(60);
/// A read confirms a view; it starts a second after the previous one was answered, and may take three.
const BOUND: Duration = Duration::from_secs(4);
/// Allowance for late timers, and for the signal to reach etcd.
const MARGIN: Duration = Duration::from_millis(250);

pub(crate) async fn measure(repo: &BigRepo, quick: bool) -> Result<Vec<Row>> {
    let (commits, halts) = if quick {
        (QUICK_COMMITS, QUICK_HALTS)
    } else {
        (COMMITS, HALTS)
    };
    let etcd = Etcd::start()?;
    let (here, there) = (TempDir::new()?, TempDir::new()?);
    let leader = Kept::open(here.path(), Some(&etcd)).await?;
    let follower = Kept::open(there.path(), Some(&etcd)).await?.state;
    let behind = Behind::measure(repo, &leader, &follower, commits).await?;
    let halted = Halted::measure(&etcd, &follower, halts).await?;
    Ok(vec![behind.row(), halted.row()])
}

/// Two versions of the big repo, which differ in one file.
struct Editions([Checked; 2]);

impl Editions {
    fn of(repo: &BigRepo) -> Result<Self> {
        let loader = Loader::new(Some(repo.identities()?));
        let (path, text) = big_repo::user(1, 1)?;
        let mut files = repo.files.clone();
        let (first, memory) = load(&loader, &Memory::default(), &files)?;
        files.insert(path, text.into_bytes());
        let (second, _) = load(&loader, &memory, &files)?;
        Ok(Self([first, second]))
    }

    /// The content that the commit of this number brings into force.
    fn target(&self, state: &State, number: u8) -> Result<Target> {
        let [even, odd] = &self.0;
        let checked = if number.is_multiple_of(2) { even } else { odd };
        let now = now();
        let commit = CommitInfo {
            id: CommitId::from_sha1([number; 20]),
            author: "A <a@example.org>".to_owned(),
            committed_at: now,
            summary: format!("change {number}"),
            trailers: Vec::new(),
        };
        let view = state.view();
        let circumstances = AdmitContext {
            guards: Guards::default(),
            engine_recipients: &[],
            recent: &view.recent(now),
            people: &banyan_core::people::NOBODY,
            made_of: None,
            now,
        };
        let target = admit(&view.in_force, checked, &commit, &circumstances);
        target.map_err(|findings| anyhow!("{:?}", findings.first()))
    }
}

fn load(
    loader: &Loader,
    memory: &Memory,
    files: &std::collections::BTreeMap<String, Vec<u8>>,
) -> Result<(Checked, Memory)> {
    let ids = (files.iter())
        .map(|(path, bytes)| {
            let id = banyan_git::blob_id(bytes)?;
            Ok((path.clone(), id))
        })
        .collect::<Result<_>>()?;
    let (loaded, memory) = loader.load(memory, &ids, &|path, _| {
        let bytes = files.get(path).cloned();
        bytes.ok_or_else(|| ReadError::new("no such file"))
    })?;
    let checked = (loaded.catalog).check(loaded.findings, now());
    let checked = checked.map_err(|findings| anyhow!("{:?}", findings.first()))?;
    Ok((checked, memory))
}

/// How far the follower's view lags.
#[derive(Default)]
struct Behind {
    /// Since the leader's acknowledgement; no sample where the follower was first.
    acknowledged: Sample,
    /// How many times the follower was first.
    before: usize,
    /// Since etcd's answer to the leader.
    answered: Sample,
}

impl Behind {
    async fn measure(
        repo: &BigRepo,
        leader: &Kept,
        follower: &Arc<State>,
        commits: u8,
    ) -> Result<Self> {
        let editions = Editions::of(repo)?;
        let mut tasks = JoinSet::new();
        let mut seen = watch(follower, &mut tasks);
        let mut behind = Self::default();
        for number in 0..commits.saturating_add(WARM) {
            let target = editions.target(&leader.state, number)?;
            let generation = target.applied().generation;
            leader.writes.take();
            let term = Term::alone();
            leader.state.advance(&term, &target, 0).await?;
            let acknowledged = Instant::now();
            let writes = leader.writes.take();
            let flip = writes.last().context("nothing was written")?;
            let seen = until_seen(&mut seen, generation).await?;
            if number >= WARM {
                behind.before += usize::from(seen <= acknowledged);
                let late = seen.saturating_duration_since(acknowledged);
                behind.acknowledged.push(late);
                let late = seen.saturating_duration_since(flip.answered);
                behind.answered.push(late);
            }
            leader.state.collect_garbage(&term, now()).await?;
        }
        Ok(behind)
    }

    fn row(&self) -> Row {
        let both =
            |sample: &Sample| format!("{} (p99 {})", shown(sample.median()), shown(sample.p99()));
        Row {
            id: "stale",
            what: format!(
                "a commit acknowledged by the leader → in the view of a second engine on etcd, {} commits",
                self.acknowledged.len()
            ),
            target: String::new(),
            figure: both(&self.acknowledged),
            measured: None,
            details: vec![
                (
                    "there before the leader acknowledged it".to_owned(),
                    format!("{} of {}", self.before, self.acknowledged.len()),
                ),
                (
                    "counted from etcd's answer to the leader".to_owned(),
                    both(&self.answered),
                ),
            ],
        }
    }
}

/// Reports when a view first shows each generation.
fn watch(state: &Arc<State>, tasks: &mut JoinSet<()>) -> UnboundedReceiver<(Generation, Instant)> {
    let (sender, seen) = unbounded_channel();
    let state = Arc::clone(state);
    tasks.spawn(async move {
        let mut changes = state.changes();
        while changes.changed().await.is_ok() {
            let generation = state.view().in_force.generation();
            if sender.send((generation, Instant::now())).is_err() {
                return;
            }
        }
    });
    seen
}

async fn until_seen(
    seen: &mut UnboundedReceiver<(Generation, Instant)>,
    generation: Generation,
) -> Result<Instant> {
    let first = async {
        loop {
            let (shown, at) = seen.recv().await.context("the view is not followed")?;
            if shown >= generation {
                return Ok(at);
            }
        }
    };
    let first = tokio::time::timeout(PATIENCE, first).await;
    first.context("the second engine's view does not follow")?
}

/// Waits until a view reports that it is confirmed, or that it is not.
async fn confirmed(state: &State, wanted: bool) -> Result<()> {
    let mut freshness = state.freshness();
    let says = freshness.wait_for(|freshness| freshness.following == wanted);
    let says = tokio::time::timeout(PATIENCE, says).await;
    let says = says.with_context(|| format!("whether the view is confirmed should be {wanted}"))?;
    says?;
    Ok(())
}

/// A view's status while etcd does not answer.
#[derive(Default)]
struct Halted {
    /// The time until it reports that it is unconfirmed.
    told: Sample,
    /// The age it reported then.
    age: Sample,
    /// The time from etcd's return until it is confirmed again.
    back: Sample,
}

impl Halted {
    async fn measure(etcd: &Etcd, state: &State, halts: u32) -> Result<Self> {
        let mut halted = Self::default();
        for n in 0..halts {
            confirmed(state, true).await?;
            // Probes run every second: vary the point of the interval.
            tokio::time::sleep(Duration::from_secs(1) + Duration::from_secs(1) * n / halts).await;
            let began = Instant::now();
            etcd.halt()?;
            confirmed(state, false).await?;
            halted.told.push(began.elapsed());
            halted.age.push(state.age().context("a view of no age")?);
            let began = Instant::now();
            etcd.go_on()?;
            confirmed(state, true).await?;
            halted.back.push(began.elapsed());
        }
        Ok(halted)
    }

    fn row(&self) -> Row {
        let limit = BOUND + MARGIN;
        Row {
            id: "silent",
            what: format!(
                "etcd halted → the view says that it is not confirmed, worst of {}",
                self.told.len()
            ),
            target: format!("under {}", seconds(limit)),
            figure: worst_and_median(&self.told),
            measured: Some(Measured {
                value: millis(self.told.worst()),
                limit: millis(limit),
                unit: "ms",
            }),
            details: vec![
                (
                    "how old it may be, by its own account then".to_owned(),
                    worst_and_median(&self.age),
                ),
                (
                    "etcd goes on → confirmed again".to_owned(),
                    worst_and_median(&self.back),
                ),
            ],
        }
    }
}
