//! Valid pushes: their content comes into force soon, atomically and once, and can be explained.

use std::time::{Duration, Instant};

use banyan_api::v1::{Machine, Origin, history_entry};
use banyan_testkit::netns::until;
use serde_json::Value;

use crate::harness::{Cluster, Options, PATIENCE, user};

/// The limit until a push is in force, with room for a loaded machine. The poll interval is an hour.
const SOON: Duration = Duration::from_secs(5);

const ROLE: &str = "apiVersion: banyan/v1\nkind: Role\nmetadata:\n  name: on-call\nspec:\n  permissions: [\"machines:read\"]\n";

fn origin(commit: &str, path: &str, line: u32) -> Option<Origin> {
    Some(Origin {
        from: "git".to_owned(),
        commit: commit.to_owned(),
        path: path.to_owned(),
        line,
    })
}

#[track_caller]
fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_repo_in_the_sha_256_format_is_followed_like_any_other() {
    let mut cluster = Cluster::started_with(Options {
        object_format: "sha256",
        ..Options::default()
    });
    cluster.write("people/nina.yaml", &user("nina", &["deployer"]));
    let plan = cluster.banyan_ok(&["plan"]);
    assert!(plan.contains("+ user nina: deployer"), "{plan}");
    let status = cluster.apply("Add nina");
    let commit = status.applied.unwrap().id;
    assert_eq!(commit.len(), 64);
    let nina = cluster.users().into_iter().find(|u| u.name == "nina");
    assert_eq!(nina.unwrap().origin, origin(&commit, "people/nina.yaml", 1));
    assert!(cluster.terminate().success());
    cluster.start();
    assert_eq!(cluster.status().state, "in-force");
    cluster.remove("people/nina.yaml");
    cluster.apply("Remove nina");
    assert!(cluster.users().iter().all(|user| user.name != "nina"));
    let plan = cluster.banyan_ok(&["plan", "HEAD~1"]);
    assert!(plan.contains("+ user nina"), "{plan}");
    let history = cluster.banyan_ok(&["gitops", "history"]);
    assert!(history.contains(&commit[..12]), "{history}");
}

#[test]
fn a_pushed_user_role_and_machine_are_in_force_soon_without_a_request() {
    let mut cluster = Cluster::started();
    let people = format!("{}---\n{ROLE}", user("nina", &["deployer", "on-call"]));
    cluster.write("people/nina.yaml", &people);
    let machine = cluster.new_machine("web-2");
    cluster.write("machines/web-2.yaml", &machine);
    let commit = cluster.push("Add nina and her machine");
    let pushed = Instant::now();
    let status = cluster.await_decision(&commit);
    let took = pushed.elapsed();
    assert!(took < SOON, "it took {took:?}");
    assert_eq!((status.state.as_str(), status.generation), ("in-force", 2));

    let nina = cluster.users().into_iter().find(|u| u.name == "nina");
    let nina = nina.unwrap();
    assert_eq!(nina.roles, ["deployer", "on-call"]);
    assert_eq!(nina.state, "active");
    assert_eq!(nina.origin, origin(&commit, "people/nina.yaml", 1));
    let role = cluster.roles().into_iter().find(|r| r.name == "on-call");
    let role = role.unwrap();
    assert_eq!(
        (&*role.permissions, &*role.holders),
        (&["machines:read".to_owned()][..], &["nina".to_owned()][..])
    );
    let line = u32::try_from(people.lines().position(|l| l == "---").unwrap()).unwrap() + 2;
    assert_eq!(role.origin, origin(&commit, "people/nina.yaml", line));
    let web = cluster.machines().into_iter().find(|m| m.name == "web-2");
    let web = web.unwrap();
    assert_eq!(
        web.public_key,
        cluster.machine_key("web-2").public_key().to_string()
    );
    assert_eq!(web.origin, origin(&commit, "machines/web-2.yaml", 1));
    assert!(web.control_v4.starts_with("10.200."), "{web:?}");

    history_and_explain_tell_commit_file_and_time(&cluster, &commit);
}

