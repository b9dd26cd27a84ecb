//! The engine killed by `SIGKILL` at random instants, repeatedly, while a reader runs.
//!
//! | variable | |
//! |---|---|
//! | `BANYAN_CRASH_ROUNDS` | total rounds, divided between the tests; default 300 |
//! | `BANYAN_CRASH_SEED` | repeats the choices of the run that printed it; the machine's timing still varies |
//!
//! For thousands: `BANYAN_CRASH_ROUNDS=5000 cargo nextest run -p banyan-tests --no-capture crash`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use banyan_api::Client;
use banyan_api::v1::{GitopsStatus, ListHistoryRequest, history_entry::Outcome};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::crash_engine::{Engine, Place, Seen, read_on};
use crate::crash_random::{Random, Window, rounds, runtime, sleep_until};
use crate::crash_repo::{Layout, State, World};

#[test]
fn killed_in_a_pass_while_running_it_never_shows_a_mix_and_always_converges() -> Result<()> {
    let rounds = rounds() * 2 / 5;
    Run::new(Kill::Running)?.all(rounds)
}

#[test]
fn killed_in_a_pass_while_starting_it_never_shows_a_mix_and_always_converges() -> Result<()> {
    let rounds = rounds() * 2 / 5;
    Run::new(Kill::Starting)?.all(rounds)
}

/// What the engine is doing when its pass is interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kill {
    /// It runs and notices a commit.
    Running,
    /// It starts and finds a commit that was pushed while it was down.
    Starting,
}

/// The stage of the pass at which a kill hit the engine, as its successor finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Landed {
    /// Nothing was written.
    Before,
    /// This many records were staged but not in force.
    Staged(usize),
    /// The commit was in force.
    After,
}

struct Run {
    kill: Kill,
    random: Random,
    window: Window,
    world: Arc<World>,
    place: Place,
    seen: Arc<Seen>,
    runtime: Runtime,
    reader: JoinHandle<Result<()>>,
    /// The state the last engine converged to.
    generation: u64,
    landed: BTreeMap<Landed, usize>,
    /// Time from each successor's start to its answer that the commit is in force.
    recoveries: Vec<Duration>,
}

impl Run {
    fn new(kill: Kill) -> Result<Self> {
        // Sizes go up and down, so that every commit adds and removes objects and changes all others.
        let state = |number| State {
            number,
            users: 60 + 25 * (number * 3 % 8),
            machines: 100 + 25 * (number * 5 % 8),
        };
        let world = Arc::new(World::new((0..8).map(state).collect(), Layout::Few)?);
        let (place, seen, runtime) = (Place::new(&world)?, Arc::new(Seen::default()), runtime()?);
        let reading = read_on(place.socket(), Arc::clone(&world), Arc::clone(&seen));
        Ok(Self {
            kill,
            random: Random::new(kill as u64)?,
            window: Window::default(),
            place,
            seen,
            reader: runtime.spawn(reading),
            runtime,
            world,
            generation: 0,
            landed: BTreeMap::new(),
            recoveries: Vec::new(),
        })
    }

    fn all(mut self, rounds: usize) -> Result<()> {
        self.move_on()?;
        self.world.publish()?;
        let mut engine = self.place.start()?;
        let first = converged(&self.place, &self.world, &self.seen, &mut engine);
        self.generation = self.runtime.block_on(first)?;
        for round in 0..rounds {
            let next = self.round(engine);
            engine = next.with_context(|| format!("round {round}"))?;
            if self.reader.is_finished() {
                self.runtime.block_on(&mut self.reader)??;
            }
        }
        self.report(rounds)
    }

    /// One kill and the recovery from it.
    fn round(&mut self, engine: Engine) -> Result<Engine> {
        self.move_on()?;
        let engine = match self.kill {
            Kill::Running => {
                self.world.publish()?;
                engine
            }
            Kill::Starting => {
                engine.kill()?;
                self.world.publish()?;
                self.place.start()?
            }
        };
        self.cut_off(engine)?;
        // The successor finds a commit other than the staged one, or is killed during it too, or neither.
        let overtaken = self.random.below(2) == 0;
        if overtaken {
            self.move_on()?;
            self.world.publish()?;
        }
        let again = self.random.below(4) == 0;
        if again {
            let second = self.place.start()?;
            self.cut_off(second)?;
        }
        let (begun, generation) = (Instant::now(), self.generation);
        let mut next = self.place.start()?;
        let recovered = converged(&self.place, &self.world, &self.seen, &mut next);
        self.generation = self.runtime.block_on(recovered)?;
        self.recoveries.push(begun.elapsed());
        let both = self.generation == generation + 2;
        ensure!(
            self.generation == generation + 1 || (overtaken && both),
            "generation {} follows {generation}",
            self.generation
        );
        let landed = Landed::by(&self.place.log(), both)?;
        if !again {
            let (early, late) = (landed == Landed::Before, landed == Landed::After);
            self.window.learn(early, late);
        }
        *self.landed.entry(landed).or_default() += 1;
        Ok(next)
    }

