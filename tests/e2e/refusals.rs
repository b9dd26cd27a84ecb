//! Refused pushes and unreadable sources: the last good state stays, the reason is reported, and the next valid commit
//! goes through.

mod guards;
mod sources;

use std::collections::BTreeSet;

use banyan_api::v1::{Finding, GitopsStatus, history_entry};
use banyan_core::{Kind, SecretText};
use banyan_manifest::{Identities, PUBLIC_KEY, Payload};
use banyan_wireguard::PrivateKey;

use crate::harness::{Cluster, machine_for, name, user};

/// A refusal's expected file, line, and words of the message with its help.
struct Expected<'a> {
    path: &'a str,
    line: u32,
    words: &'a [&'a str],
}

/// Pushes the staged changes, which must be refused in these words, and then a commit without them, which must be
/// accepted.
#[track_caller]
fn refused(cluster: &Cluster, message: &str, expected: &Expected<'_>) {
    let good = cluster.status().applied.unwrap().id;
    let (generation, picture) = (cluster.status().generation, cluster.picture());
    let commit = cluster.push(message);
    let status = cluster.await_decision(&commit);
    assert_eq!(status.state, "refused", "{message}: {status:#?}");
    told(&status.findings, expected);
    let newest = &cluster.history()[0];
    assert_eq!(newest.commit.as_ref().unwrap().id, commit);
    match &newest.outcome {
        Some(history_entry::Outcome::Refused(refused)) => told(&refused.findings, expected),
        other => panic!("{other:?}"),
    }
    stays(cluster, &status, &good, generation, &picture);
    shown_by_the_command_line(cluster, expected);
    mended(cluster, &good);
}

/// Whether one of the findings matches.
#[track_caller]
fn told(findings: &[Finding], expected: &Expected<'_>) {
    let fits = |f: &Finding| {
        let text = format!("{}\n{}", f.message, f.help);
        let words = expected.words.iter().all(|word| text.contains(word));
        f.severity == "error" && f.path == expected.path && f.line == expected.line && words
    };
    let Expected { path, line, words } = expected;
    assert!(
        findings.iter().any(fits),
        "no {path}:{line} {words:?} in {findings:#?}"
    );
}

#[track_caller]
fn stays(cluster: &Cluster, status: &GitopsStatus, good: &str, generation: u64, picture: &str) {
    assert_eq!(status.applied.as_ref().unwrap().id, good);
    assert_eq!(status.generation, generation);
    assert_eq!(cluster.picture(), picture);
}

/// `banyan gitops status` shows it too.
#[track_caller]
fn shown_by_the_command_line(cluster: &Cluster, expected: &Expected<'_>) {
    let output = cluster.banyan(&["gitops", "status"]);
    let shown = crate::harness::text(&[output.stdout, output.stderr].concat());
    if expected.line > 0 {
        let place = format!("{}:{}", expected.path, expected.line);
        assert!(shown.contains(&place), "no {place} in\n{shown}");
    }
    assert!(
        shown.contains(expected.words[0]),
        "no {:?} in\n{shown}",
        expected.words[0]
    );
}

/// A commit with the last good tree plus one user comes into force, whatever was refused before.
#[track_caller]
fn mended(cluster: &Cluster, good: &str) {
    cluster
        .repo
        .git(["read-tree", "--reset", "-u", good])
        .unwrap();
    let mending = format!("mending{}", cluster.history().len());
    cluster.write(
        &format!("users/{mending}.yaml"),
        &user(&mending, &["viewer"]),
    );
    cluster.apply("Mend it");
    assert!(cluster.users().iter().any(|u| u.name == mending));
}

/// The line of a file, from 1, that contains a text.
#[track_caller]
fn line_of(cluster: &Cluster, path: &str, text: &str) -> u32 {
    let content = cluster.read(path);
    let at = content.lines().position(|line| line.contains(text));
    u32::try_from(at.unwrap() + 1).unwrap()
}

