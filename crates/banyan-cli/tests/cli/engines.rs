//! Several engines, floors, restored records and stores that are out of reach.

use banyan_api::{Unavailable, v1};
use serde_json::json;

use crate::fake::{Engine, Script, at, commit, healthy, in_seconds, refused};
use crate::setup::{KEY, Setup};

fn with(script: Script) -> (Setup, Engine) {
    let setup = Setup::new();
    let engine = Engine::start(&setup, script);
    (setup, engine)
}

fn two_engines() -> Script {
    let north = v1::Engine {
        name: "north".to_owned(),
        version: "0.1.0".to_owned(),
        alive: true,
        leads: true,
        since: in_seconds(-180),
        host: "host-1".to_owned(),
        public_key: KEY.to_owned(),
        recipients: vec!["age1north".to_owned()],
        v4: true,
        registered_at: at("2026-01-02T03:04:05Z"),
        self_: false,
    };
    let south = v1::Engine {
        name: "south".to_owned(),
        alive: false,
        leads: false,
        since: None,
        host: String::new(),
        v4: false,
        self_: true,
        ..north.clone()
    };
    Script {
        engines: vec![north, south],
        ..healthy()
    }
}

/// Rewritten history, refused.
fn rewritten() -> Script {
    let mut script = refused();
    script.gitops.total_findings = 1;
    script.gitops.findings = vec![v1::Finding {
        severity: "error".to_owned(),
        rule: "floor".to_owned(),
        message: "commit bbbbbbbbbbbb does not descend from commit aaaaaaaaaaaa".to_owned(),
        ..v1::Finding::default()
    }];
    script
}

#[test]
fn engines_are_listed_with_who_leads_and_who_does_not_run() {
    let (setup, engine) = with(two_engines());
    let text = engine.run(&setup, &["engine", "list"]).done();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("NAME   STATUS "), "{text}");
    assert!(lines[1].starts_with("north  leads  "), "{text}");
    assert!(lines[1].contains("3m ago  host-1  yes   0.1.0"), "{text}");
    assert!(
        lines[2].starts_with("south  stopped, answers  -  "),
        "{text}"
    );
    let json = engine.run(&setup, &["engine", "list", "-o", "json"]).json();
    let south = json!({
        "name": "south", "version": "0.1.0", "alive": false, "leads": false, "since": null, "host": null,
        "publicKey": KEY, "recipients": ["age1north"], "v4": false,
        "registeredAt": "2026-01-02T03:04:05Z", "self": true, "state": "stopped",
    });
    assert_eq!(json["engines"][1], south);
}

#[test]
fn an_engine_is_removed_by_its_name() {
    let (setup, engine) = with(two_engines());
    let run = engine.run(&setup, &["engine", "remove", "south"]);
    assert_eq!((run.code, run.out.as_str()), (0, ""));
    assert!(
        run.err.starts_with("Engine south is removed."),
        "{}",
        run.err
    );
    assert_eq!(engine.asked.lock().unwrap().removed, ["south"]);
    let mut script = two_engines();
    let text = "engine north runs on host-1; stop it first".to_owned();
    script.refuse = Some((tonic::Code::FailedPrecondition, text));
    let (setup, engine) = with(script);
    let err = engine.run(&setup, &["engine", "remove", "north"]).ended(1);
    assert_eq!(
        err,
        "error: cannot remove engine north\n  because: engine north runs on host-1; stop it first\n"
    );
}

#[test]
fn a_commit_that_waits_for_a_person_says_how_to_accept_it() {
    let (setup, engine) = with(rewritten());
    let next = "next      find out who pushed it and why; if it is intended: `banyan gitops accept bbbbbbbbbbbb`\n";
    for call in [&["status"][..], &["gitops", "status"]] {
        let text = engine.run(&setup, call).done();
        assert!(text.contains(next), "{text}");
        assert!(!text.contains("push a fix"), "{text}");
    }
}

