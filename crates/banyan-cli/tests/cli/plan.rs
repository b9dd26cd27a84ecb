//! `banyan plan`, with an engine and without.

use banyan_api::v1;

use crate::fake::{Engine, finding, healthy};
use crate::setup::{KEY, OTHER_KEY, Setup};

/// A repo with two commits: alice is there only in the first, and a machine moves.
fn two_commits() -> Setup {
    let setup = Setup::with_repo();
    setup
        .run(&["repo", "add-user", "alice", "--repo", "acorn"])
        .done();
    let machine = [
        "repo",
        "add-machine",
        "w1",
        "--repo",
        "acorn",
        "--public-key",
        KEY,
    ];
    setup
        .run(&[&machine[..], &["--endpoint", "192.0.2.1:51820"]].concat())
        .done();
    setup.commit("acorn", "one");
    setup.git("acorn", &["rm", "--quiet", "users/alice.yaml"]);
    let text = setup
        .read("acorn/machines/w1.yaml")
        .replace("192.0.2.1", "192.0.2.2");
    setup.write("acorn/machines/w1.yaml", &text);
    setup.commit("acorn", "two");
    setup
}

fn between(setup: &Setup, from: &str, to: &str, more: &[&str]) -> crate::setup::Run {
    let args = ["plan", "--repo", "acorn", "--from", from, "--to", to];
    setup.run(&[&args, more].concat())
}

#[test]
fn the_plan_between_two_revisions_is_told_without_an_engine() {
    let setup = two_commits();
    let identity = setup.identity();
    let identity = ["--identity", identity.to_str().unwrap()];
    let run = between(&setup, "HEAD~1", "HEAD", &identity);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    assert_eq!(
        run.out,
        "- user alice (users/alice.yaml:1)\n\
         ~ machine w1: endpoint: 192.0.2.1:51820 → 192.0.2.2:51820\n\
         \n\
         Effect:\n\
         \x20 user alice loses containers:read, deployments:read, logs:read, password:change, status:read\n\
         \n\
         Plan: 0 to add, 1 to change, 1 to remove.\n"
    );
    let same = between(&setup, "HEAD", "main", &identity);
    assert_eq!(same.done(), "Nothing changes.\n");
}

#[test]
fn the_detailed_exit_code_tells_changes_from_none() {
    let setup = two_commits();
    let code = |from, to| between(&setup, from, to, &["--detailed-exitcode"]).code;
    assert_eq!(code("HEAD~1", "HEAD"), 10);
    assert_eq!(code("HEAD", "HEAD"), 0);
    assert_eq!(code("HEAD", "nope"), 1);
}

#[test]
fn closed_values_are_counted_and_one_that_is_sealed_anew_shows_as_replaced() {
    let setup = two_commits();
    setup.git("acorn", &["rm", "--quiet", "machines/w1.yaml"]);
    let machine = [
        "repo",
        "add-machine",
        "w1",
        "--repo",
        "acorn",
        "--public-key",
        OTHER_KEY,
    ];
    setup.run(&machine).done();
    setup.commit("acorn", "three");
    let run = between(&setup, "HEAD~1", "HEAD", &[]);
    assert!(
        run.err.starts_with("note: 1 sealed value was not opened"),
        "{}",
        run.err
    );
    assert!(run.out.contains("publicKey: replaced"), "{}", run.out);
    assert!(!run.out.contains(OTHER_KEY) && !run.err.contains(OTHER_KEY));
}

#[test]
fn errors_in_the_new_revision_are_shown_with_their_line() {
    let setup = two_commits();
    let text = setup
        .read("acorn/users/admin.yaml")
        .replace("[admin]", "[nope]");
    setup.write("acorn/users/admin.yaml", &text);
    let id = setup.commit("acorn", "broken");
    // The work tree is not what counts.
    setup.write("acorn/users/admin.yaml", "gone: wrong");
    let run = between(&setup, "HEAD~1", "HEAD", &[]);
    assert_eq!((run.code, run.out.as_str()), (1, ""));
    assert!(
        run.err
            .contains("error[dangling-role]: there is no role nope"),
        "{}",
        run.err
    );
    assert!(run.err.contains("|   roles: [nope]\n"), "{}", run.err);
    let refused = format!("Revision HEAD ({}) is refused.\n", &id[..12]);
    assert!(run.err.ends_with(&refused), "{}", run.err);
}

#[test]
fn guards_that_the_repo_declares_hold_between_revisions_too() {
    let setup = two_commits();
    let range = setup
        .read("acorn/cluster.yaml")
        .replace("10.200.0.0/16", "10.210.0.0/16");
    setup.write("acorn/cluster.yaml", &range);
    setup.commit("acorn", "another range");
    let run = between(&setup, "HEAD~1", "HEAD", &[]);
    assert_eq!(run.code, 1);
    assert!(
        run.err.contains("controlRange") || run.err.contains("range"),
        "{}",
        run.err
    );
}

