//! The commands that ask the engine and print its answer.

use banyan_api::v1;

use crate::fake::{Engine, Script, at, commit, finding, git, healthy, in_seconds, refused};
use crate::setup::{KEY, Setup};

fn with(script: Script) -> (Setup, Engine) {
    let setup = Setup::new();
    let engine = Engine::start(&setup, script);
    (setup, engine)
}

fn users() -> Script {
    let user = |name: &str, state: &str, origin| v1::User {
        name: name.to_owned(),
        state: state.to_owned(),
        roles: vec!["admin".to_owned(), "viewer".to_owned()],
        origin,
        since: in_seconds(-60),
        created: in_seconds(-200),
        created_by: "carol".to_owned(),
        ..v1::User::default()
    };
    let api = Some(v1::Origin {
        from: "api".to_owned(),
        ..v1::Origin::default()
    });
    let mut bob = user("bob", "disabled", api);
    bob.roles.clear();
    bob.created = None;
    bob.created_by.clear();
    bob.id = "0".repeat(32);
    bob.login = "enrolment open".to_owned();
    bob.disabled = true;
    bob.sessions = 2;
    bob.since = at("2026-01-02T03:04:05Z");
    bob.email = "bob@example.org".to_owned();
    Script {
        users: vec![user("alice", "active", git("users/alice.yaml", 1)), bob],
        ..healthy()
    }
}

/// The lines of a table, cell by cell.
fn cells(text: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| line.split("  ").map(str::trim).map(str::to_owned).collect();
    let rows = text.lines().map(cells);
    rows.map(|row: Vec<String>| row.into_iter().filter(|cell| !cell.is_empty()).collect())
        .collect()
}

#[test]
fn users_are_listed_with_where_they_come_from() {
    let (setup, engine) = with(users());
    let rows = cells(&engine.run(&setup, &["user", "list"]).done());
    let head = [
        "USERNAME",
        "ROLE",
        "CREATED",
        "CREATED BY",
        "STATUS",
        "ORIGIN",
    ];
    assert_eq!(rows[0], head);
    assert_eq!(rows[1][..2], ["alice", "admin, viewer"]);
    assert_eq!(rows[1][2], "3m ago");
    assert_eq!(rows[1][3..], ["carol", "active", "users/alice.yaml:1"]);
    assert_eq!(rows[2], ["bob", "-", "-", "-", "disabled", "api"]);
}

#[test]
fn the_shape_of_users_is_stable_in_json_and_yaml() {
    let (setup, engine) = with(users());
    let json = engine
        .run(&setup, &["user", "list", "--output", "json"])
        .json();
    assert_eq!(json["generation"], 7);
    let bob = serde_json::json!({
        "name": "bob", "email": "bob@example.org", "roles": [], "state": "disabled",
        "origin": {"from": "api", "commit": null, "path": null, "line": null},
        "since": "2026-01-02T03:04:05Z", "expires": null, "id": "0".repeat(32), "created": null,
        "createdBy": null, "login": "enrolment open", "lockReason": null, "sessions": 2,
        "lockedAt": null, "lockedBy": null, "disabled": true,
    });
    assert_eq!(json["users"][1], bob);
    assert_eq!(json["users"][0]["origin"]["line"], 1);
    let yaml = engine.run(&setup, &["user", "list", "-o", "yaml"]).done();
    let yaml: serde_json::Value = serde_saphyr::from_str(&yaml).unwrap();
    assert_eq!(yaml["users"][1], bob);
}

