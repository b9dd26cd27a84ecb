//! Every table fits a terminal of 80 columns, and is not cut where there is no terminal.

use banyan_api::v1;

use crate::fake::{Engine, Script, commit, finding, git, healthy, in_seconds};
use crate::setup::{KEY, Setup};
use crate::terminal::Terminal;

/// Every command that prints a table.
const TABLES: [&[&str]; 11] = [
    &["user", "list"],
    &["user", "lock", "bartholomew-k"],
    &["machine", "list"],
    &["session", "list", "--ended"],
    &["role", "list"],
    &["role", "permissions"],
    &["engine", "list"],
    &["signing-key", "list"],
    &["gitops", "history"],
    &["audit"],
    &["audit", "verify"],
];

/// What a cluster of some years holds.
fn script() -> Script {
    Script {
        users: users(),
        machines: machines(),
        sessions: sessions(),
        roles: roles(),
        engines: engines(),
        keys: keys(),
        history: history(),
        audit: audit(),
        chains: chains(),
        ..healthy()
    }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn users() -> Vec<v1::User> {
    let user = |name: &str, state: &str| v1::User {
        name: name.to_owned(),
        roles: texts(&["deployer", "network-admin", "on-call"]),
        state: state.to_owned(),
        created: in_seconds(-400 * 86_400),
        created_by: "Wilhelmina Fitzgerald <wilhelmina@example.org>".to_owned(),
        origin: git("people/engineering/bartholomew-k.yaml", 112),
        expires: in_seconds(9_000_000),
        locked_at: in_seconds(-9_000),
        ..v1::User::default()
    };
    vec![user("bartholomew-k", "locked"), user("alice", "active")]
}

fn machines() -> Vec<v1::Machine> {
    let machine = v1::Machine {
        name: "edge-frankfurt-12".to_owned(),
        r#type: "agent".to_owned(),
        public_key: KEY.to_owned(),
        control_v4: "10.200.123.244".to_owned(),
        control_v6: "fd62:616e:7961:dea7:11bd:28e6:ddbf:acf7".to_owned(),
        state: "active".to_owned(),
        origin: git("machines/edge/edge-frankfurt-12.yaml", 1),
        peer: Some(v1::Peer {
            endpoint: "192.0.2.1:51820".to_owned(),
            last_handshake: in_seconds(-65),
            received: 1 << 40,
            sent: 3 << 40,
        }),
        ..v1::Machine::default()
    };
    let other = v1::Machine {
        name: "edge-frankfurt-13".to_owned(),
        control_v4: String::new(),
        ..machine.clone()
    };
    vec![machine, other]
}

fn sessions() -> Vec<v1::Session> {
    let live = v1::Session {
        id: "0123456789abcdef0123456789abcdef".to_owned(),
        user: "bartholomew-k".to_owned(),
        created: in_seconds(-9_000_000),
        refreshed: in_seconds(-3_000_000),
        expires: in_seconds(500_000),
        via: "198.51.100.117".to_owned(),
        ..v1::Session::default()
    };
    let ended = v1::Session {
        ended: in_seconds(-2_000_000),
        ended_because: "a refresh token was used twice".to_owned(),
        ..live.clone()
    };
    vec![live, ended]
}

fn roles() -> Vec<v1::Role> {
    vec![v1::Role {
        name: "network-admin".to_owned(),
        permissions: texts(&[
            "audit:read",
            "gitops:plan",
            "gitops:read",
            "machines:read",
            "status:read",
            "users:read",
        ]),
        origin: git("roles/network-admin.yaml", 1),
        holders: (0..40).map(|n| format!("engineer-{n}")).collect(),
    }]
}

fn engines() -> Vec<v1::Engine> {
    vec![v1::Engine {
        name: "engine-frankfurt-1".to_owned(),
        version: "0.1.0".to_owned(),
        alive: true,
        leads: true,
        since: in_seconds(-9_000_000),
        host: "banyan-1.frankfurt.example.org".to_owned(),
        self_: true,
        ..v1::Engine::default()
    }]
}

fn keys() -> Vec<v1::SigningKey> {
    vec![v1::SigningKey {
        id: "0123456789abcdef0123456789abcdef".to_owned(),
        algorithm: "EdDSA".to_owned(),
        made: in_seconds(-9_000_000),
        signs_from: in_seconds(-9_000_000),
        accepted_until: in_seconds(3_000),
        signs: true,
    }]
}

fn history() -> Vec<v1::HistoryEntry> {
    use v1::history_entry::Outcome;
    let refused = v1::Refused {
        findings: vec![finding()],
        total_findings: 3,
    };
    vec![v1::HistoryEntry {
        at: in_seconds(-9_000),
        commit: Some(v1::Commit {
            author: "Wilhelmina Fitzgerald <wilhelmina@example.org>".to_owned(),
            ..commit('b', "users: add bob")
        }),
        took_ms: 1234,
        outcome: Some(Outcome::Refused(refused)),
    }]
}

fn audit() -> Vec<v1::AuditEntry> {
    vec![v1::AuditEntry {
        engine: "engine-frankfurt-1".to_owned(),
        number: 31_234,
        at: in_seconds(-9_000),
        actor: "bartholomew-k".to_owned(),
        via: "198.51.100.117".to_owned(),
        action: "user.set-roles".to_owned(),
        object: "user wilhelmina".to_owned(),
        outcome: "refused".to_owned(),
        reason: "you cannot grant permissions you do not hold: users:write, machines:write"
            .to_owned(),
        ..v1::AuditEntry::default()
    }]
}

fn chains() -> Vec<v1::AuditChain> {
    vec![v1::AuditChain {
        engine: "engine-frankfurt-1".to_owned(),
        entries: 31_234,
        first: 1_200,
        head: Some(v1::AuditHead {
            engine: "engine-frankfurt-1".to_owned(),
            number: 32_434,
            hash: "f".repeat(64),
        }),
        broken: "entry 4 was altered: its hash is not the one that entry 5 names".to_owned(),
    }]
}

/// Runs on a terminal of 80 columns.
fn on_a_terminal(setup: &Setup, args: &[&str]) -> String {
    let line = format!(
        "stty cols 80; $banyan {} --socket engine.sock",
        args.join(" ")
    );
    let (shown, _) = Terminal::run_as("dumb", setup, &line).end();
    shown.replace('\r', "")
}

#[test]
fn on_a_terminal_of_80_columns_no_line_of_a_table_is_longer() {
    let setup = Setup::new();
    let _engine = Engine::start(&setup, script());
    for args in TABLES {
        let shown = on_a_terminal(&setup, args);
        assert!(shown.lines().count() >= 2, "{args:?}: {shown}");
        for line in shown.lines() {
            assert!(line.chars().count() <= 80, "{args:?}: {shown}");
        }
    }
}

#[test]
fn ordinary_content_fits_without_being_cut() {
    let setup = Setup::new();
    let mut script = script();
    for user in &mut script.users {
        user.name = "alice".to_owned();
        user.roles = texts(&["deployer", "viewer"]);
        user.created_by = "Ada <ada@example.org>".to_owned();
        user.origin = git("users/alice.yaml", 1);
    }
    script.machines.truncate(1);
    script.machines[0].name = "web-1".to_owned();
    script.machines[0].origin = git("machines/web-1.yaml", 1);
    script.sessions.truncate(1);
    script.sessions[0].user = "alice".to_owned();
    script.engines[0].name = "north".to_owned();
    script.roles[0].name = "on-call".to_owned();
    script.roles[0].origin = git("roles/on-call.yaml", 1);
    let _engine = Engine::start(&setup, script);
    for args in TABLES {
        let shown = on_a_terminal(&setup, args);
        assert!(!shown.contains('…'), "{args:?}: {shown}");
    }
}

#[test]
fn an_id_that_is_needed_whole_is_never_cut() {
    let setup = Setup::new();
    let _engine = Engine::start(&setup, script());
    let shown = on_a_terminal(&setup, &["session", "list"]);
    assert!(
        shown.contains("0123456789abcdef0123456789abcdef"),
        "{shown}"
    );
}

#[test]
fn without_a_terminal_and_with_wide_nothing_is_cut_or_wrapped() {
    let setup = Setup::new();
    let engine = Engine::start(&setup, script());
    for args in TABLES {
        let run = engine.run(&setup, args);
        assert!(!run.out.contains('…'), "{args:?}: {}", run.out);
        let rows = run.out.lines().count();
        let wide = on_a_terminal(&setup, &[args, &["--wide"]].concat());
        assert!(!wide.contains('…'), "{args:?}: {wide}");
        assert_eq!(wide.lines().count(), rows, "{args:?}: {wide}");
    }
    let wide = engine.run(&setup, &["user", "list", "--wide"]).done();
    assert!(
        wide.contains("Z (400d ago)  Wilhelmina Fitzgerald <w"),
        "{wide}"
    );
}