#[test]
fn accepting_says_what_is_in_force_afterwards() {
    let mut script = rewritten();
    script.accepted = healthy().gitops;
    script.accepted.generation = 8;
    script.accepted.seen = Some(commit('b', "users: add bob"));
    script.accepted.applied = script.accepted.seen.clone();
    let (setup, engine) = with(script);
    let run = engine.run(&setup, &["gitops", "accept", "bbbbbbbbbbbb"]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(
        run.err,
        "note: the commit is accepted; generation 8 is in force after 7\n"
    );
    assert!(
        run.out.contains("applied   bbbbbbbbbbbb users: add bob"),
        "{}",
        run.out
    );
    assert_eq!(engine.asked.lock().unwrap().accepted, ["bbbbbbbbbbbb"]);
}

#[test]
fn accepting_does_not_hide_that_the_commit_is_refused_for_something_else() {
    let mut script = rewritten();
    script.accepted = refused().gitops;
    let (setup, engine) = with(script);
    let run = engine.run(&setup, &["gitops", "accept", "bbbbbbbbbbbb"]);
    assert_eq!(run.code, 1);
    assert!(
        run.err.contains("but the branch's head is refused"),
        "{}",
        run.err
    );
    assert!(run.out.contains("there is no role nope"), "{}", run.out);
    let run = engine.run(&setup, &["gitops", "accept", "bbbbbbbbbbbb", "-o", "json"]);
    assert_eq!(run.code, 1);
    let json: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(json["state"], "refused");
}

#[test]
fn what_cannot_be_a_commit_is_a_wrong_usage() {
    let setup = Setup::new();
    for bad in ["main", "bbbbbbbbbbb", &"b".repeat(65), "bbbbbbbbbbbg"] {
        let err = setup.run(&["gitops", "accept", bad]).ended(2);
        assert!(err.contains("12 to 64 hexadecimal digits"), "{err}");
    }
}

#[test]
fn a_floor_and_whoever_leads_are_shown() {
    let mut script = healthy();
    script.gitops.floor = "a backup was restored".to_owned();
    script.gitops.leader = "north".to_owned();
    script.gitops.from = "north".to_owned();
    script.gitops.accepted = "c".repeat(40);
    let (setup, engine) = with(script);
    let text = engine.run(&setup, &["gitops", "status"]).done();
    assert!(
        text.contains("leader    north\nfloor     a backup was restored\n"),
        "{text}"
    );
    let text = engine.run(&setup, &["status"]).done();
    assert!(text.contains("floor     a backup was restored\n"), "{text}");
    let json = engine
        .run(&setup, &["gitops", "status", "-o", "json"])
        .json();
    assert_eq!(json["floor"], "a backup was restored");
    assert_eq!(
        (&json["leader"], &json["from"]),
        (&json!("north"), &json!("north"))
    );
    assert_eq!(json["accepted"], "c".repeat(40));
    let mut script = healthy();
    script.gitops.from = "south".to_owned();
    let (setup, engine) = with(script);
    let text = engine.run(&setup, &["gitops", "status"]).done();
    assert!(
        text.contains("leader    none now; reported by south\n"),
        "{text}"
    );
}

#[test]
fn the_status_says_what_the_engine_is_among_others_and_how_old_its_view_is() {
    let mut script = healthy();
    script.engine.store = "etcd".to_owned();
    script.engine.name = "south".to_owned();
    script.engine.role = "follows".to_owned();
    script.engine.role_reason = "another was elected just now".to_owned();
    script.engine.leader = "north".to_owned();
    script.engine.engines = 2;
    script.engine.view_age_ms = Some(400);
    let (setup, engine) = with(script.clone());
    let text = engine.run(&setup, &["status"]).done();
    let role =
        "role      south follows, one of 2 engines: another was elected just now; north leads\n";
    assert!(text.contains(role) && !text.contains("\nstore "), "{text}");
    // A reason that names the leader says enough.
    script.engine.role_reason = "north leads since noon".to_owned();
    let (setup, engine) = with(script.clone());
    let text = engine.run(&setup, &["status"]).done();
    assert!(
        text.contains("2 engines: north leads since noon\n"),
        "{text}"
    );
    script.engine.role = "cut-off".to_owned();
    script.engine.role_reason = "the store does not answer".to_owned();
    script.engine.leader = String::new();
    script.engine.store_problem = "no answer in time".to_owned();
    script.engine.view_age_ms = Some(65_400);
    let (setup, engine) = with(script.clone());
    let text = engine.run(&setup, &["status"]).done();
    for line in [
        "role      south is cut off, one of 2 engines: the store does not answer; no engine leads\n",
        "store     out of reach: no answer in time; serving what was in force 65 s ago\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let json = engine.run(&setup, &["status", "-o", "json"]).json();
    assert_eq!(json["engine"]["viewAgeMs"], 65_400);
    assert_eq!(json["engine"]["role"], "cut-off");
    assert_eq!(json["engine"]["leader"], serde_json::Value::Null);
    assert_eq!(json["engine"]["storeProblem"], "no answer in time");
    script.engine.view_age_ms = None;
    let (setup, engine) = with(script);
    let text = engine.run(&setup, &["status"]).done();
    assert!(text.contains("serving this engine's own copy"), "{text}");
}

#[test]
fn the_history_tells_what_was_put_back() {
    use v1::history_entry::Outcome;
    let what = ["user alice", "user bob", "machine w1", "machine w2"];
    let restored = v1::Restored {
        what: what.map(str::to_owned).to_vec(),
        total: 70,
    };
    let mut script = healthy();
    script.history = vec![v1::HistoryEntry {
        at: in_seconds(-60),
        commit: Some(commit('a', "x")),
        took_ms: 0,
        outcome: Some(Outcome::Restored(restored)),
    }];
    let (setup, engine) = with(script);
    let text = engine.run(&setup, &["gitops", "history"]).done();
    let line = "restored: user alice, user bob, machine w1 (and 67 more)\n";
    assert!(text.ends_with(line), "{text}");
    let json = engine
        .run(&setup, &["gitops", "history", "-o", "json"])
        .json();
    let entry = &json["entries"][0];
    assert_eq!(entry["outcome"], "restored");
    assert_eq!(
        (&entry["restored"], &entry["totalRestored"]),
        (&json!(what), &json!(70))
    );
}

#[test]
fn an_engine_without_its_store_is_within_reach_and_says_what_to_try() {
    for (lack, advice) in [
        (
            Unavailable::Store,
            "try: the engine keeps serving what is in force; repair the store",
        ),
        (Unavailable::Leader, "`banyan engine list`"),
    ] {
        let mut script = healthy();
        script.lack = Some(lack);
        let (setup, engine) = with(script);
        let err = engine.run(&setup, &["gitops", "sync"]).ended(1);
        assert!(
            err.starts_with("error: cannot sync\n  because: so it is\n"),
            "{err}"
        );
        assert!(err.contains(advice) && !err.contains("systemctl"), "{err}");
    }
}