#[test]
fn roles_and_permissions_are_listed() {
    let mut script = healthy();
    script.roles = vec![v1::Role {
        name: "viewer".to_owned(),
        permissions: vec!["logs:read".to_owned(), "status:read".to_owned()],
        origin: Some(v1::Origin::built_in()),
        holders: vec!["alice".to_owned()],
    }];
    let (setup, engine) = with(script);
    assert_eq!(
        engine.run(&setup, &["role", "list"]).done(),
        "NAME    PERMISSIONS             HOLDERS  ORIGIN\n\
         viewer  logs:read, status:read  alice    built-in\n"
    );
    assert_eq!(
        engine.run(&setup, &["role", "permissions"]).done(),
        "PERMISSION   ALLOWS TO\ngitops:sync  request a sync now\n"
    );
    let json = engine.run(&setup, &["role", "list", "-o", "json"]).json();
    assert_eq!(json["roles"][0]["holders"], serde_json::json!(["alice"]));
    let json = engine
        .run(&setup, &["role", "permissions", "-o", "json"])
        .json();
    assert_eq!(json["permissions"][0]["allows"], "request a sync now");
}

fn machines() -> Script {
    let machine = v1::Machine {
        name: "w1".to_owned(),
        r#type: "agent".to_owned(),
        public_key: KEY.to_owned(),
        control_v4: "10.200.3.4".to_owned(),
        control_v6: "fd00::1".to_owned(),
        state: "active".to_owned(),
        origin: git("machines/w1.yaml", 1),
        since: in_seconds(-60),
        peer: Some(v1::Peer {
            endpoint: "192.0.2.1:51820".to_owned(),
            last_handshake: in_seconds(-65),
            received: 2048,
            sent: 3 << 20,
        }),
        routes: vec!["192.168.7.0/24".to_owned()],
        protected: true,
        ..v1::Machine::default()
    };
    let silent = v1::Machine {
        name: "w2".to_owned(),
        control_v4: String::new(),
        peer: None,
        ..machine.clone()
    };
    Script {
        machines: vec![machine, silent],
        ..healthy()
    }
}

#[test]
fn machines_are_listed_with_what_the_device_knows() {
    let (setup, engine) = with(machines());
    let rows = cells(&engine.run(&setup, &["machine", "list"]).done());
    let head = ["NAME", "TYPE", "ADDRESS", "STATUS", "HANDSHAKE", "ORIGIN"];
    assert_eq!(rows[0], head);
    assert_eq!(rows[1][..4], ["w1", "agent", "10.200.3.4", "active"]);
    assert_eq!(rows[1][4..], ["1m ago", "machines/w1.yaml:1"]);
    assert_eq!(rows[2][2..5], ["fd00::1", "active", "-"]);
    let rows = cells(&engine.run(&setup, &["machine", "list", "--wide"]).done());
    assert_eq!(rows[0][3], "IPV6");
    assert_eq!(rows[1][2..5], ["10.200.3.4", "fd00::1", "active"]);
    assert!(rows[1][5].ends_with("Z (1m ago)"), "{rows:?}");
    assert_eq!(rows[1][6..8], ["2.0 KiB", "3.0 MiB"]);
    let json = engine
        .run(&setup, &["machine", "list", "-o", "json"])
        .json();
    assert_eq!(json["machines"][0]["peer"]["received"], 2048);
    assert_eq!(json["machines"][1]["peer"], serde_json::Value::Null);
    assert_eq!(json["machines"][1]["controlV4"], serde_json::Value::Null);
}