fn history_and_explain_tell_commit_file_and_time(cluster: &Cluster, commit: &str) {
    let newest = &cluster.history()[0];
    assert_eq!(newest.commit.as_ref().unwrap().id, commit);
    assert_eq!(
        newest.commit.as_ref().unwrap().author,
        "Test <test@example.org>"
    );
    let Some(history_entry::Outcome::Applied(applied)) = &newest.outcome else {
        panic!("{newest:?}");
    };
    let counts = applied.counts.unwrap();
    assert_eq!(
        (
            applied.generation,
            counts.added,
            counts.changed,
            counts.removed
        ),
        (2, 3, 0, 0)
    );

    let told = json(&cluster.banyan_ok(&["explain", "machine", "web-2", "--output", "json"]));
    assert_eq!(told["origin"]["commit"], commit);
    assert_eq!(told["origin"]["path"], "machines/web-2.yaml");
    assert_eq!(
        (&told["origin"]["line"], &told["generation"]),
        (&1.into(), &2.into())
    );
    assert!(
        told["since"]
            .as_str()
            .is_some_and(|at| at.starts_with("20")),
        "{told}"
    );
    let told = cluster.banyan_ok(&["explain", "user", "nina"]);
    let short = &commit[..12];
    for part in [
        short,
        "people/nina.yaml:1",
        "has machines:read through role on-call",
    ] {
        assert!(told.contains(part), "no {part} in\n{told}");
    }
    let users = json(&cluster.banyan_ok(&["user", "list", "--output", "json"]));
    let names: Vec<_> = users["users"]
        .as_array()
        .unwrap()
        .iter()
        .map(|u| &u["name"])
        .collect();
    assert_eq!(names, ["alice", "bob", "nina", "victor"]);
    assert!(cluster.banyan_ok(&["machine", "list"]).contains("web-2"));
    assert!(cluster.banyan_ok(&["gitops", "history"]).contains(short));
}

#[test]
fn a_burst_of_pushes_ends_at_the_newest_and_never_goes_back() {
    let cluster = Cluster::started();
    let mut commits = Vec::new();
    for number in 0..8 {
        cluster.write(
            &format!("users/u{number}.yaml"),
            &user(&format!("u{number}"), &["viewer"]),
        );
        commits.push(cluster.push("One more"));
    }
    cluster.await_decision(commits.last().unwrap());
    assert_eq!(cluster.users().len(), 3 + 8);
    let seen: Vec<_> = cluster
        .history()
        .into_iter()
        .filter_map(|e| Some(e.commit?.id))
        .collect();
    let order: Vec<_> = seen
        .iter()
        .filter_map(|id| commits.iter().position(|c| c == id))
        .collect();
    assert!(
        order.is_sorted_by(|newer, older| newer > older),
        "{order:?}"
    );
    // The state after the burst is the one a plan of the newest tree gives.
    assert!(cluster.banyan_ok(&["plan"]).contains("Nothing changes."));
}

#[test]
fn where_a_document_stands_changes_its_origin_and_nothing_else() {
    let cluster = Cluster::started();
    let before = cluster.machines();
    // One file becomes three others, in another order, and one of them has two documents.
    for machine in ["m1", "m2", "m3"] {
        cluster.remove(&format!("machines/{machine}.yaml"));
    }
    let of = |name: &str| {
        let shown = cluster
            .repo
            .git(["show", &format!("HEAD:machines/{name}.yaml")]);
        format!("{}\n", shown.unwrap())
    };
    cluster.write("z/last.yaml", &format!("{}---\n{}", of("m2"), of("m1")));
    cluster.write("a.yml", &of("m3"));
    let status = cluster.apply("Tidy up");
    let after = cluster.machines();
    let place = |m: &Machine| {
        let origin = m.origin.clone().unwrap();
        (origin.path, origin.commit)
    };
    let commit = status.applied.unwrap().id;
    let wanted = [
        ("z/last.yaml", &commit),
        ("z/last.yaml", &commit),
        ("a.yml", &commit),
    ];
    let wanted = wanted.map(|(path, commit)| (path.to_owned(), commit.clone()));
    assert_eq!(after.iter().map(place).collect::<Vec<_>>(), wanted);
    let bare = |m: &Machine| Machine {
        origin: None,
        since: None,
        ..m.clone()
    };
    let bare = |list: &[Machine]| list.iter().map(bare).collect::<Vec<_>>();
    assert_eq!(bare(&before), bare(&after));
    assert!(cluster.banyan_ok(&["plan"]).contains("Nothing changes."));
}

#[test]
fn an_unchanged_head_does_nothing_and_a_commit_without_documents_changes_nothing() {
    let cluster = Cluster::started();
    let (picture, history) = (cluster.picture(), cluster.history());
    let written = cluster.store_mark();
    for _ in 0..5 {
        let status = cluster.sync_wait();
        assert_eq!((status.state.as_str(), status.generation), ("in-force", 1));
    }
    assert_eq!(cluster.history(), history);
    assert_eq!(
        cluster.store_mark(),
        written,
        "a pass that has nothing to do wrote to the store"
    );

    cluster.write("README.md", "# Our cluster\n");
    let status = cluster.apply("Say what this is");
    assert_eq!(cluster.picture(), picture);
    let newest = &cluster.history()[0];
    let Some(history_entry::Outcome::Applied(applied)) = &newest.outcome else {
        panic!("{newest:?}");
    };
    assert_eq!(applied.generation, status.generation);
    let counts = applied.counts.unwrap();
    assert_eq!(counts.added + counts.changed + counts.removed, 0);
}

