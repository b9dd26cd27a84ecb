//! Two engines on real etcd servers, with faults of every kind injected while commits come into force, readers on both
//! engines, and a checker of all answers (`faults_check.rs`).
//!
//! | variable | |
//! |---|---|
//! | `BANYAN_FAULT_ROUNDS` | how many times the ordinary number of faults each test injects; default 1 |
//! | `BANYAN_CRASH_SEED` | repeats the choices of the run that printed it; the machine's timing still varies |
//!
//! For hours: `BANYAN_FAULT_ROUNDS=200 cargo nextest run -p banyan-tests --no-capture faults::`.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use banyan_testkit::etcd;
use banyan_testkit::netns::{Host, until};

use crate::crash_random::Random;
use crate::faults_check::{Story, judge};
use crate::faults_load::Load;
use crate::faults_repo::State;
use crate::harness::{Cluster, Options, PATIENCE, Servers, Store, text};

/// How long each slowdown of a member lasts.
const SLOW_FOR: Duration = Duration::from_secs(3);
/// How long each period of repeated etcd compactions lasts.
const COMPACTED_FOR: Duration = Duration::from_secs(4);
/// How many violations a failed test prints.
const SHOWN: usize = 20;

fn rounds(ordinary: usize) -> usize {
    let text = std::env::var("BANYAN_FAULT_ROUNDS");
    let times = text.map_or(1, |text| {
        text.parse().expect("BANYAN_FAULT_ROUNDS is a number")
    });
    ordinary * times
}

/// Etcd servers, two engines on them, and the load.
struct Field {
    name: &'static str,
    servers: Servers,
    engines: Vec<Cluster>,
    load: Load,
    random: Random,
    faults: usize,
    /// The time from the end of each fault until both engines acknowledged a new commit.
    recoveries: Vec<Duration>,
}

impl Field {
    #[track_caller]
    fn new(name: &'static str, nodes: usize) -> Self {
        let servers = etcd::Cluster::start(nodes).unwrap();
        let mut endpoints = servers.endpoints();
        let servers: Servers = Rc::new(RefCell::new(servers));
        let mut first = Cluster::new(Options {
            seed: false,
            store: Store::At(Rc::clone(&servers)),
            endpoints: Some(endpoints.clone()),
            ..Options::default()
        });
        let state = State::first();
        // No removal without its trailer; that also keeps removals out of the guards' memory, which would grow.
        let guards = "  requireSealed: false\n  guards: {maxRemovedPercent: 0, maxRemoved: 0}\n";
        first.write("cluster.yaml", &(first.cluster_document() + guards));
        first.write("users.yaml", &state.user_file());
        first.write("machines.yaml", &state.machine_file());
        let commit = first.push("Start");
        first.start();
        // Each engine connects to a different member first.
        endpoints.rotate_left(1);
        let mut second = first.another_by("engine-2", Host::here(), Some(endpoints));
        second.join();
        let engines = vec![first, second];
        for engine in &engines {
            assert_eq!(engine.await_decision(&commit).state, "in-force");
        }
        let [random, writers] =
            [0, 1].map(|stream| Random::new(stream + name.len() as u64).unwrap());
        let mut load = Load::start(&engines, writers).unwrap();
        load.commits_go_on();
        Self {
            name,
            servers,
            engines,
            load,
            random,
            faults: 0,
            recoveries: Vec::new(),
        }
    }

    /// Waits for a random instant, and records that a fault starts then.
    fn some_instant(&mut self) {
        self.faults += 1;
        let ms = self.random.below(700) as u64;
        std::thread::sleep(Duration::from_millis(ms));
    }

    /// Waits until every engine has lost the store. They report it, refuse writes, and keep serving reads.
    #[track_caller]
    fn all_cut_off(&self) {
        for engine in &self.engines {
            engine.await_role("cut-off");
            let told = until(PATIENCE, || {
                let status = engine.itself();
                ensure!(!status.store_problem.is_empty(), "{status:#?}");
                Ok(())
            });
            told.unwrap();
            let sync = engine.banyan(&["gitops", "sync"]);
            let said = text(&sync.stderr);
            assert!(
                !sync.status.success() && said.contains("the store"),
                "{said}"
            );
        }
        self.load.reads_go_on();
    }

    /// Waits until commits come into force, as both engines report.
    #[track_caller]
    fn go_on(&mut self) {
        self.recoveries.push(self.load.commits_go_on());
    }

    #[track_caller]
    fn kill_server(&self, n: usize) {
        self.servers.borrow_mut().kill(n).unwrap();
    }

    #[track_caller]
    fn restart_server(&self, n: usize) {
        self.servers.borrow_mut().restart(n).unwrap();
    }

    #[track_caller]
    fn healthy(&self) {
        self.servers.borrow().wait_healthy().unwrap();
    }

    /// The etcd leader.
    #[track_caller]
    fn leader(&self) -> usize {
        self.servers.borrow().leader().unwrap()
    }

    /// Slows a server down: it is paused most of the time.
    #[track_caller]
    fn slow(&self, n: usize, by: Duration) {
        let servers = self.servers.borrow();
        let begun = Instant::now();
        while begun.elapsed() < SLOW_FOR {
            servers.stop(n).unwrap();
            std::thread::sleep(by);
            servers.cont(n).unwrap();
            std::thread::sleep(by / 4);
        }
    }

    /// The first engine loses its watch, and the history it would resume from is compacted before it returns.
    #[track_caller]
    fn forgotten_meanwhile(&mut self) {
        self.some_instant();
        let (first, second) = (&self.engines[0], &self.engines[1]);
        self.load.dead(0, || {
            first.pause();
            second.await_role("leads");
            self.kill_server(0);
            self.restart_server(0);
            self.healthy();
            let before = second.status().generation;
            let further = until(PATIENCE, || {
                let now = second.status().generation;
                ensure!(now > before, "generation {now} stays");
                Ok(())
            });
            further.unwrap();
            self.servers.borrow().compact().unwrap();
            first.wake();
        });
    }

