//! Backups and restores with the built program: what a backup contains, what a restore brings back, and what it leaves
//! alone.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::ensure;
use banyan_api::v1::history_entry;
use banyan_testkit::netns::{Host, until};

use crate::harness::{Backup, Cluster, PATIENCE, program, text, user};

/// A place to restore a backup that is independent of the original engine: another state directory and, on etcd,
/// another prefix.
fn elsewhere(cluster: &Cluster) -> Cluster {
    let mut other = cluster.another("elsewhere", Host::here());
    other.reconfigure(|options| options.prefix = "elsewhere/");
    other
}

/// Replaces the users of the previous round by `count` users of this one.
fn write_round(cluster: &Cluster, round: usize, count: usize) {
    let people =
        (0..count).map(|n| format!("---\n{}", user(&format!("r{round}-{n}"), &["viewer"])));
    cluster.write("users/round.yaml", &people.collect::<String>());
}

/// The generations in the history.
fn generations(cluster: &Cluster) -> Vec<u64> {
    let history = cluster.history();
    let applied = history.iter().filter_map(|entry| match &entry.outcome {
        Some(history_entry::Outcome::Applied(applied)) => Some(applied.generation),
        _ => None,
    });
    let mut generations: Vec<u64> = applied.collect();
    generations.sort_unstable();
    generations
}

/// Takes backups one after the other until told to stop.
fn take_all(config: &Path, folder: &Path, stop: &AtomicBool) -> Vec<Backup> {
    let mut taken = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let file = folder.join(format!("backup-{}", taken.len()));
        let mut command = Command::new(program("banyan-engine"));
        let command = command.arg("backup").arg("--output").arg(&file);
        let output = command.arg("--config").arg(config).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        taken.push(Backup::read(&file));
    }
    taken
}

#[test]
fn backups_taken_while_commits_get_into_force_are_each_of_one_commit_and_whole() {
    const ROUNDS: usize = 8;
    let cluster = Cluster::started();
    let stop = Arc::new(AtomicBool::new(false));
    let taker = {
        let (config, folder) = (cluster.config_file(), cluster.dir().to_owned());
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || take_all(&config, &folder, &stop))
    };
    let mut said = BTreeMap::from([(cluster.status().applied.unwrap().id, cluster.picture())]);
    for round in 1..=ROUNDS {
        // Sometimes enough for several transactions.
        let count = |round| 20 + 280 * (round % 2);
        write_round(&cluster, round, count(round));
        let gone = count(round - 1);
        let commit = cluster.push(&format!(
            "Round {round}\n\nBanyan-Allow-Removals: user={gone}"
        ));
        let status = cluster.await_decision(&commit);
        assert_eq!(status.state, "in-force", "{status:#?}");
        said.insert(commit, cluster.picture());
    }
    stop.store(true, Ordering::Relaxed);
    let taken = taker.join().unwrap();
    let of_commits: BTreeMap<&str, &Backup> = taken
        .iter()
        .map(|backup| (backup.commit.as_str(), backup))
        .collect();
    assert!(
        of_commits.len() > ROUNDS / 2,
        "{} backups, of {} commits",
        taken.len(),
        of_commits.len()
    );

    let mut other = elsewhere(&cluster);
    for backup in of_commits.into_values() {
        other.restore(&backup.file);
        other.start();
        let status = other.status();
        assert_eq!(
            (status.applied.unwrap().id.as_str(), status.generation),
            (backup.commit.as_str(), backup.generation)
        );
        assert_eq!(
            other.picture(),
            said[&backup.commit],
            "{}",
            backup.file.display()
        );
        let all: Vec<u64> = (1..=backup.generation).collect();
        assert_eq!(generations(&other), all);
        assert!(other.terminate().success());
    }
    let again = cluster.backup("again");
    for backup in taken.iter().filter(|backup| backup.commit == again.commit) {
        backup.assert_same(&again);
    }
}

#[test]
fn after_a_restore_old_commits_are_refused_and_new_ones_wait_until_one_is_accepted() {
    let mut cluster = Cluster::started();
    let old = cluster.status().applied.unwrap().id;
    cluster.write("users/nina.yaml", &user("nina", &["viewer"]));
    let kept = cluster.apply("Add nina").applied.unwrap().id;
    let (picture, backup) = (cluster.picture(), cluster.backup("backup"));
    cluster.write("users/otto.yaml", &user("otto", &["viewer"]));
    let newer = cluster.apply("Add otto").applied.unwrap().id;
    assert!(cluster.terminate().success());

    let mut other = elsewhere(&cluster);
    let said = other.restore(&backup.file);
    assert!(
        said.contains(&kept) && said.contains("banyan gitops accept"),
        "{said}"
    );
    other.start();
    let waits = |commit: &str| {
        let status = other.await_decision(commit);
        let rules: Vec<_> = status.findings.iter().map(|f| f.rule.as_str()).collect();
        assert_eq!(
            (status.state.as_str(), &rules[..]),
            ("refused", &["floor"][..])
        );
        assert_eq!(status.applied.unwrap().id, kept);
        assert_eq!(other.picture(), picture);
    };
    waits(&newer);
    other.repo.reset(&old).unwrap();
    other.repo.force_push().unwrap();
    waits(&old);
    other.repo.reset(&newer).unwrap();
    other.repo.force_push().unwrap();
    waits(&newer);

    other.banyan_ok(&["gitops", "accept", &newer[..12]]);
    let status = other.await_decision(&newer);
    assert_eq!(
        (status.state.as_str(), status.generation),
        ("in-force", backup.generation + 1)
    );
    assert_eq!((status.floor.as_str(), status.accepted.as_str()), ("", ""));
    let names: Vec<_> = other.users().into_iter().map(|user| user.name).collect();
    assert!(names.contains(&"otto".to_owned()), "{names:?}");
    // It was valid for one commit, once.
    other.repo.reset(&old).unwrap();
    other.repo.force_push().unwrap();
    let status = other.await_decision(&old);
    assert_eq!(
        (status.state.as_str(), status.findings[0].rule.as_str()),
        ("refused", "floor")
    );
}

