//! `banyan validate` and `banyan schema`.

use crate::setup::{KEY, Setup};

/// A repo with a dangling role.
fn broken() -> Setup {
    let setup = Setup::with_repo();
    setup.write(
        "acorn/users/bob.yaml",
        "apiVersion: banyan/v1\nkind: User\nmetadata:\n  name: bob\nspec:\n  roles: [viewr]\n",
    );
    setup
}

#[test]
fn an_error_is_shown_with_its_line_and_ends_with_one() {
    let setup = broken();
    let run = setup.run(&["validate", "acorn"]);
    assert_eq!((run.code, run.err.as_str()), (1, ""));
    assert!(
        run.out
            .starts_with("error[dangling-role]: there is no role viewr\n"),
        "{}",
        run.out
    );
    assert!(
        run.out.contains(" --> users/bob.yaml:6:11\n"),
        "{}",
        run.out
    );
    assert!(
        run.out
            .contains("6 |   roles: [viewr]\n  |           ^^^^^\n"),
        "{}",
        run.out
    );
    assert!(
        run.out
            .ends_with("3 files, 3 documents: 1 error, 0 warnings\n"),
        "{}",
        run.out
    );
}

#[test]
fn warnings_do_not_stop() {
    let setup = Setup::with_repo();
    setup.write(
        "acorn/r.yaml",
        "apiVersion: banyan/v1\nkind: Role\nmetadata: {name: lonely}\nspec: {permissions: [\"a:b\"]}\n",
    );
    let out = setup.run(&["validate", "acorn"]).done();
    assert!(out.contains("0 errors, 1 warning"), "{out}");
}

#[test]
fn the_shapes_for_tools_name_the_file_from_the_working_directory() {
    let setup = broken();
    let of = |output| {
        let run = setup.run(&["validate", "./acorn", "--output", output]);
        assert_eq!((run.code, run.err.as_str()), (1, ""));
        run.out
    };
    assert!(of("github").starts_with("::error file=acorn/users/bob.yaml,line=6,col=11,"));
    let sarif: serde_json::Value = serde_json::from_str(&of("sarif")).unwrap();
    let uri = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(uri["artifactLocation"]["uri"], "acorn/users/bob.yaml");
    let json: serde_json::Value = serde_json::from_str(&of("json")).unwrap();
    assert_eq!(json["findings"][0]["path"], "users/bob.yaml");
    assert_eq!(json["summary"]["errors"], 1);
}

#[test]
fn sealed_values_are_not_checked_without_an_identity_and_can_be_required_to_be() {
    let setup = Setup::with_repo();
    let add = [
        "repo",
        "add-machine",
        "w1",
        "--repo",
        "acorn",
        "--public-key",
        KEY,
    ];
    setup.run(&add).done();
    let out = setup.run(&["validate", "acorn"]).done();
    assert!(out.contains("1 sealed value not checked"), "{out}");
    let run = setup.run(&["validate", "acorn", "--require-unseal"]);
    assert_eq!(run.code, 1);
    assert!(
        run.out
            .starts_with("error[not-opened]: 1 sealed value was not opened\n"),
        "{}",
        run.out
    );
    setup.write(
        "stranger.txt",
        "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX\n",
    );
    let run = setup.run(&["validate", "acorn", "--identity", "stranger.txt"]);
    assert_eq!(run.code, 1, "{}{}", run.out, run.err);
}

#[test]
fn an_identity_file_that_is_none_is_refused_and_not_repeated() {
    let setup = Setup::with_repo();
    setup.write("id.txt", "# mine\nhunter2\n");
    let err = setup
        .run(&["validate", "acorn", "--identity", "id.txt"])
        .ended(1);
    assert!(err.contains("cannot use the identity file id.txt"), "{err}");
    assert!(err.contains("line 2"), "{err}");
    assert!(!err.contains("hunter2"), "{err}");
    let err = setup
        .run(&["validate", "acorn", "--identity", "gone"])
        .ended(1);
    assert!(err.contains("cannot read the identity file gone"), "{err}");
}

#[test]
fn a_folder_without_documents_is_refused_with_what_to_do() {
    let setup = Setup::new();
    setup.write("empty/.hidden/a.yaml", "a: b");
    let err = setup.run(&["validate", "empty"]).ended(1);
    assert!(err.contains("there is no document in empty"), "{err}");
    assert!(err.contains("banyan repo init"), "{err}");
    let err = setup.run(&["validate", "gone"]).ended(1);
    assert!(err.starts_with("error: cannot list gone\n"), "{err}");
}

#[test]
fn what_git_would_not_hold_as_a_file_is_not_read_and_said() {
    let setup = Setup::with_repo();
    std::os::unix::fs::symlink("admin.yaml", setup.path("acorn/users/link.yaml")).unwrap();
    setup.write("acorn/.git/x.yaml", "not: read");
    let run = setup.run(&["validate", "acorn"]);
    assert_eq!(run.code, 0, "{}", run.out);
    assert!(
        run.err.contains("users/link.yaml is skipped"),
        "{}",
        run.err
    );
}

#[test]
fn a_file_that_is_too_large_is_a_finding() {
    let setup = Setup::with_repo();
    setup.write("acorn/large.yaml", &"# x\n".repeat(300_000));
    let run = setup.run(&["validate", "acorn"]);
    assert_eq!(run.code, 1);
    assert!(run.out.contains("large.yaml"), "{}", run.out);
}

#[test]
fn a_schema_is_printed_for_each_kind_and_for_all() {
    let setup = Setup::new();
    for kind in ["cluster", "Role", "user", "machine"] {
        let schema = setup.run(&["schema", kind]).json();
        assert!(
            schema["title"].as_str().unwrap().starts_with("Banyan "),
            "{kind}"
        );
    }
    assert!(setup.run(&["schema"]).json()["oneOf"].is_array());
    setup.run(&["schema", "deployment"]).ended(2);
}

#[test]
fn the_example_repo_has_no_finding() {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    let (repo, identity) = (
        format!("{examples}/cluster-repo"),
        format!("{examples}/demo-identity.txt"),
    );
    let out = Setup::new()
        .run(&[
            "validate",
            &repo,
            "--require-unseal",
            "--identity",
            &identity,
        ])
        .done();
    assert!(out.ends_with(" 0 errors, 0 warnings\n"), "{out}");
}