    /// The index of the leading engine.
    #[track_caller]
    fn leading(&self) -> usize {
        let leads = until(PATIENCE, || {
            let roles: Vec<_> = self.engines.iter().map(|e| e.itself().role).collect();
            let at = roles.iter().position(|role| role == "leads");
            at.ok_or_else(|| anyhow::anyhow!("no engine leads: {roles:?}"))
        });
        leads.unwrap()
    }

    /// Both engines converge to the state in git, and every answer was consistent.
    #[track_caller]
    fn ends_well(mut self) {
        let commit = self.load.settle().unwrap();
        for engine in &self.engines {
            assert_eq!(engine.await_decision(&commit).state, "in-force");
            let well = until(PATIENCE, || {
                let status = engine.itself();
                ensure!(
                    status.store_problem.is_empty() && status.role != "cut-off",
                    "{status:#?}"
                );
                Ok(())
            });
            well.unwrap();
            let plan = engine.banyan_ok(&["plan"]);
            assert!(plan.contains("Nothing changes."), "{plan}");
        }
        self.leading();
        assert_eq!(self.engines[0].picture(), self.engines[1].picture());
        let story = self.load.end(&self.engines);
        let wrong = judge(&story);
        eprintln!(
            "{}: {} faults; {}; both acknowledge again after {:.1?}",
            self.name,
            self.faults,
            summary(&story),
            self.recoveries
        );
        assert!(
            wrong.is_empty(),
            "{} things are wrong:\n{}",
            wrong.len(),
            wrong[..wrong.len().min(SHOWN)].join("\n")
        );
        assert!(story.reads.len() > 100, "next to nothing was read");
    }
}

fn summary(story: &Story) -> String {
    format!(
        "{} commits, {} acknowledgements, {} reads of {} lists, {} readers cut off",
        story.states.len(),
        story.answers.len(),
        story.reads.len(),
        story.contents.len(),
        story.silences.len()
    )
}

#[test]
fn the_only_server_is_killed_and_started_again() {
    let mut field = Field::new("the only server killed", 1);
    for round in 0..rounds(3) {
        field.some_instant();
        field.kill_server(0);
        // Immediately, or after every engine has noticed.
        if round % 3 == 1 {
            field.all_cut_off();
        }
        field.restart_server(0);
        field.healthy();
        field.go_on();
    }
    field.ends_well();
}

#[test]
fn the_only_server_stands_still_for_longer_than_leases_and_probes() {
    let mut field = Field::new("the only server paused", 1);
    for _ in 0..rounds(1) {
        field.some_instant();
        field.servers.borrow().stop(0).unwrap();
        field.all_cut_off();
        field.servers.borrow().cont(0).unwrap();
        field.go_on();
    }
    field.ends_well();
}

#[test]
fn what_is_past_is_forgotten_again_and_again_in_the_middle_of_passes() {
    let mut field = Field::new("compacted", 1);
    for _ in 0..rounds(1) {
        let begun = Instant::now();
        while begun.elapsed() < COMPACTED_FOR {
            field.servers.borrow().compact().unwrap();
            field.faults += 1;
        }
        field.go_on();
        field.forgotten_meanwhile();
        field.go_on();
        let log = field.engines[0].log();
        assert!(
            log.contains("read the whole state again"),
            "its watch was taken up"
        );
    }
    field.ends_well();
}

#[test]
fn a_member_and_the_leader_of_three_are_lost_and_come_back() {
    let mut field = Field::new("one of three lost", 3);
    for round in 0..rounds(3) {
        field.some_instant();
        let leader = field.leader();
        let lost = [leader, (leader + 1) % 3, leader][round % 3];
        field.kill_server(lost);
        field.go_on();
        field.restart_server(lost);
        field.healthy();
    }
    field.go_on();
    field.ends_well();
}

#[test]
fn the_majority_of_three_is_lost_and_comes_back() {
    let mut field = Field::new("quorum lost", 3);
    for round in 0..rounds(1) {
        field.some_instant();
        let lost = [round % 3, (round + 1) % 3];
        lost.into_iter().for_each(|n| field.kill_server(n));
        field.all_cut_off();
        lost.into_iter().for_each(|n| field.restart_server(n));
        field.healthy();
        field.go_on();
    }
    field.ends_well();
}

#[test]
fn a_member_of_three_is_slow() {
    let mut field = Field::new("slow", 3);
    for round in 0..rounds(2) {
        field.some_instant();
        let leader = field.leader();
        let by = [60, 400][round / 2 % 2];
        field.slow((leader + round) % 3, Duration::from_millis(by));
        field.go_on();
    }
    field.healthy();
    field.ends_well();
}

#[test]
fn the_engine_that_leads_is_killed_or_paused_at_any_instant_and_comes_back() {
    let mut field = Field::new("engine killed or paused", 1);
    for round in 0..rounds(5) {
        let old = field.leading();
        field.some_instant();
        let (engines, load) = (&mut field.engines, &field.load);
        load.dead(old, || match round % 3 {
            // Its lease has not expired when it returns.
            0 => {
                engines[old].kill9();
                engines[old].join();
            }
            1 => {
                engines[old].kill9();
                engines[1 - old].await_role("leads");
                engines[old].join();
            }
            // It resumes where it was, and still believes that it leads.
            _ => {
                engines[old].pause();
                engines[1 - old].await_role("leads");
                engines[old].wake();
            }
        });
        field.go_on();
    }
    field.ends_well();
}
