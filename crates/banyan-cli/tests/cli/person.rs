//! `banyan user show`, and states in the stable shapes.

use banyan_api::v1;
use serde_json::json;

use crate::fake::{Engine, Script, at, git, healthy, in_seconds};
use crate::setup::Setup;

fn with(shown: v1::GetUserResponse) -> (Setup, Engine) {
    let setup = Setup::new();
    let script = Script { shown, ..healthy() };
    let engine = Engine::start(&setup, script);
    (setup, engine)
}

fn alice() -> v1::GetUserResponse {
    let grant = |role: &str, permissions: &[&str], origin| v1::Grant {
        role: role.to_owned(),
        permissions: permissions.iter().map(|p| (*p).to_owned()).collect(),
        origin,
    };
    v1::GetUserResponse {
        user: Some(v1::User {
            name: "alice".to_owned(),
            email: "alice@example.org".to_owned(),
            roles: ["gone", "on-call", "viewer"].map(str::to_owned).to_vec(),
            state: "active".to_owned(),
            origin: git("users/alice.yaml", 1),
            since: in_seconds(-180),
            created: in_seconds(-7200),
            created_by: "Ada <ada@example.org>".to_owned(),
            login: "password".to_owned(),
            sessions: 2,
            ..v1::User::default()
        }),
        generation: 7,
        grants: vec![
            grant("gone", &[], None),
            grant(
                "on-call",
                &["logs:read", "machines:read"],
                git("roles.yaml", 12),
            ),
            grant("viewer", &["logs:read"], Some(v1::Origin::built_in())),
        ],
        password: Some(v1::UserPassword {
            from: "api".to_owned(),
            set: in_seconds(-3600),
        }),
        code: None,
        last_refreshed: in_seconds(-300),
        last_via: "192.0.2.7".to_owned(),
        hidden: Vec::new(),
    }
}

/// The value of the first line with this label.
fn value(text: &str, label: &str) -> String {
    let line = text.lines().find(|line| line.starts_with(label));
    line.unwrap_or_else(|| panic!("no {label} in {text}"))[13..].to_owned()
}