#[test]
fn one_machine_is_shown_or_said_to_be_missing() {
    let (setup, engine) = with(machines());
    let text = engine.run(&setup, &["machine", "show", "w1"]).done();
    for line in [
        "machine      w1\n",
        &format!("public key   {KEY}\n"),
        "control IPv6 fd00::1\n",
        "routes       192.168.7.0/24\n",
        "origin       machines/w1.yaml:1 as of commit 0123456789ab\n",
        "status       active\n",
        "protected    yes: a commit that cuts it off is refused\n",
        "seen from    192.0.2.1:51820\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let json = engine
        .run(&setup, &["machine", "show", "w1", "-o", "json"])
        .json();
    assert_eq!(json["type"], "agent");
    let err = engine.run(&setup, &["machine", "show", "w9"]).ended(1);
    assert_eq!(
        err,
        "error: cannot show machine w9\n  because: there is no machine w9\n"
    );
}

#[test]
fn an_object_is_explained() {
    let mut script = healthy();
    script.explanation = v1::Explanation {
        kind: "user".to_owned(),
        name: "alice".to_owned(),
        origin: git("users/alice.yaml", 1),
        generation: 7,
        since: in_seconds(-180),
        state: "active".to_owned(),
        implies: vec!["has logs:read through role viewer".to_owned()],
        ..v1::Explanation::default()
    };
    let (setup, engine) = with(script);
    let text = engine.run(&setup, &["explain", "user", "alice"]).done();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "user alice: active");
    assert_eq!(
        lines[1],
        "  is declared in users/alice.yaml:1 as of commit 0123456789ab"
    );
    assert!(lines[2].starts_with("  last changed 20"), "{text}");
    assert!(lines[2].ends_with("(3m ago), generation 7"), "{text}");
    assert_eq!(lines[3], "  has logs:read through role viewer");
    for kind in ["role", "machine", "Cluster"] {
        engine.run(&setup, &["explain", kind, "x"]).done();
    }
    let asked = engine.asked.lock().unwrap();
    assert_eq!(asked.explain[3], ("cluster".to_owned(), "x".to_owned()));
    setup.run(&["explain", "thing", "x"]).ended(2);
    setup.run(&["explain", "user", "not_a_name"]).ended(2);
}

#[test]
fn a_good_status_says_what_is_in_force_and_since_when() {
    let (setup, engine) = with(healthy());
    let text = engine.run(&setup, &["gitops", "status"]).done();
    let expect = [
        "source    file:///srv/acorn.git, branch main\n",
        "state     the newest commit is in force as generation 7\n",
        "seen      aaaaaaaaaaaa users: add alice (by Test <test@example.org>)\n",
        "verify    off\n",
        "s ago; changes noticed by inotify\n",
    ];
    for line in expect {
        assert!(text.contains(line), "{text}");
    }
    assert!(
        text.contains("generation 7 since ") && text.contains("(3m ago)"),
        "{text}"
    );
    assert!(!text.contains("next"), "{text}");
}

