//! The engine killed by `SIGKILL` during its very first start: while it creates its store, its key and its clone.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use crate::crash::is_in_force;
use crate::crash_engine::{Place, Seen};
use crate::crash_random::{Random, Window, rounds, runtime, sleep_until};
use crate::crash_repo::{Layout, State, World};

#[test]
fn killed_in_its_very_first_start_it_heals_by_the_next() -> Result<()> {
    let rounds = rounds() / 5;
    let (runtime, mut random) = (runtime()?, Random::new(3)?);
    // A few new objects are fetched one by one, many as a pack.
    let worlds = [first_commit(30)?, first_commit(200)?];
    let mut windows = [Window::default(), Window::default()];
    let mut made: BTreeMap<Made, usize> = BTreeMap::new();
    for round in 0..rounds {
        let which = random.below(worlds.len());
        let (world, window) = (&worlds[which], &mut windows[which]);
        let place = Place::new(world)?;
        let engine = place.start()?;
        sleep_until(Instant::now() + window.instant(&mut random));
        engine.kill()?;
        let reached = Made::of(&place.state());
        window.learn(reached < Made::HalfClone, reached == Made::Fetched);
        *made.entry(reached).or_default() += 1;
        let healed = runtime.block_on(heals(&place, world));
        healed.with_context(|| format!("round {round}, killed with {reached:?} made"))?;
    }
    eprintln!("{rounds} first starts killed, the last windows {windows:?}; made by then: {made:?}");
    let between = made.range(Made::Store..=Made::EmptyClone);
    ensure!(
        rounds < 30 || between.count() > 1,
        "too few kills landed between store and clone: {made:?}"
    );
    Ok(())
}

/// A repo of one commit, one file per object.
fn first_commit(of_each_kind: usize) -> Result<World> {
    let state = State {
        number: 0,
        users: of_each_kind,
        machines: of_each_kind,
    };
    let world = World::new(vec![state], Layout::Many)?;
    world.commit(0)?;
    world.publish()?;
    Ok(world)
}

async fn heals(place: &Place, world: &World) -> Result<()> {
    let mut engine = place.start()?;
    let (client, status) = place.sync(&mut engine).await?;
    is_in_force(world, &status)?;
    Seen::default().look(&client, world).await??;
    for entry in fs::read_dir(place.state())? {
        let name = entry?.file_name();
        ensure!(
            !name.to_string_lossy().contains("aside"),
            "it took its own leavings for another's: {name:?}"
        );
    }
    Ok(())
}

/// How much of a first start is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Made {
    /// No store yet.
    Nothing,
    /// The store, but no key.
    Store,
    /// The key, but no clone.
    Key,
    /// An unfinished clone.
    HalfClone,
    /// An empty clone, possibly with unreferenced objects.
    EmptyClone,
    /// A clone that has the commit.
    Fetched,
}

impl Made {
    /// Inspects a state directory.
    fn of(state: &Path) -> Self {
        let clone = state.join("repo.git");
        match fs::read_to_string(clone.join("banyan-clone")) {
            _ if !state.join("store.redb").exists() => Self::Nothing,
            _ if !state.join("wg_private_key").exists() => Self::Store,
            _ if !clone.exists() => Self::Key,
            Ok(text) if text == "1\n" => match clone.join("refs/banyan/source").exists() {
                true => Self::Fetched,
                false => Self::EmptyClone,
            },
            Ok(_) | Err(_) => Self::HalfClone,
        }
    }
}
