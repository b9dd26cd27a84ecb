//! Unreadable or empty sources: never taken to mean that everything is to be removed.

use std::fs;
use std::path::{Path, PathBuf};

use banyan_api::v1::GitopsStatus;

use super::mended;
use crate::harness::{Cluster, Options, user};

/// Polls often, so that the test need not wait for changes that only a poll can see.
fn eager() -> Options {
    Options {
        poll: "1s",
        ..Options::default()
    }
}

/// Waits until passes fail, with these words in the reason.
#[track_caller]
fn fails(cluster: &Cluster, words: &str) -> GitopsStatus {
    let failed =
        |s: &GitopsStatus| s.state == "failed" && s.error.contains(words) && s.failures > 0;
    let status = cluster.await_status(&format!("failure with {words:?}"), failed);
    assert!(
        status.failures > 0 && !status.waiting.is_empty(),
        "{status:#?}"
    );
    status
}

/// Waits until a commit is in force without any findings.
#[track_caller]
fn heals(cluster: &Cluster, commit: &str) {
    let status = cluster.await_decision(commit);
    assert_eq!(
        (
            status.state.as_str(),
            status.error.as_str(),
            status.failures
        ),
        ("in-force", "", 0)
    );
}

#[test]
fn an_empty_repo_is_a_failure_and_its_first_push_gets_into_force() {
    let mut cluster = Cluster::started_with(Options {
        seed: false,
        ..Options::default()
    });
    let status = fails(&cluster, "no branch yet");
    assert_eq!((status.generation, &status.applied), (0, &None));
    assert_eq!(status.trigger, "inotify", "{status:#?}");
    assert!(cluster.users().is_empty() && cluster.machines().is_empty());
    let shown = cluster.banyan(&["gitops", "status"]);
    let shown = crate::harness::text(&[shown.stdout, shown.stderr].concat());
    assert!(
        shown.contains("no branch yet") && shown.contains("nothing is in force"),
        "{shown}"
    );

    cluster.write("cluster.yaml", &cluster.cluster_document());
    cluster.write("users/alice.yaml", &user("alice", &["admin"]));
    let machine = cluster.new_machine("m1");
    cluster.write("machines/m1.yaml", &machine);
    let commit = cluster.push("Start");
    heals(&cluster, &commit);
    assert_eq!((cluster.users().len(), cluster.machines().len()), (1, 1));
}

#[test]
fn a_branch_that_is_deleted_or_emptied_takes_nothing_along() {
    let cluster = Cluster::started();
    let good = cluster.repo.head().unwrap();
    let picture = cluster.picture();
    cluster.repo.delete_branch("main").unwrap();
    let status = fails(&cluster, "no branch");
    assert_eq!(
        (status.generation, status.applied.unwrap().id),
        (1, good.clone())
    );
    assert_eq!(cluster.picture(), picture);
    cluster.repo.push().unwrap();
    heals(&cluster, &good);

    // A new history without a single file.
    cluster
        .repo
        .git(["checkout", "--quiet", "--orphan", "other"])
        .unwrap();
    cluster
        .repo
        .git(["rm", "-r", "-f", "--quiet", "."])
        .unwrap();
    let empty = cluster.repo.commit("Start over\n").unwrap();
    cluster
        .repo
        .git(["push", "--quiet", "--force", "origin", "HEAD:main"])
        .unwrap();
    let status = cluster.await_decision(&empty);
    assert_eq!(
        (status.state.as_str(), status.generation),
        ("refused", 1),
        "{status:#?}"
    );
    assert_eq!(cluster.picture(), picture);

    cluster.repo.git(["checkout", "--quiet", "main"]).unwrap();
    cluster.repo.force_push().unwrap();
    heals(&cluster, &good);
    mended(&cluster, &good);
}

#[test]
fn a_source_that_vanishes_leaves_the_last_good_state_and_heals_when_it_is_back() {
    let mut cluster = Cluster::started_with(eager());
    let (picture, away) = (cluster.picture(), cluster.dir().join("away.git"));
    fs::rename(cluster.repo.path(), &away).unwrap();
    let status = fails(&cluster, "cannot open the repository");
    assert_eq!(status.generation, 1);
    assert_eq!(cluster.picture(), picture);

    // Not even a restart needs the source.
    cluster.kill9();
    cluster.start();
    fails(&cluster, "cannot open the repository");
    assert_eq!(cluster.picture(), picture);

    fs::rename(&away, cluster.repo.path()).unwrap();
    cluster.write("users/nina.yaml", &user("nina", &["viewer"]));
    let commit = cluster.push("Add nina");
    heals(&cluster, &commit);
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}

/// Overwrites all objects of a repository with garbage; returns the originals.
fn spoil(git_dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let objects = files(&git_dir.join("objects"));
    assert!(!objects.is_empty(), "no objects in {}", git_dir.display());
    let spoilt = objects.into_iter().map(|path| {
        let was = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, b"nonsense").unwrap();
        (path, was)
    });
    spoilt.collect()
}

#[test]
fn a_damaged_local_clone_is_cloned_again_while_running_and_at_the_start() {
    let mut cluster = Cluster::started();
    let clone = cluster.state_dir().join("repo.git");
    let damage: [(&str, &dyn Fn()); 4] = [
        ("objects", &|| drop(spoil(&clone))),
        ("the whole folder", &|| fs::remove_dir_all(&clone).unwrap()),
        ("HEAD", &|| {
            fs::write(clone.join("HEAD"), "nonsense").unwrap();
        }),
        ("half-written", &|| {
            fs::write(clone.join("banyan-clone"), "building\n").unwrap();
        }),
    ];
    for (number, (what, harm)) in damage.into_iter().enumerate() {
        for stopped in [false, true] {
            if stopped {
                cluster.terminate();
            }
            harm();
            let name = format!("u{number}-{stopped}");
            cluster.write(&format!("users/{name}.yaml"), &user(&name, &["viewer"]));
            let commit = cluster.push(what);
            if stopped {
                cluster.start();
            }
            heals(&cluster, &commit);
        }
    }
    assert_eq!(cluster.users().len(), 3 + 8);
}

#[test]
fn unreadable_objects_in_the_source_are_a_failure_and_heal() {
    let cluster = Cluster::started_with(eager());
    let (bare, picture) = (cluster.repo.path(), cluster.picture());
    cluster.write("users/nina.yaml", &user("nina", &["viewer"]));
    let commit = cluster.repo.commit("Add nina\n").unwrap();
    cluster
        .repo
        .git(["push", "--quiet", "origin", "HEAD:next"])
        .unwrap();
    // The branch moves to the commit while none of it can be read: git itself would refuse that.
    let spoilt = spoil(&bare);
    fs::write(bare.join("refs/heads/main"), format!("{commit}\n")).unwrap();
    let status = fails(&cluster, "damaged");
    assert_eq!((status.generation, cluster.picture()), (1, picture));
    for (path, was) in spoilt {
        fs::write(path, was).unwrap();
    }
    heals(&cluster, &commit);
}
