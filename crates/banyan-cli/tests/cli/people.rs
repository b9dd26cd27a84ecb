//! Users, sessions and signing keys.

use banyan_api::v1;
use serde_json::json;

use crate::fake::{Engine, Remote, Script, at, healthy};
use crate::setup::Setup;

fn with(script: Script) -> (Setup, Engine) {
    let setup = Setup::new();
    let engine = Engine::start(&setup, script);
    (setup, engine)
}

fn asked(engine: &Engine) -> Vec<String> {
    std::mem::take(&mut engine.asked.lock().unwrap().people)
}

#[test]
fn each_change_of_a_user_is_asked_for_and_shows_the_user() {
    let (setup, engine) = with(healthy());
    for (args, expected) in [
        (
            &["set-role", "bob", "viewer", "deployer"][..],
            r#"roles bob ["viewer", "deployer"]"#,
        ),
        (&["disable", "bob"], "disable bob"),
        (&["enable", "bob"], "enable bob"),
        (
            &["lock", "bob", "--reason", "left the company"],
            r#"lock bob "left the company""#,
        ),
        (&["lock", "bob"], r#"lock bob """#),
        (&["unlock", "bob"], "unlock bob"),
    ] {
        let args = [&["user"], args].concat();
        let text = engine.run(&setup, &args).done();
        assert_eq!(
            text,
            "USERNAME  ROLE    CREATED  CREATED BY  STATUS  ORIGIN\nbob       viewer  -        -           active  -\n"
        );
        assert_eq!(asked(&engine), [expected]);
        let json = engine
            .run(&setup, &[&args[..], &["-o", "json"]].concat())
            .json();
        assert_eq!(
            (&json["name"], &json["state"]),
            (&json!("bob"), &json!("active"))
        );
        asked(&engine);
    }
    engine.run(&setup, &["user", "set-role", "bob"]).ended(2);
    engine.run(&setup, &["user", "disable", "Bob!"]).ended(2);
}

#[test]
fn a_lock_tells_which_codes_are_void_and_whom_the_locked_user_enrolled() {
    let (setup, engine) = with(healthy());
    let run = engine.run(&setup, &["user", "lock", "mallory"]);
    for expected in [
        "one-time codes for these users are void now: dora",
        "set a password with a code from the locked user in the last 7 days, and can still log in: carl",
    ] {
        assert!(run.err.contains(expected), "{}", run.err);
    }
}

#[test]
fn a_user_is_added_with_a_password_from_standard_input() {
    let (setup, engine) = with(healthy());
    let socket = engine.socket.to_str().unwrap();
    let add = [
        "user",
        "add",
        "bob",
        "--role",
        "viewer",
        "--role",
        "deployer",
        "--email",
        "bob@example.org",
        "--expires",
        "2027-01-01T00:00:00Z",
        "--password-stdin",
        "--socket",
        socket,
        "-o",
        "json",
    ];
    let json = setup.run_with(&add, " twelve or more \n").json();
    assert_eq!(json["user"]["name"], "bob");
    assert_eq!(json["enrolment"], json!(null));
    let expected =
        r#"add bob ["viewer", "deployer"] "bob@example.org" Some(1798761600) " twelve or more ""#;
    assert_eq!(asked(&engine), [expected]);
    setup.run_with(&add, "\n").ended(1);
}

#[test]
fn a_user_is_added_with_a_code_that_is_told_with_what_to_do() {
    let (setup, engine) = with(healthy());
    let text = engine
        .run(&setup, &["user", "add", "bob", "--enroll"])
        .done();
    assert_eq!(asked(&engine), [r#"add bob [] "" None """#]);
    assert!(text.contains("\n  abcd-efgh-jkmn\n"), "{text}");
    assert!(text.contains("until 2026-11-22T08:15:30Z ("), "{text}");
    assert!(
        text.contains(
            "\n  banyan login --enroll --username bob --engine HOST --engine-ca-pin PIN\n"
        ),
        "{text}"
    );
    let json = engine
        .run(&setup, &["user", "enroll", "bob", "-o", "json"])
        .json();
    let expected =
        json!({"name": "bob", "code": "abcd-efgh-jkmn", "expires": "2026-11-22T08:15:30Z"});
    assert_eq!(json, expected);
}

#[test]
fn from_elsewhere_the_person_is_told_the_very_command() {
    let setup = Setup::new();
    let remote = Remote::start(&setup, healthy());
    remote.login(&setup);
    let text = remote.run(&setup, &["user", "enroll", "bob"]).done();
    let (engine, pin) = (&remote.address, &remote.pin);
    let command =
        format!("banyan login --enroll --username bob --engine {engine} --engine-ca-pin {pin}\n");
    assert!(text.contains(&command), "{text}");
}

#[test]
fn without_a_terminal_the_flags_are_named_that_answer() {
    let (setup, engine) = with(healthy());
    let err = engine.run(&setup, &["user", "add", "bob"]).ended(2);
    assert!(
        err.contains("`--password-stdin`") && err.contains("`--enroll`"),
        "{err}"
    );
    let err = engine.run(&setup, &["user", "remove", "bob"]).ended(2);
    assert!(err.contains("`--yes`"), "{err}");
    assert!(asked(&engine).is_empty());
    let err = engine
        .run(&setup, &["user", "remove", "bob", "--yes"])
        .ended(0);
    assert_eq!(err, "User bob is removed; 2 sessions have ended.\n");
    assert_eq!(asked(&engine), ["remove bob"]);
}

fn sessions() -> Script {
    let live = v1::Session {
        id: "s1".to_owned(),
        user: "alice".to_owned(),
        created: at("2026-01-02T03:04:05Z"),
        refreshed: at("2026-01-03T03:04:05Z"),
        expires: at("2026-01-10T03:04:05Z"),
        via: "192.0.2.7".to_owned(),
        current: true,
        ..v1::Session::default()
    };
    let ended = v1::Session {
        id: "s2".to_owned(),
        ended: at("2026-01-04T03:04:05Z"),
        ended_because: "logout".to_owned(),
        current: false,
        ..live.clone()
    };
    Script {
        sessions: vec![live, ended],
        ..healthy()
    }
}

#[test]
fn sessions_are_listed_with_how_they_stand() {
    let (setup, engine) = with(sessions());
    let text = engine.run(&setup, &["session", "list", "--ended"]).done();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("ID  USER   REFRESHED"), "{text}");
    assert!(lines[1].ends_with("192.0.2.7  this one"), "{text}");
    assert!(
        lines[2].contains("ended ") && lines[2].ends_with("d ago: logout"),
        "{text}"
    );
    let wide = ["session", "list", "--ended", "--wide"];
    let text = engine.run(&setup, &wide).done();
    assert!(text.starts_with("ID  USER   CREATED "), "{text}");
    assert!(text.contains("ended 2026-01-04T03:04:05Z ("), "{text}");
    engine
        .run(&setup, &["session", "list", "--user", "alice"])
        .done();
    assert_eq!(
        asked(&engine),
        [
            r#"sessions "" true true"#,
            r#"sessions "" true true"#,
            r#"sessions "alice" false false"#
        ],
        "the host has none of its own"
    );
    let json = engine
        .run(&setup, &["session", "list", "-o", "json"])
        .json();
    let ended = json!({
        "id": "s2", "user": "alice", "created": "2026-01-02T03:04:05Z", "refreshed": "2026-01-03T03:04:05Z",
        "expires": "2026-01-10T03:04:05Z", "via": "192.0.2.7", "ended": "2026-01-04T03:04:05Z",
        "endedBecause": "logout", "current": false, "state": "ended",
    });
    assert_eq!(json["sessions"][1], ended);
    let remote = Remote::start(&setup, sessions());
    remote.login(&setup);
    remote.run(&setup, &["session", "list"]).done();
    let people = &remote.asked.lock().unwrap().people;
    assert_eq!(people[1], r#"sessions "" false false"#, "a user's own");
}

#[test]
fn sessions_are_revoked_by_id_or_by_user() {
    let (setup, engine) = with(healthy());
    let err = engine.run(&setup, &["session", "revoke", "s1"]).ended(0);
    assert_eq!(err, "1 session has ended.\n");
    engine
        .run(&setup, &["session", "revoke", "--user", "bob"])
        .ended(0);
    assert_eq!(asked(&engine), [r#"revoke "s1" """#, r#"revoke "" "bob""#]);
    engine.run(&setup, &["session", "revoke"]).ended(2);
    engine
        .run(&setup, &["session", "revoke", "s1", "--user", "bob"])
        .ended(2);
}

#[test]
fn signing_keys_are_listed_and_rotated() {
    let key = |id: &str, from: &str, signs: bool| v1::SigningKey {
        id: id.to_owned(),
        algorithm: "EdDSA".to_owned(),
        made: at("2026-01-02T03:04:05Z"),
        signs_from: at(from),
        accepted_until: None,
        signs,
    };
    let mut script = healthy();
    script.keys = vec![
        key("k2", "2026-01-02T03:04:05Z", true),
        key("k3", "9000-01-02T03:04:05Z", false),
        key("k1", "2025-01-02T03:04:05Z", false),
    ];
    let (setup, engine) = with(script);
    let text = engine.run(&setup, &["signing-key", "list"]).done();
    let ends: Vec<&str> = text
        .lines()
        .map(|line| line.rsplit("  ").next().unwrap())
        .collect();
    assert_eq!(ends, ["STATUS", "signs", "waits", "accepted"]);
    let json = engine
        .run(&setup, &["signing-key", "rotate", "-o", "json"])
        .json();
    let first = json!({
        "id": "k2", "algorithm": "EdDSA", "made": "2026-01-02T03:04:05Z", "signsFrom": "2026-01-02T03:04:05Z",
        "acceptedUntil": null, "signs": true, "state": "signs",
    });
    assert_eq!(json["keys"][0], first);
    let run = engine.run(&setup, &["signing-key", "rotate", "--revoke"]);
    assert!(run.err.contains("all sessions have ended"), "{}", run.err);
    assert_eq!(asked(&engine), ["keys", "rotate false", "rotate true"]);
}
