//! Rewritten history and re-pushed old commits: neither comes into force unless a person accepts it.

use banyan_api::v1::{GitopsStatus, history_entry};

use crate::harness::{Cluster, text, user};

/// Commits the staged changes and force-pushes.
#[track_caller]
fn force_push(cluster: &Cluster, message: &str) -> String {
    let commit = cluster.repo.commit(&format!("{message}\n")).unwrap();
    cluster.repo.force_push().unwrap();
    commit
}

/// Resets the branch to a commit.
#[track_caller]
fn set_back(cluster: &Cluster, to: &str) {
    cluster.repo.reset(to).unwrap();
    cluster.repo.force_push().unwrap();
}

/// Waits until this commit is refused for its history, and for nothing else.
#[track_caller]
fn await_floor(cluster: &Cluster, commit: &str) -> GitopsStatus {
    let status = cluster.await_decision(commit);
    let rules: Vec<_> = status.findings.iter().map(|f| f.rule.as_str()).collect();
    assert_eq!(
        (status.state.as_str(), &rules[..]),
        ("refused", &["floor"][..]),
        "{status:#?}"
    );
    status
}

/// Runs `banyan gitops accept`; returns its exit code, standard output and standard error.
#[track_caller]
fn accept(cluster: &Cluster, commit: &str) -> (Option<i32>, String, String) {
    let output = cluster.banyan(&["gitops", "accept", commit]);
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

fn names(cluster: &Cluster) -> Vec<String> {
    cluster.users().into_iter().map(|user| user.name).collect()
}

#[test]
fn an_old_commit_pushed_again_waits_until_it_is_accepted() {
    let cluster = Cluster::started();
    let old = cluster.status().applied.unwrap().id;
    cluster.write("users/nina.yaml", &user("nina", &["viewer"]));
    let good = cluster.apply("Add nina");
    let (good, generation) = (good.applied.unwrap().id, good.generation);
    let picture = cluster.picture();

    set_back(&cluster, &old);
    let status = await_floor(&cluster, &old);
    assert_eq!(
        (status.applied.unwrap().id, status.generation),
        (good, generation)
    );
    assert_eq!(cluster.picture(), picture);
    let shown = text(&cluster.banyan(&["gitops", "status"]).stdout);
    let short = &old[..12];
    assert!(
        shown.contains(&format!("banyan gitops accept {short}")),
        "{shown}"
    );

    let (code, out, err) = accept(&cluster, short);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(err.contains("generation 3 is in force after 2"), "{err}");
    assert!(!names(&cluster).contains(&"nina".to_owned()));
    // The acceptance is used up: moving there and back is refused again.
    let status = cluster.status();
    assert_eq!((status.floor.as_str(), status.accepted.as_str()), ("", ""));
    let (code, _, err) = accept(&cluster, short);
    assert_eq!(code, Some(1));
    assert!(err.contains("nothing is waiting to be accepted"), "{err}");
}

#[test]
fn rewritten_history_is_accepted_with_what_descends_from_it_and_guards_hold() {
    let cluster = Cluster::started();
    let old = cluster.status().applied.unwrap().id;
    cluster.write("users/nina.yaml", &user("nina", &["viewer"]));
    cluster.apply("Add nina");

    // The other removals of the commit are refused all the same.
    cluster.repo.reset(&old).unwrap();
    cluster.remove("users/alice.yaml");
    cluster.remove("users/bob.yaml");
    let robbed = force_push(&cluster, "Take all admins away");
    await_floor(&cluster, &robbed);
    let (code, out, err) = accept(&cluster, &robbed);
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(err.contains("but the branch's head is refused"), "{err}");
    assert!(out.contains("no admin would remain"), "{out}");
    assert_eq!(cluster.status().accepted, robbed);

    // A descendant of the accepted commit may come into force once it is valid.
    cluster.write("users/alice.yaml", &user("alice", &["admin"]));
    cluster.write("users/bob.yaml", &user("bob", &["admin"]));
    cluster.write("users/olga.yaml", &user("olga", &["viewer"]));
    let status = cluster.apply("Mend it");
    assert_eq!(status.accepted, "");
    let names = names(&cluster);
    assert!(names.contains(&"olga".to_owned()) && !names.contains(&"nina".to_owned()));
}

#[test]
fn what_is_no_commit_of_the_branch_cannot_be_accepted() {
    let cluster = Cluster::started();
    let old = cluster.status().applied.unwrap().id;
    cluster.write("users/nina.yaml", &user("nina", &["viewer"]));
    let good = cluster.apply("Add nina").applied.unwrap().id;
    set_back(&cluster, &old);
    await_floor(&cluster, &old);
    for (commit, words) in [
        (good.as_str(), "nor in its history"),
        ("0123456789abcdef", "nor in its history"),
    ] {
        let (code, _, err) = accept(&cluster, commit);
        assert_eq!(code, Some(1), "{err}");
        assert!(err.contains(words), "{err}");
    }
    assert_eq!(cluster.status().accepted, "");
    let refusals = cluster.history();
    let newest = &refusals[0].outcome;
    assert!(matches!(newest, Some(history_entry::Outcome::Refused(_))));
}

#[test]
fn a_restored_backup_waits_until_a_commit_is_accepted() {
    let mut cluster = Cluster::started();
    let file = cluster.dir().join("backup.jsonl");
    let file = file.to_str().unwrap().to_owned();
    let old = cluster.status().applied.unwrap().id;
    let taken = cluster.engine_output(&["backup", "--output", &file]);
    assert!(taken.status.success(), "{}", text(&taken.stderr));
    cluster.write("users/nina.yaml", &user("nina", &["viewer"]));
    let head = cluster.apply("Add nina").applied.unwrap().id;

    assert!(cluster.terminate().success());
    let restored = cluster.engine_output(&["restore", "--replace", &file]);
    assert!(restored.status.success(), "{}", text(&restored.stderr));
    cluster.start();
    let status = await_floor(&cluster, &head);
    assert_eq!(status.applied.unwrap().id, old);
    assert!(
        status.floor.starts_with("a backup was restored at "),
        "{}",
        status.floor
    );
    assert!(!names(&cluster).contains(&"nina".to_owned()));
    let shown = text(&cluster.banyan(&["status"]).stdout);
    assert!(
        shown.contains("floor     a backup was restored at "),
        "{shown}"
    );

    let (code, out, err) = accept(&cluster, &head);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(names(&cluster).contains(&"nina".to_owned()));
    assert_eq!(cluster.status().floor, "");
}
