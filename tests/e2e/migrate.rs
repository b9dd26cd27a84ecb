//! The embedded store's state moves to etcd, with the built program: completely, once, and never in two places at a
//! time.

use std::time::Instant;

use banyan_testkit::netns::Host;

use crate::crash_random::{Random, Window, sleep_until};
use crate::harness::{Backup, Cluster, Options, Store, text, user};

/// Kills; each takes some tenths of a second.
const ROUNDS: usize = 20;

/// A cluster on the embedded store that has a history, whose configuration also names an etcd, and its backup. The engine
/// does not run.
fn before_the_move() -> (Cluster, Backup) {
    let cluster = Cluster::started_with(Options {
        store: Store::Embedded,
        ..Options::default()
    });
    cluster.write(
        "users/nina.yaml",
        &user("nina", &["nobody-knows-this-role"]),
    );
    let refused = cluster.push("A role that is not there");
    assert_eq!(cluster.await_decision(&refused).state, "refused");
    let people: String = (0..600)
        .map(|n| format!("---\n{}", user(&format!("n{n}"), &["viewer"])))
        .collect();
    cluster.write("users/nina.yaml", &people);
    cluster.apply("Many");
    let backup = cluster.backup("before");
    (cluster, backup)
}

/// Adds etcd to the configuration, but leaves the state where it is.
fn name_etcd(cluster: &mut Cluster) {
    cluster.reconfigure(|options| options.store = Store::Etcd);
    cluster.reconfigure(|options| options.store = Store::Embedded);
}

fn migrate(cluster: &Cluster) -> (bool, String) {
    let output = cluster.engine_output(&["migrate", "--to", "etcd"]);
    (output.status.success(), text(&output.stderr))
}

#[test]
fn after_a_migration_the_engine_on_etcd_goes_on_and_none_starts_on_the_old_store() {
    let (mut cluster, _) = before_the_move();
    let (picture, history) = (cluster.picture(), cluster.history());
    let generation = cluster.status().generation;
    assert!(cluster.terminate().success());
    let (done, said) = migrate(&cluster);
    assert!(!done && said.contains("set engine.etcd"), "{said}");
    name_etcd(&mut cluster);

    cluster.spawn();
    cluster.client();
    let (done, said) = migrate(&cluster);
    assert!(!done && said.contains("stop the engine first"), "{said}");
    assert!(cluster.terminate().success());

    let (done, said) = migrate(&cluster);
    assert!(done, "{said}");
    for words in ["moved ", "engine.store_backend: etcd"] {
        assert!(said.contains(words), "{words} is not in {said}");
    }
    cluster.spawn();
    assert_eq!(cluster.wait_exit().code(), Some(1));
    let log = cluster.log();
    let end = log.lines().last().unwrap_or_default();
    assert!(end.contains("this store was moved to etcd 127."), "{end}");
    let (done, said) = migrate(&cluster);
    assert!(done && said.contains("already"), "{said}");

    cluster.reconfigure(|options| options.store = Store::Etcd);
    cluster.start();
    let status = cluster.status();
    assert_eq!(
        (status.state.as_str(), status.generation),
        ("in-force", generation)
    );
    assert_eq!(status.floor, "");
    assert_eq!(cluster.picture(), picture);
    assert_eq!(cluster.history(), history);
    cluster.write("users/otto.yaml", &user("otto", &["viewer"]));
    assert_eq!(cluster.apply("Add otto").generation, generation + 1);
}

#[test]
fn a_migration_into_an_etcd_with_a_state_is_refused_and_both_stay() {
    let mut theirs = Cluster::started_with(Options {
        store: Store::Etcd,
        ..Options::default()
    });
    let (mut cluster, backup) = before_the_move();
    assert!(cluster.terminate().success());
    let servers = theirs.servers.clone().unwrap();
    cluster.reconfigure(|options| options.store = Store::At(servers));
    cluster.reconfigure(|options| options.store = Store::Embedded);
    let theirs_before = theirs.backup("before");
    let refused = |theirs: &Cluster, words: &str| {
        let (done, said) = migrate(&cluster);
        assert!(!done && said.contains(words), "{said}");
        cluster.backup("after").assert_same(&backup);
        theirs.backup("after").assert_same(&theirs_before);
    };
    refused(&theirs, "engines are running on the store: engine-1");
    assert!(theirs.terminate().success());
    refused(&theirs, "contains generation 1 of commit");
    refused(&theirs, "--replace");
}

/// Whether a backup can be taken of a store, which it can where an engine can run; and it is the one that is expected.
#[track_caller]
fn is_usable(cluster: &mut Cluster, store: Store, expected: &Backup) -> bool {
    cluster.reconfigure(|options| options.store = store);
    let (file, output) = cluster.try_backup("left");
    if output.status.success() {
        Backup::read(&file).assert_same(expected);
    }
    output.status.success()
}

#[test]
fn a_migration_killed_at_any_instant_leaves_one_usable_store_at_most_and_goes_through_again() {
    let (mut cluster, backup) = before_the_move();
    assert!(cluster.terminate().success());
    let mut mover = cluster.another("mover", Host::here());
    name_etcd(&mut mover);
    let (mut random, mut window) = (Random::new(13).unwrap(), Window::default());
    let mut half = 0;
    for _ in 0..ROUNDS {
        // Both stores are unchanged.
        mover.etcdctl(&["del", "--prefix", "banyan/"]);
        std::fs::create_dir_all(mover.state_dir()).unwrap();
        let [from, to] = [&cluster, &mover].map(|place| place.state_dir().join("store.redb"));
        std::fs::copy(from, to).unwrap();
        let mut command = mover.engine_command(&["migrate", "--to", "etcd"]);
        let instant = Instant::now() + window.instant(&mut random);
        let mut child = command.spawn().unwrap();
        sleep_until(instant);
        child.kill().unwrap();
        child.wait().unwrap();

        let begun = !mover
            .etcdctl(&["get", "--prefix", "banyan/", "--keys-only"])
            .trim()
            .is_empty();
        let old = is_usable(&mut mover, Store::Embedded, &backup);
        let new = is_usable(&mut mover, Store::Etcd, &backup);
        assert!(!(old && new), "both are usable");
        window.learn(!begun, new);
        half += usize::from(begun && !new);
        mover.reconfigure(|options| options.store = Store::Embedded);
        let (done, said) = migrate(&mover);
        assert!(done, "{said}");
        assert!(!is_usable(&mut mover, Store::Embedded, &backup));
        assert!(is_usable(&mut mover, Store::Etcd, &backup));
        mover.reconfigure(|options| options.store = Store::Embedded);
    }
    assert!(half > 0, "no kill came in between");
    mover.reconfigure(|options| options.store = Store::Etcd);
    mover.start();
    assert_eq!(mover.status().state, "in-force");
}