    /// Kills an engine at a random instant.
    fn cut_off(&mut self, engine: Engine) -> Result<()> {
        sleep_until(Instant::now() + self.window.instant(&mut self.random));
        engine.kill()
    }

    /// Commits a state unlike any that may be in force: every object changes.
    fn move_on(&mut self) -> Result<()> {
        let others = self.world.others();
        let number = others.get(self.random.below(others.len()));
        self.world.commit(*number.context("too few states")?)
    }

    fn report(mut self, rounds: usize) -> Result<()> {
        self.recoveries.sort();
        let staged = |landed: &Landed| matches!(landed, Landed::Staged(_));
        let of = |wanted: &dyn Fn(&Landed) -> bool| -> usize {
            let counts = self.landed.iter().filter(|(landed, _)| wanted(landed));
            counts.map(|(_, count)| count).sum()
        };
        let (before, between, after) = (
            of(&|l| *l == Landed::Before),
            of(&staged),
            of(&|l| *l == Landed::After),
        );
        let sizes: BTreeSet<_> = self.landed.keys().filter(|l| staged(l)).collect();
        eprintln!(
            "{rounds} kills while {:?}: {before} before staging, {between} between staging and flip {sizes:?}, {after} after; \
             {} answers judged, {} generations first seen by the reader; recovery {:?} median, {:?} at most; last window {:?}",
            self.kill,
            self.seen.answers(),
            self.seen.advances(),
            self.recoveries.get(rounds / 2),
            self.recoveries.last(),
            self.window,
        );
        let enough = |count: usize| count * 100 >= rounds * 3;
        ensure!(
            rounds < 50 || (enough(before) && enough(between) && enough(after)),
            "too few kills landed where they matter: {:?}",
            self.landed
        );
        ensure!(
            self.seen.answers() > rounds as u64,
            "the reader saw next to nothing"
        );
        Ok(())
    }
}

/// Waits until the newest commit is in force, and checks it against everything seen before. Returns the generation.
async fn converged(place: &Place, world: &World, seen: &Seen, engine: &mut Engine) -> Result<u64> {
    let (client, status) = place.sync(engine).await?;
    let judged = async {
        is_in_force(world, &status)?;
        seen.look(&client, world).await??;
        history_is_whole(&client, world).await
    };
    let judged: Result<()> = judged.await;
    judged.with_context(|| format!("the engine's log:\n{}", place.log()))?;
    world.settle();
    Ok(status.generation)
}

/// Whether the newest commit is in force, with a generation no older than any seen.
pub(crate) fn is_in_force(world: &World, status: &GitopsStatus) -> Result<()> {
    let (commit, _) = world.newest().context("there is no commit")?;
    let applied = status.applied.as_ref().map(|c| c.id.as_str());
    ensure!(
        status.state == "in-force" && applied == Some(&commit),
        "commit {commit} should be in force, but it is {applied:?} as {}: {} {} {:?}",
        status.generation,
        status.state,
        status.error,
        status.findings.first()
    );
    let newest = world.generation();
    ensure!(
        status.generation >= newest,
        "generation {} is in force after {newest} was",
        status.generation
    );
    world.learn(status.generation, &commit).map(drop)
}

/// Whether the history has every generation once, newest first, each with its commit.
async fn history_is_whole(client: &Client, world: &World) -> Result<()> {
    let newest = world.generation();
    let limit = 50;
    let request = ListHistoryRequest { limit };
    let history = client.gitops().list_history(request).await?;
    let entries = history.into_inner().entries;
    ensure!(
        entries.len() as u64 == newest.min(u64::from(limit)),
        "the history has {} entries after {newest} generations",
        entries.len()
    );
    for (entry, wanted) in entries.iter().zip((1..=newest).rev()) {
        let Some(Outcome::Applied(applied)) = &entry.outcome else {
            bail!("a commit was refused: {entry:#?}");
        };
        ensure!(
            applied.generation == wanted,
            "generation {wanted} is not in its place of the history: {entry:#?}"
        );
        let commit = entry.commit.as_ref().map_or("", |c| c.id.as_str());
        world.learn(wanted, commit)?;
    }
    Ok(())
}

impl Landed {
    /// Reads it from the log of the successor, which has run its first pass. With `both`, that pass brought a commit
    /// into force that is newer than the interrupted one, and the interrupted one came into force before it.
    fn by(log: &str, both: bool) -> Result<Self> {
        let discarding = log
            .lines()
            .find(|line| line.contains("discarding records staged by an unfinished pass"));
        if let Some(line) = discarding {
            let records = line.split("records=").nth(1).context("no count")?;
            return Ok(Self::Staged(records.trim().parse()?));
        }
        match log.contains("commit applied") && !both {
            true => Ok(Self::Before),
            false => Ok(Self::After),
        }
    }
}
