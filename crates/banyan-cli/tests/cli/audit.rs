//! `banyan audit`.

use banyan_api::v1;
use serde_json::json;

use crate::fake::{Engine, Script, at, healthy};
use crate::setup::Setup;

fn with(script: Script) -> (Setup, Engine) {
    let setup = Setup::new();
    let engine = Engine::start(&setup, script);
    (setup, engine)
}

fn entry() -> v1::AuditEntry {
    v1::AuditEntry {
        engine: "north".to_owned(),
        number: 3,
        at: at("2026-01-02T03:04:05Z"),
        actor: "alice".to_owned(),
        via: "192.0.2.7".to_owned(),
        action: "user.add".to_owned(),
        object: "user/bob".to_owned(),
        outcome: "refused".to_owned(),
        reason: "not permitted".to_owned(),
        commit: String::new(),
        detail: "roles admin".to_owned(),
        hash: "f".repeat(64),
    }
}

#[test]
fn entries_are_listed_with_who_did_what_and_what_came_of_it() {
    let mut script = healthy();
    script.audit = vec![entry()];
    let (setup, engine) = with(script);
    let text = engine.run(&setup, &["audit"]).done();
    assert!(text.starts_with("WHEN "), "{text}");
    let row = "  alice  user.add  user/bob  refused: not permitted; roles admin\n";
    assert!(text.ends_with(row), "{text}");
    let text = engine.run(&setup, &["audit", "--wide"]).done();
    assert!(text.contains("  alice  192.0.2.7  user.add"), "{text}");
    let filters = [
        "audit",
        "list",
        "--limit",
        "7",
        "--by-engine",
        "north",
        "--user",
        "bob",
        "--action",
        "user",
        "--refused",
        "-o",
        "json",
    ];
    let json = engine.run(&setup, &filters).json();
    let expected = json!({
        "engine": "north", "number": 3, "at": "2026-01-02T03:04:05Z", "actor": "alice", "via": "192.0.2.7",
        "action": "user.add", "object": "user/bob", "outcome": "refused", "reason": "not permitted",
        "commit": null, "detail": "roles admin", "hash": "f".repeat(64),
    });
    assert_eq!(json["entries"][0], expected);
    let asked = &engine.asked.lock().unwrap().people;
    assert_eq!(
        asked[..],
        [
            r#"audit 50 "" "" "" false"#,
            r#"audit 50 "" "" "" false"#,
            r#"audit 7 "north" "bob" "user" true"#
        ]
    );
    setup.run(&["audit", "--limit", "0"]).ended(2);
    setup.run(&["audit", "--limit", "1001"]).ended(2);
}

#[test]
fn a_broken_chain_is_the_exit_code() {
    let whole = v1::AuditChain {
        engine: "north".to_owned(),
        entries: 12,
        first: 1,
        head: Some(v1::AuditHead {
            engine: "north".to_owned(),
            number: 12,
            hash: "f".repeat(64),
        }),
        broken: String::new(),
    };
    let mut script = healthy();
    script.chains = vec![whole.clone()];
    let (setup, engine) = with(script.clone());
    let text = engine.run(&setup, &["audit", "verify"]).done();
    assert!(
        text.contains("north   12       1      12 ffffffffffff  whole\n"),
        "{text}"
    );
    let text = engine.run(&setup, &["audit", "verify", "--wide"]).done();
    assert!(text.contains(&format!("12 {}", "f".repeat(64))), "{text}");
    script.chains.push(v1::AuditChain {
        engine: "south".to_owned(),
        broken: "entry 4 was altered".to_owned(),
        head: None,
        ..whole
    });
    let (setup, engine) = with(script);
    let run = engine.run(&setup, &["audit", "verify"]);
    assert_eq!(run.code, 1);
    assert!(
        run.out.ends_with("broken: entry 4 was altered\n"),
        "{}",
        run.out
    );
    let run = engine.run(&setup, &["audit", "verify", "-o", "json"]);
    assert_eq!(run.code, 1);
    let json: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(
        json["chains"][0]["head"],
        json!({"number": 12, "hash": "f".repeat(64)})
    );
    assert_eq!(json["chains"][1]["broken"], "entry 4 was altered");
}
