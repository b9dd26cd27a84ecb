//! Names that are typed with capitals.

use crate::fake::{Engine, Remote, healthy};
use crate::setup::{KEY, Setup};

#[test]
fn a_name_typed_with_capitals_is_the_same_name_to_every_command() {
    let setup = Setup::new();
    let engine = Engine::start(&setup, healthy());
    for (args, expected) in [
        (&["user", "show", "BOB"][..], "show bob"),
        (
            &["user", "set-role", "Bob", "Viewer"],
            r#"roles bob ["viewer"]"#,
        ),
        (&["user", "disable", "Bob"], "disable bob"),
        (&["user", "enable", "Bob"], "enable bob"),
        (&["user", "lock", "Bob"], r#"lock bob """#),
        (&["user", "unlock", "Bob"], "unlock bob"),
        (&["user", "enroll", "Bob"], "enroll bob"),
        (&["user", "remove", "Bob", "--yes"], "remove bob"),
        (
            &["user", "add", "Bob", "--role", "Viewer", "--enroll"],
            r#"add bob ["viewer"] "" None """#,
        ),
        (
            &["session", "list", "--user", "Bob"],
            r#"sessions "bob" false false"#,
        ),
        (
            &["session", "revoke", "--user", "Bob"],
            r#"revoke "" "bob""#,
        ),
        (&["audit", "--user", "Bob"], r#"audit 50 "" "bob" "" false"#),
    ] {
        let run = engine.run(&setup, args);
        assert_eq!(run.code, 0, "{args:?}: {}", run.err);
        let asked = std::mem::take(&mut engine.asked.lock().unwrap().people);
        assert_eq!(asked, [expected]);
    }
    engine.run(&setup, &["explain", "user", "ADM"]).done();
    assert_eq!(engine.asked.lock().unwrap().explain[0].1, "adm");
    let err = engine.run(&setup, &["machine", "show", "Web-1"]).ended(1);
    assert!(err.contains("there is no machine web-1"), "{err}");
}

#[test]
fn a_login_with_capitals_finds_the_user() {
    let setup = Setup::new();
    let remote = Remote::start(&setup, healthy());
    let login = ["login", "--username", "ADM", "--password-stdin"];
    let run = remote.run_with(&setup, &login, "Correct Horse\n");
    assert_eq!(run.code, 0, "{}", run.err);
    // A password is taken as it is.
    let asked = &remote.asked.lock().unwrap().people;
    assert_eq!(asked[0], "login adm Correct Horse");
}

#[test]
fn new_documents_get_lower_case_names() {
    let setup = Setup::with_repo();
    let add = [
        "repo", "add-user", "Alice", "--role", "Viewer", "--repo", "acorn",
    ];
    setup.run(&add).done();
    let user = setup.read("acorn/users/alice.yaml");
    assert!(
        user.contains("name: alice\n") && user.contains("viewer"),
        "{user}"
    );
    let add = [
        "repo",
        "add-machine",
        "Web-1",
        "--public-key",
        KEY,
        "--repo",
        "acorn",
    ];
    setup.run(&add).done();
    assert!(
        setup
            .read("acorn/machines/web-1.yaml")
            .contains("name: web-1\n")
    );
    setup.run(&["validate", "acorn"]).done();
}