#[test]
fn a_plan_shows_what_the_push_then_does_and_is_empty_afterwards() {
    let cluster = Cluster::started();
    let plan = |args: &[&str]| {
        let output = cluster.banyan(&[&["plan", "--detailed-exitcode"], args].concat());
        (output.status.code(), crate::harness::text(&output.stdout))
    };
    assert_eq!(plan(&[]), (Some(0), "Nothing changes.\n".to_owned()));
    cluster.write("users/victor.yaml", &user("victor", &["deployer"]));
    cluster.remove("machines/m2.yaml");
    cluster.write("cluster.yaml", &cluster.cluster_document());
    let (code, text) = plan(&["."]);
    assert_eq!(code, Some(10), "{text}");
    for line in [
        "~ user victor: ",
        "- machine m2 (machines/m2.yaml:1)",
        "peer m2 is cut off",
        "0 to add, 1 to change, 1 to remove",
    ] {
        assert!(text.contains(line), "no {line:?} in\n{text}");
    }
    // The plan already shows what would be refused.
    cluster.remove("machines");
    let refused = cluster.banyan(&["plan"]);
    assert_eq!(refused.status.code(), Some(1));
}

#[test]
fn a_restart_keeps_everything_and_applies_nothing_again() {
    let mut cluster = Cluster::started();
    cluster.write("users/nina.yaml", &user("nina", &["viewer"]));
    cluster.apply("Add nina");
    let before = (cluster.picture(), cluster.history());
    let ended = cluster.terminate();
    assert_eq!(ended.code(), Some(0), "{ended}");
    assert!(!cluster.socket().exists(), "the socket is left behind");
    cluster.start();
    assert_eq!(cluster.status().generation, 2);
    assert_eq!((cluster.picture(), cluster.history()), before);

    // A push while the engine is down is found when it is back, also after a kill.
    cluster.kill9();
    cluster.write("users/otto.yaml", &user("otto", &["viewer"]));
    let commit = cluster.push("Add otto");
    cluster.start();
    cluster.await_decision(&commit);
    assert!(cluster.picture().contains("otto"));
    assert_eq!(cluster.history().len(), 3);
}

#[test]
fn expired_objects_lose_their_effect_without_a_push() {
    let mut cluster = Cluster::started();
    let machine = cluster.new_machine("guest");
    let expires = |text: &str, at: &str| format!("{text}  expires: {at}\n");
    // The engine's clock is this machine's; whole seconds, at least two ahead.
    let at = in_seconds(4);
    cluster.write("machines/guest.yaml", &expires(&machine, &at));
    cluster.write(
        "users/guest.yaml",
        &expires(&user("guest", &["viewer"]), &at),
    );
    let generation = cluster.apply("Let a guest in").generation;
    let states = || {
        let user = cluster
            .users()
            .into_iter()
            .find(|u| u.name == "guest")
            .unwrap();
        let machine = cluster
            .machines()
            .into_iter()
            .find(|m| m.name == "guest")
            .unwrap();
        assert!(user.expires.is_some() && user.expires == machine.expires);
        [user.state, machine.state]
    };
    assert_eq!(states(), ["active", "active"]);
    let gone = until(PATIENCE, || {
        let states = states();
        anyhow::ensure!(states == ["expired", "expired"], "{states:?}");
        Ok(())
    });
    gone.unwrap();
    assert_eq!(cluster.status().generation, generation);
}

/// The instant this many seconds from now, according to `date`.
pub(crate) fn in_seconds(seconds: u32) -> String {
    let output = std::process::Command::new("date")
        .args([
            "--utc",
            "--date",
            &format!("{seconds} seconds"),
            "+%Y-%m-%dT%H:%M:%SZ",
        ])
        .output();
    crate::harness::text(&output.unwrap().stdout)
        .trim()
        .to_owned()
}

#[test]
fn a_cluster_repo_in_a_folder_of_a_larger_one_is_read_from_there() {
    let cluster = Cluster::started_with(Options {
        subdir: Some("infra/cluster"),
        ..Options::default()
    });
    assert_eq!(cluster.users().len(), 3);
    // The engine ignores everything outside of the directory.
    cluster
        .repo
        .write("elsewhere/broken.yaml", "kind: [")
        .unwrap();
    cluster.write("users/nina.yaml", &user("nina", &["viewer"]));
    let commit = cluster
        .apply("Add nina, and something else")
        .applied
        .unwrap()
        .id;
    let nina = cluster.users().into_iter().find(|u| u.name == "nina");
    assert_eq!(nina.unwrap().origin, origin(&commit, "users/nina.yaml", 1));
}