#[test]
fn a_manifest_with_a_mistake_is_refused_with_its_place() {
    let cluster = Cluster::started();
    let head = "apiVersion: banyan/v1\nkind: User\nmetadata:\n  name: nina\nspec:\n";
    for (text, line, words) in [
        ("  rolse: [viewer]\n", 6, &["rolse", "`roles`"][..]),
        ("  roles: viewer\n", 6, &["roles", "list"]),
        ("  roles: [deploier]\n", 6, &["deploier", "deployer"]),
        ("  roles: [viewer]\n  roles: [admin]\n", 7, &["roles"]),
        ("  roles: [viewer\n", 6, &["unclosed bracket"]),
    ] {
        cluster.write("users/nina.yaml", &format!("{head}{text}"));
        let expected = Expected {
            path: "users/nina.yaml",
            line,
            words,
        };
        refused(&cluster, text, &expected);
    }
    cluster.write("users/second.yaml", &user("alice", &["viewer"]));
    let expected = Expected {
        path: "users/second.yaml",
        line: 4,
        words: &["alice", "users/alice.yaml"],
    };
    refused(&cluster, "A name twice", &expected);
}

#[test]
fn a_sealed_key_that_is_not_for_this_machine_and_these_recipients_is_refused() {
    let mut cluster = Cluster::started();
    let key = || PrivateKey::generate().unwrap().public_key();

    // The ciphertext of one machine under another's name.
    let pasted = cluster
        .read("machines/m1.yaml")
        .replace("name: m1", "name: m9");
    cluster.write("machines/m9.yaml", &pasted);
    let line = line_of(&cluster, "machines/m9.yaml", "BEGIN AGE");
    let place = |line, words| Expected {
        path: "machines/m9.yaml",
        line,
        words,
    };
    refused(&cluster, "Paste a key", &place(line, &["m1", "m9"]));

    // Sealed only for someone else.
    let (_, _, stranger) = Identities::generate();
    let strangers = BTreeSet::from([stranger.clone()]);
    cluster.write("machines/m9.yaml", &machine_for("m9", key(), &strangers));
    refused(
        &cluster,
        "Seal for a stranger",
        &place(line, &["not sealed for"]),
    );

    // Sealed for a stranger besides the engine.
    let mut more = cluster.recipients().clone();
    more.insert(stranger);
    cluster.write("machines/m9.yaml", &machine_for("m9", key(), &more));
    refused(&cluster, "Seal for one more", &place(line, &["recipients"]));

    // The same key in two machines.
    let twin = cluster.machine_key("m1").public_key();
    let twin = cluster.machine("m9", twin);
    cluster.write("machines/m9.yaml", &twin);
    refused(&cluster, "A key twice", &place(line, &["m1"]));

    // And a valid one.
    let sound = cluster.new_machine("m9");
    cluster.write("machines/m9.yaml", &sound);
    cluster.apply("Add m9");
    assert_eq!(cluster.machines().len(), 4);
}

#[test]
fn what_is_sealed_as_something_else_than_a_public_key_is_refused() {
    let cluster = Cluster::started();
    let value = SecretText::new("$2b$12$abcdefghijklmnopqrstuv".to_owned());
    let payload = Payload::new(
        Kind::User,
        name("m9"),
        PUBLIC_KEY,
        value,
        cluster.recipients(),
    );
    let sealed = banyan_manifest::seal(&payload, cluster.recipients()).unwrap();
    let block = banyan_manifest::scaffold::sealed_block(&sealed, 4);
    let text = format!(
        "apiVersion: banyan/v1\nkind: Machine\nmetadata:\n  name: m9\nspec:\n  type: agent\n  publicKey:\n{block}"
    );
    cluster.write("machines/m9.yaml", &text);
    let expected = Expected {
        path: "machines/m9.yaml",
        line: 9,
        words: &["user", "machine"],
    };
    refused(&cluster, "A hash for a key", &expected);
}
