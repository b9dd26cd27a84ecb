//! `banyan-engine restore` killed at random instants: the state it leaves, and that running it again completes it.

use std::time::Instant;

use crate::crash_random::{Random, Window, sleep_until};
use crate::harness::{Backup, Cluster, text, user};

/// Kills; each takes about a tenth of a second.
const ROUNDS: usize = 25;

/// The state a killed restore left.
#[derive(Debug, PartialEq, Eq, Hash, Clone, Copy)]
enum Left {
    Old,
    /// A store marked incomplete, or a draft beside the old one.
    Half,
    New,
}

struct Trial {
    cluster: Cluster,
    old: Backup,
    new: Backup,
}

impl Trial {
    /// A stopped engine, and backups of two of its states, the second one much larger.
    fn new() -> Self {
        let mut cluster = Cluster::started();
        let old = cluster.backup("old");
        let people: String = (0..600)
            .map(|n| format!("---\n{}", user(&format!("n{n}"), &["viewer"])))
            .collect();
        cluster.write("users/many.yaml", &people);
        cluster.apply("Many");
        let new = cluster.backup("new");
        assert!(cluster.terminate().success());
        Self { cluster, old, new }
    }

    /// Starts a restore of the new state over the old one and kills it.
    fn kill_restore(&self, at: Instant) {
        let file = self.new.file.to_str().unwrap();
        let mut command = self.cluster.engine_command(&["restore", "--replace", file]);
        let mut child = command.spawn().unwrap();
        sleep_until(at);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Classifies what is on disk; it must be one of the three.
    #[track_caller]
    fn left(&self) -> Left {
        let draft = self.cluster.state_dir().join("store.redb.restoring");
        let (file, output) = self.cluster.try_backup("left");
        if !output.status.success() {
            let said = text(&output.stderr);
            assert!(self.cluster.is_on_etcd(), "{said}");
            assert!(
                said.contains("restore into this store was started"),
                "{said}"
            );
            assert!(said.contains("run it again"), "{said}");
            return Left::Half;
        }
        let left = Backup::read(&file);
        if left.is_same(&self.new) {
            return Left::New;
        }
        left.assert_same(&self.old);
        match draft.exists() {
            true => Left::Half,
            false => Left::Old,
        }
    }

    /// On etcd an engine must not start on a partial state. The embedded store is never partial, so
    /// there it would start.
    fn no_engine_starts(&mut self) {
        if !self.cluster.is_on_etcd() {
            return;
        }
        self.cluster.spawn();
        assert_eq!(self.cluster.wait_exit().code(), Some(1));
        let log = self.cluster.log();
        assert!(log.contains("has not finished"), "{log}");
    }

    /// Runs it again; continuing a restore needs no permission to replace.
    #[track_caller]
    fn again(&self, left: Left) {
        let begun = self.cluster.is_on_etcd() && left == Left::Half;
        let options: &[&str] = if begun { &[] } else { &["--replace"] };
        let (done, said) = self.cluster.try_restore(&self.new.file, options);
        assert!(done, "after {left:?}: {said}");
        assert_eq!(self.left(), Left::New);
    }
}

#[test]
fn a_restore_killed_at_any_instant_leaves_the_old_or_new_state_or_a_mark_and_can_be_repeated() {
    let mut trial = Trial::new();
    let picture = {
        let mut cluster = trial
            .cluster
            .another("elsewhere", trial.cluster.host().clone());
        cluster.reconfigure(|options| options.prefix = "elsewhere/");
        cluster.restore(&trial.new.file);
        cluster.start();
        cluster.picture()
    };
    let (mut random, mut window) = (Random::new(11).unwrap(), Window::default());
    let mut seen = Vec::new();
    for _ in 0..ROUNDS {
        trial.cluster.restore(&trial.old.file);
        let instant = window.instant(&mut random);
        trial.kill_restore(Instant::now() + instant);
        let left = trial.left();
        window.learn(left == Left::Old, left == Left::New);
        if left == Left::Half && !seen.contains(&Left::Half) {
            trial.no_engine_starts();
        }
        seen.push(left);
        trial.again(left);
    }
    assert!(
        seen.contains(&Left::Half),
        "no kill came in between: {seen:?}"
    );
    trial.cluster.start();
    assert_eq!(trial.cluster.picture(), picture);
}