#[test]
fn a_stopped_engines_store_gives_the_backup_that_the_engine_gave() {
    let mut cluster = Cluster::started();
    write_round(&cluster, 1, 300);
    cluster.apply("Many");
    let running = cluster.backup("running");
    assert!(cluster.terminate().success());
    let stopped = cluster.backup("stopped");
    stopped.assert_same(&running);
    assert_eq!(
        (stopped.commit, stopped.generation),
        (running.commit, running.generation)
    );
    for file in [running.file, stopped.file] {
        let mode = fs::metadata(file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_restore_is_refused_while_engines_run_and_changes_nothing() {
    let mut cluster = Cluster::started();
    let backup = cluster.backup("backup");
    cluster.write("users/nina.yaml", &user("nina", &["viewer"]));
    cluster.apply("Add nina");
    let (picture, before) = (cluster.picture(), cluster.backup("before"));
    let expected = match cluster.is_on_etcd() {
        true => "engines are running on the store: engine-1; stop them first",
        false => "an engine has it open; stop the engine first",
    };
    for options in [&[][..], &["--replace"]] {
        let (done, said) = cluster.try_restore(&backup.file, options);
        assert!(!done && said.contains(expected), "{said}");
    }
    cluster.backup("after").assert_same(&before);
    assert_eq!(cluster.picture(), picture);
    cluster.write("users/otto.yaml", &user("otto", &["viewer"]));
    cluster.apply("Add otto");

    // One that was killed is not running, as soon as that can be known.
    cluster.kill9();
    let restored = until(PATIENCE, || {
        let (done, said) = cluster.try_restore(&backup.file, &["--replace"]);
        ensure!(done, said);
        Ok(())
    });
    restored.unwrap();
    cluster.backup("restored").assert_same(&backup);
}

#[test]
fn a_state_is_lost_to_a_backup_only_when_that_is_asked_for() {
    let mut cluster = Cluster::started();
    let backup = cluster.backup("backup");
    cluster.write("users/nina.yaml", &user("nina", &["viewer"]));
    let commit = cluster.apply("Add nina").applied.unwrap().id;
    assert!(cluster.terminate().success());
    let before = cluster.backup("before");
    let (done, said) = cluster.try_restore(&backup.file, &[]);
    assert!(!done, "{said}");
    assert!(
        said.contains(&format!("generation 2 of commit {commit}")),
        "{said}"
    );
    assert!(said.contains("--replace"), "{said}");
    cluster.backup("after").assert_same(&before);
    cluster.restore(&backup.file);
    cluster.backup("restored").assert_same(&backup);
}

#[test]
fn a_file_that_is_not_whole_is_refused_before_anything_changes() {
    let mut cluster = Cluster::started();
    let backup = cluster.backup("backup");
    assert!(cluster.terminate().success());
    let (before, mark) = (cluster.backup("before"), cluster.store_mark());
    let whole = fs::read(&backup.file).unwrap();
    let file = cluster.dir().join("broken");
    let refused = |content: &[u8], words: &str| {
        fs::write(&file, content).unwrap();
        let (done, said) = cluster.try_restore(&file, &["--replace"]);
        assert!(!done && said.contains(words), "{said}");
        assert_eq!(cluster.store_mark(), mark);
    };
    let line = whole.iter().position(|byte| *byte == b'\n').unwrap();
    refused(&[], "not a backup");
    refused(&whole[..line - 1], "not a backup");
    refused(&whole[..=line], "cut off");
    refused(&whole[..whole.len() / 2], "cut off");
    refused(&whole[..whole.len() - 1], "cut off");
    let altered = text(&whole).replace("victor", "mallor");
    refused(altered.as_bytes(), "damaged or was altered");
    cluster.backup("after").assert_same(&before);
}

#[test]
fn a_backup_holds_no_private_key_and_nothing_of_it_is_logged_or_printed() {
    let mut cluster = Cluster::started();
    let (file, output) = cluster.try_backup("backup");
    let mut printed = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{printed}");
    let backup = Backup::read(&file);
    let content = fs::read_to_string(&file).unwrap();
    for secret in cluster.secrets() {
        assert!(!content.contains(&secret));
    }
    let keys: Vec<String> = cluster
        .machines()
        .into_iter()
        .map(|m| m.public_key)
        .collect();
    assert!(keys.len() == 3 && keys.iter().all(|key| content.contains(key)));

    assert!(cluster.terminate().success());
    let mut other = elsewhere(&cluster);
    printed += &other.restore(&file);
    printed += &other.try_restore(&file, &[]).1;
    other.start();
    assert!(other.terminate().success());
    let altered = content.replace("victor", "mallor");
    fs::write(&file, altered).unwrap();
    printed += &other.try_restore(&file, &["--replace"]).1;
    printed += &(cluster.log() + &other.log());
    let entries = backup.entries.iter();
    // A counter is a number like any other.
    let values = entries.filter(|(key, value)| *key != "v1/people" && *value != "null");
    for value in values
        .map(|(_, value)| value)
        .chain(&keys)
        .chain(&cluster.secrets())
    {
        assert!(!printed.contains(value.as_str()), "{value} in\n{printed}");
    }
}