#[test]
fn a_user_is_shown_with_what_gives_each_permission_and_where_it_is_declared() {
    let (setup, engine) = with(alice());
    let text = engine.run(&setup, &["user", "show", "alice"]).done();
    assert_eq!(value(&text, "user"), "alice");
    assert_eq!(
        value(&text, "origin"),
        "users/alice.yaml:1 as of commit 0123456789ab"
    );
    assert_eq!(value(&text, "status"), "active");
    assert!(value(&text, "created").ends_with("Z (2h ago) by Ada <ada@example.org>"));
    assert!(value(&text, "login").starts_with("password set 20"));
    assert!(value(&text, "sessions").starts_with("2 live, last refreshed 20"));
    assert!(value(&text, "sessions").ends_with("(5m ago) from 192.0.2.7"));
    for line in [
        "role         gone, which no document declares: it permits nothing\n",
        "role         on-call, roles.yaml:12 as of commit 0123456789ab\n",
        "role         viewer, built-in\n",
        "permission   logs:read      by on-call, viewer\n",
        "permission   machines:read  by on-call\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn a_user_who_may_not_act_is_shown_with_every_cause_and_with_what_is_hidden() {
    let mut shown = alice();
    let user = shown.user.as_mut().unwrap();
    user.state = "locked".to_owned();
    user.disabled = true;
    user.locked_by = "carol".to_owned();
    user.locked_at = in_seconds(-60);
    user.lock_reason = "lost laptop".to_owned();
    user.expires = at("9000-01-01T00:00:00Z");
    user.sessions = 0;
    shown.password = None;
    shown.code = Some(v1::OpenCode {
        expires: in_seconds(7300),
        by: "carol".to_owned(),
    });
    shown.hidden = vec![v1::Hidden {
        what: "sessions".to_owned(),
        permission: "sessions:read".to_owned(),
    }];
    let (setup, engine) = with(shown.clone());
    let text = engine.run(&setup, &["user", "show", "alice"]).done();
    let status = value(&text, "status");
    assert!(status.starts_with("locked by carol 20"), "{status}");
    assert!(
        status.contains("(1m ago): lost laptop; disabled; expires 9000-01-01T00:00:00Z (in "),
        "{status}"
    );
    let login = value(&text, "login");
    assert!(
        login.starts_with("one-time code open, made by carol, expires 20"),
        "{login}"
    );
    assert_eq!(
        value(&text, "sessions"),
        "0 live; last use not shown, which takes the permission sessions:read"
    );
    assert!(text.contains("\nwould permit logs:read "), "{text}");

    shown.code = None;
    let (setup, engine) = with(shown);
    let text = engine.run(&setup, &["user", "show", "alice"]).done();
    assert!(
        value(&text, "login").starts_with("not possible: "),
        "{text}"
    );
}

#[test]
fn in_json_a_state_is_a_word_and_its_instants_are_fields_of_their_own() {
    let mut shown = alice();
    let user = shown.user.as_mut().unwrap();
    user.state = "locked".to_owned();
    user.locked_at = at("2026-01-02T03:04:05Z");
    user.locked_by = "carol".to_owned();
    user.lock_reason = "left".to_owned();
    user.expires = at("2026-02-02T03:04:05Z");
    let locked = user.clone();
    let (setup, engine) = with(shown);
    let json = engine
        .run(&setup, &["user", "show", "alice", "-o", "json"])
        .json();
    assert_eq!(json["state"], "locked");
    assert_eq!(json["lockedAt"], "2026-01-02T03:04:05Z");
    assert_eq!(json["lockedBy"], "carol");
    assert_eq!(json["expires"], "2026-02-02T03:04:05Z");
    assert_eq!(
        json["grants"][0],
        json!({"role": "gone", "permissions": [], "origin": null})
    );
    assert_eq!(
        json["permissions"][0],
        json!({"permission": "logs:read", "byRoles": ["on-call", "viewer"]})
    );
    assert_eq!(json["password"]["from"], "api");
    assert_eq!(json["code"], json!(null));
    assert_eq!(json["lastVia"], "192.0.2.7");

    engine.change(|script| {
        script.users = vec![locked];
        script.explanation = v1::Explanation {
            kind: "user".to_owned(),
            name: "alice".to_owned(),
            state: "locked".to_owned(),
            locked_at: at("2026-01-02T03:04:05Z"),
            locked_by: "carol".to_owned(),
            ..v1::Explanation::default()
        };
        script.machines = vec![v1::Machine {
            name: "w1".to_owned(),
            state: "expired".to_owned(),
            expires: at("2026-02-02T03:04:05Z"),
            ..v1::Machine::default()
        }];
    });
    let explained = engine
        .run(&setup, &["explain", "user", "alice", "-o", "json"])
        .json();
    assert_eq!(
        (&explained["state"], &explained["lockedBy"]),
        (&json!("locked"), &json!("carol"))
    );
    let text = engine.run(&setup, &["explain", "user", "alice"]).done();
    assert!(
        text.starts_with("user alice: locked by carol 2026-01-02T03:04:05Z ("),
        "{text}"
    );
    let list = engine.run(&setup, &["user", "list"]).done();
    assert!(list.lines().nth(1).unwrap().contains("  locked "), "{list}");
    let machines = engine
        .run(&setup, &["machine", "list", "-o", "json"])
        .json();
    let machine = &machines["machines"][0];
    assert_eq!(machine["state"], "expired");
    assert_eq!(machine["expires"], "2026-02-02T03:04:05Z");
    let text = engine.run(&setup, &["machine", "show", "w1"]).done();
    assert!(
        text.contains("\nstatus       expired 2026-02-02T03:04:05Z ("),
        "{text}"
    );
}