#[test]
fn a_refused_commit_is_shown_with_its_findings_and_the_next_step() {
    let (setup, engine) = with(refused());
    let text = engine.run(&setup, &["gitops", "status"]).done();
    for line in [
        "state     the newest commit is refused; generation 7 stays in force\n",
        "seen      bbbbbbbbbbbb users: add bob",
        "applied   aaaaaaaaaaaa users: add alice",
        "  users/bob.yaml:6:11: error: there is no role nope (declare it)\n",
        "  and 2 more: ",
        "next      push a fix to main; ",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let json = engine
        .run(&setup, &["gitops", "status", "-o", "json"])
        .json();
    assert_eq!(json["state"], "refused");
    assert_eq!(json["totalFindings"], 3);
    assert_eq!(json["findings"][0]["rule"], "dangling-role");
    assert_eq!(json["seen"]["committedAt"], "2026-11-20T08:15:30Z");
    assert_eq!(json["error"], serde_json::Value::Null);
}

#[test]
fn a_failed_pass_says_why_and_what_waits() {
    let mut script = healthy();
    script.gitops.state = "failed".to_owned();
    script.gitops.error = "no branch main".to_owned();
    script.gitops.failures = 4;
    script.gitops.waiting = vec!["the next try, in 8 s".to_owned()];
    let (setup, engine) = with(script);
    let text = engine.run(&setup, &["gitops", "status"]).done();
    assert!(
        text.contains("error     no branch main (4 times in a row)\n"),
        "{text}"
    );
    assert!(text.contains("waiting   the next try, in 8 s\n"), "{text}");
}

#[test]
fn the_history_tells_what_became_of_each_commit() {
    use v1::history_entry::Outcome;
    let entry = |id, outcome| v1::HistoryEntry {
        at: in_seconds(-60),
        commit: Some(commit(id, "x")),
        took_ms: 12,
        outcome: Some(outcome),
    };
    let counts = Some(v1::Counts {
        added: 1,
        changed: 2,
        removed: 3,
    });
    let applied = v1::Applied {
        generation: 7,
        counts,
    };
    let refused = v1::Refused {
        findings: vec![finding()],
        total_findings: 3,
    };
    let mut script = healthy();
    script.history = vec![
        entry('b', Outcome::Refused(refused)),
        entry('a', Outcome::Applied(applied)),
    ];
    let (setup, engine) = with(script);
    let rows = cells(
        &engine
            .run(&setup, &["gitops", "history", "--limit", "5"])
            .done(),
    );
    assert_eq!(
        rows[0],
        ["GENERATION", "WHEN", "COMMIT", "AUTHOR", "OUTCOME"]
    );
    assert_eq!(rows[1][..4], ["-", "1m ago", "bbbbbbbbbbbb", "Test"]);
    assert!(rows[1][4].starts_with("refused: users/bob.yaml:6:11: error: there is no role nope"));
    assert!(rows[1][4].ends_with("(and 2 more)"), "{rows:?}");
    assert_eq!(
        (rows[2][0].as_str(), rows[2][4].as_str()),
        ("7", "applied +1 ~2 -3")
    );
    assert_eq!(engine.asked.lock().unwrap().limits, [5]);
    let json = engine
        .run(&setup, &["gitops", "history", "-o", "json"])
        .json();
    assert_eq!(json["entries"][0]["outcome"], "refused");
    assert_eq!(json["entries"][0]["generation"], serde_json::Value::Null);
    assert_eq!(
        json["entries"][1]["counts"],
        serde_json::json!({"added": 1, "changed": 2, "removed": 3})
    );
    assert_eq!(json["entries"][1]["tookMs"], 12);
    setup.run(&["gitops", "history", "--limit", "0"]).ended(2);
}

#[test]
fn a_sync_that_waits_ends_with_one_if_the_commit_is_refused() {
    let (setup, engine) = with(refused());
    let run = engine.run(&setup, &["gitops", "sync"]);
    assert_eq!(run.code, 0);
    assert!(run.err.contains("`--wait`"), "{}", run.err);
    let run = engine.run(&setup, &["gitops", "sync", "--wait"]);
    assert_eq!((run.code, run.err.as_str()), (1, ""));
    assert!(run.out.contains("is refused"), "{}", run.out);
    assert_eq!(engine.asked.lock().unwrap().waited, [false, true]);
    let (setup, engine) = with(healthy());
    engine.run(&setup, &["gitops", "sync", "--wait"]).done();
}

#[test]
fn the_status_tells_of_engine_and_repo_in_a_few_lines() {
    let mut script = refused();
    script.engine.warnings = vec!["commits are not verified".to_owned()];
    script.engine.audit = Some(v1::AuditHead {
        engine: "north".to_owned(),
        number: 12,
        hash: "f".repeat(64),
    });
    let (setup, engine) = with(script);
    assert_eq!(
        engine.run(&setup, &["status"]).done(),
        "engine    0.1.0, embedded store, started 2h ago\n\
         cluster   acorn: users 2, roles 1, machines 3\n\
         tunnel    userspace, wg-control on port 51821, 2 of 3 peers heard from\n\
         repo      the newest commit is refused; generation 7 stays in force\n\
         next      push a fix to main; `banyan validate` and `banyan plan` check it first\n\
         warning   commits are not verified\n"
    );
    let json = engine.run(&setup, &["status", "-o", "json"]).json();
    assert_eq!(json["engine"]["livePeers"], 2);
    let head = serde_json::json!({"engine": "north", "number": 12, "hash": "f".repeat(64)});
    assert_eq!(json["engine"]["audit"], head);
    assert_eq!(json["gitops"]["state"], "refused");
}
