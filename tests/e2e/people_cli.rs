//! Users at the command line, logged in over TLS: a change applies to their next command.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use banyan_testkit::netns::until;
use serde_json::Value;

use crate::harness::{Cluster, Options, PASSWORD, PATIENCE, denied, text, user};

/// Exit codes of the command line.
const NOT_LOGGED_IN: i32 = 4;
const NOT_PERMITTED: i32 = 5;

/// The arguments that reach the engine over TLS.
fn engine(cluster: &Cluster) -> [String; 4] {
    let address = cluster.listens("grpc").to_string();
    let pin = cluster.pin().to_string();
    [
        "--engine".to_owned(),
        address,
        "--engine-ca-pin".to_owned(),
        pin,
    ]
}

/// Exit code and everything printed of a command against the engine over TLS.
fn command(cluster: &Cluster, args: &[&str], input: &str) -> (i32, String) {
    let engine = engine(cluster);
    let engine: Vec<&str> = engine.iter().map(String::as_str).collect();
    let output = cluster.banyan_told(&[args, &engine].concat(), input);
    let printed = text(&[output.stdout, output.stderr].concat());
    (output.status.code().unwrap(), printed)
}

#[track_caller]
fn ok(cluster: &Cluster, args: &[&str]) -> String {
    let (code, printed) = command(cluster, args, "");
    assert_eq!(code, 0, "banyan {args:?}: {printed}");
    printed
}

#[track_caller]
fn ends_with(expected: i32, cluster: &Cluster, args: &[&str]) -> String {
    let (code, printed) = command(cluster, args, "");
    assert_eq!(code, expected, "banyan {args:?}: {printed}");
    printed
}

#[track_caller]
fn log_in(cluster: &Cluster, name: &str) {
    let args = ["login", "--username", name, "--password-stdin"];
    let (code, printed) = command(cluster, &args, &format!("{PASSWORD}\n"));
    assert_eq!(code, 0, "{printed}");
    assert!(!printed.contains(PASSWORD), "{printed}");
}

fn credentials(cluster: &Cluster) -> PathBuf {
    cluster.dir().join(".config/banyan/credentials.json")
}

/// The command line's access token.
fn access_token(cluster: &Cluster) -> Option<String> {
    fn find(value: &Value) -> Option<String> {
        match value {
            Value::Object(fields) => fields.iter().find_map(|(name, value)| match value {
                Value::String(token) if name.to_lowercase().contains("access") => {
                    token.starts_with("eyJ").then(|| token.clone())
                }
                other => find(other),
            }),
            Value::Array(values) => values.iter().find_map(find),
            _ => None,
        }
    }
    let file = fs::read_to_string(credentials(cluster)).ok()?;
    find(&serde_json::from_str(&file).ok()?)
}

#[test]
fn a_change_shows_in_the_next_command_of_a_logged_in_user() {
    let cluster = Cluster::started();
    // Another user who can log in, so that carol is not the last admin.
    cluster.first_admin();
    cluster.write("users/carol.yaml", &user("carol", &["viewer"]));
    cluster.apply("Add carol");
    ends_with(NOT_LOGGED_IN, &cluster, &["user", "list"]);
    cluster.enroll("carol", &cluster.code("carol")).unwrap();
    log_in(&cluster, "carol");
    let mode = fs::metadata(credentials(&cluster)).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    assert!(ok(&cluster, &["whoami"]).contains("carol"));
    let said = ends_with(NOT_PERMITTED, &cluster, &["user", "list"]);
    assert!(said.contains("users:read"), "{said}");

    cluster.write("users/carol.yaml", &user("carol", &["admin"]));
    cluster.push("Carol is an admin");
    assert_eq!(cluster.sync_wait().state, "in-force");
    let users = ok(&cluster, &["user", "list"]);
    assert!(
        users.contains("carol") && users.contains("victor"),
        "{users}"
    );
    let shown = ok(&cluster, &["user", "show", "Carol", "--output", "json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["state"], "active");
    assert_eq!(shown["origin"]["path"], "users/carol.yaml");
    assert_eq!(shown["permissions"][0]["permission"], "*");
    assert_eq!(shown["permissions"][0]["byRoles"][0], "admin");
    assert_eq!(shown["password"]["from"], "api");
    assert!(shown["lastRefreshed"].is_string(), "{shown}");
    let version = ok(&cluster, &["version"]);
    assert!(version.contains("store format"), "{version}");
    let added = ok(&cluster, &["user", "add", "nina", "--enroll"]);
    assert!(added.contains("nina"), "{added}");
    let audit = ok(&cluster, &["audit", "list"]);
    assert!(audit.contains("user.add"), "{audit}");

    cluster.banyan_ok(&["user", "lock", "carol"]);
    ends_with(NOT_LOGGED_IN, &cluster, &["user", "list"]);
}

#[test]
fn two_commands_that_find_the_token_expired_at_the_same_moment_both_work() {
    let cluster = Cluster::started_with(Options {
        more: "  http: {port: 0}\n  auth: {access_token_expiry: 10s}\n",
        ..Options::default()
    });
    let nina = cluster.user_with("nina", &["viewer"]);
    log_in(&cluster, "nina");
    for round in 0..2 {
        let token = access_token(&cluster).expect("there is no token in the file");
        let old = cluster.with_token(&token);
        let expired = until(PATIENCE, || {
            let status = cluster.who(&old).err().context("it is good yet")?;
            ensure!(status.message().contains("expired"), "{status:?}");
            Ok(())
        });
        expired.unwrap();
        let engine = engine(&cluster);
        let engine: Vec<&str> = engine.iter().map(String::as_str).collect();
        let args = [&["whoami"], &engine[..]].concat();
        // Two processes: each reads the file, and finds the same token.
        let children = [0, 1].map(|_| cluster.banyan_begun(&args));
        let outputs = children.map(|child| child.wait_with_output().unwrap());
        for output in outputs {
            let printed = text(&[output.stdout, output.stderr].concat());
            assert!(output.status.success(), "round {round}: {printed}");
            assert!(printed.contains("nina"), "{printed}");
        }
        assert_ne!(access_token(&cluster), Some(token));
    }
    denied(cluster.who(&nina.client), "expired");
}