#[test]
fn a_repo_in_a_sub_directory_is_planned_there() {
    let setup = Setup::new();
    setup
        .run(&["repo", "init", "git/clusters/acorn", "--name", "acorn"])
        .done();
    std::fs::remove_dir_all(setup.path("git/clusters/acorn/.git")).unwrap();
    setup.git("git", &["init", "--quiet", "-b", "main"]);
    setup.commit("git", "one");
    let repo = "git/clusters/acorn";
    setup
        .run(&["repo", "add-user", "alice", "--repo", repo])
        .done();
    setup.commit("git", "two");
    let args = [
        "plan",
        "--repo",
        "git",
        "--subdir",
        "clusters/acorn",
        "--from",
        "HEAD~1",
        "--to",
        "HEAD",
    ];
    let out = setup.run(&args).done();
    assert!(out.starts_with("+ user alice: viewer\n"), "{out}");
}

fn answer(text: &str) -> v1::PlanResponse {
    v1::PlanResponse {
        generation: 7,
        changes: vec![v1::Change::default()],
        text: text.to_owned(),
        ..v1::PlanResponse::default()
    }
}

#[test]
fn a_folder_goes_up_to_the_engine_as_the_loader_would_read_it() {
    let setup = Setup::with_repo();
    setup.write("acorn/.banyanignore", "charts/\n");
    setup.write("acorn/charts/huge.yaml", &"# x\n".repeat(400_000));
    setup.write("acorn/notes.txt", "no document");
    let mut script = healthy();
    script.plan = answer("+ user alice: viewer\n");
    let engine = Engine::start(&setup, script);
    let run = engine.run(&setup, &["plan", "acorn", "--detailed-exitcode"]);
    assert_eq!(
        (run.code, run.out.as_str()),
        (10, "+ user alice: viewer\n"),
        "{}",
        run.err
    );
    let asked = engine.asked.lock().unwrap();
    let paths: Vec<&str> = asked.files.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, [".banyanignore", "cluster.yaml", "users/admin.yaml"]);
    assert_eq!(asked.files[1].1, setup.read("acorn/cluster.yaml"));
}

#[test]
fn a_revision_goes_up_from_git_objects_and_a_folder_of_its_name_wins() {
    let setup = two_commits();
    let mut script = healthy();
    script.plan = answer("- user alice\n");
    let engine = Engine::start(&setup, script);
    setup.write("acorn/users/admin.yaml", "the work tree: does not count");
    let plan = |target: &str| {
        engine
            .run(&setup, &["plan", target, "--repo", "acorn"])
            .done()
    };
    plan("HEAD~1");
    let paths = || -> Vec<String> {
        let mut asked = engine.asked.lock().unwrap();
        asked.files.drain(..).map(|(path, _)| path).collect()
    };
    let files = paths();
    assert!(files.contains(&"users/alice.yaml".to_owned()), "{files:?}");
    setup.write("main/cluster.yaml", "a: folder");
    plan("main");
    assert_eq!(paths(), ["cluster.yaml"]);
    let err = engine
        .run(&setup, &["plan", "nope", "--repo", "acorn"])
        .ended(1);
    assert!(
        err.contains("there is no such folder") && err.contains("names no commit"),
        "{err}"
    );
}

#[test]
fn a_large_tree_goes_up_in_pieces_under_one_mebibyte() {
    let setup = Setup::with_repo();
    for index in 0..5 {
        setup.write(
            &format!("acorn/large{index}.yaml"),
            &"# x\n".repeat(100_000),
        );
    }
    let engine = Engine::start(&setup, healthy());
    engine.run(&setup, &["plan", "acorn"]).done();
    let asked = engine.asked.lock().unwrap();
    assert!(asked.messages.len() > 3, "{:?}", asked.messages);
    assert!(
        asked.messages.iter().all(|size| *size < 1 << 20),
        "{:?}",
        asked.messages
    );
    assert!(asked.messages.iter().sum::<usize>() > 2_000_000);
}

#[test]
fn what_is_too_large_for_the_engine_is_not_sent() {
    let setup = Setup::with_repo();
    setup.write("acorn/large.yaml", &"# x\n".repeat(300_000));
    let err = setup.run(&["plan", "acorn"]).ended(1);
    assert!(
        err.contains("large.yaml has more than 1048576 bytes"),
        "{err}"
    );
}

#[test]
fn a_refused_plan_shows_findings_with_the_source_line() {
    let setup = Setup::with_repo();
    setup.write(
        "acorn/users/bob.yaml",
        "apiVersion: banyan/v1\nkind: User\nmetadata:\n  name: bob\nspec:\n  roles: [nope]\n",
    );
    let mut script = healthy();
    script.plan = v1::PlanResponse {
        refused: true,
        findings: vec![finding()],
        ..v1::PlanResponse::default()
    };
    let engine = Engine::start(&setup, script);
    let run = engine.run(&setup, &["plan", "acorn", "--detailed-exitcode"]);
    assert_eq!((run.code, run.out.as_str()), (1, ""));
    assert!(
        run.err.contains(" --> users/bob.yaml:6:11\n"),
        "{}",
        run.err
    );
    assert!(run.err.contains("6 |   roles: [nope]\n"), "{}", run.err);
    assert!(
        run.err
            .ends_with("A commit of this tree would be refused.\n"),
        "{}",
        run.err
    );
}

#[test]
fn options_that_contradict_each_other_are_wrong_usage() {
    let setup = Setup::new();
    for args in [
        &["plan", "--from", "a"][..],
        &["plan", "--to", "a"],
        &["plan", "x", "--from", "a", "--to", "b"],
        &["plan", "--identity", "f"],
    ] {
        setup.run(args).ended(2);
    }
}
