//! Guards against lock-out and mass deletion.

use super::{Expected, mended, refused};
use crate::harness::{Cluster, Options, user};

/// A finding about the repo as a whole.
fn whole<'a>(words: &'a [&'a str]) -> Expected<'a> {
    Expected {
        path: "",
        line: 0,
        words,
    }
}

#[test]
fn the_last_admin_can_neither_be_removed_nor_disabled_nor_demoted_nor_made_to_expire() {
    let cluster = Cluster::started();
    cluster.remove("users/bob.yaml");
    cluster.apply("Bob leaves");
    let alice = user("alice", &["admin"]);
    let at = |path, line, words| Expected { path, line, words };
    let refused = |message: &str, expected: &Expected<'_>| {
        // A trailer overrides other guards, but not this one.
        refused(
            &cluster,
            &format!("{message}\n\nBanyan-Allow-Removals: user=1"),
            expected,
        );
    };

    cluster.remove("users/alice.yaml");
    let nobody = at(
        "cluster.yaml",
        1,
        &["no admin would remain", "no user holds `*`"],
    );
    refused("Alice leaves too", &nobody);
    cluster.write("users/alice.yaml", &user("alice", &["viewer"]));
    refused("Demote alice", &nobody);
    cluster.write("users/alice.yaml", &format!("{alice}  disabled: true\n"));
    let disabled = at(
        "users/alice.yaml",
        7,
        &["no admin would remain: alice is disabled"],
    );
    refused("Disable alice", &disabled);
    let expires = "  expires: 2099-01-01T00:00:00Z\n";
    cluster.write("users/alice.yaml", &format!("{alice}{expires}"));
    let expires = at(
        "users/alice.yaml",
        7,
        &["no permanent admin would remain", "alice"],
    );
    refused("Let alice expire", &expires);
}

#[test]
fn mass_removal_takes_a_trailer_with_the_exact_count() {
    let cluster = Cluster::started_with(Options {
        machines: 10,
        ..Options::default()
    });
    let take_six = || {
        for number in 1..=6 {
            cluster.remove(&format!("machines/m{number}.yaml"));
        }
    };
    take_six();
    refused(&cluster, "Remove six of ten", &whole(&["machine=6"]));
    for wrong in ["machine=5", "machine=7", "user=6", "machine=all"] {
        take_six();
        let message = format!("Remove six\n\nBanyan-Allow-Removals: {wrong}");
        refused(&cluster, &message, &whole(&["machine=6"]));
    }
    // In the body, not among the trailers at the end.
    take_six();
    let message = "Remove six\n\nBanyan-Allow-Removals: machine=6\n\nbecause they are old.";
    refused(&cluster, message, &whole(&["machine=6"]));

    take_six();
    cluster.apply("Remove six\n\nBanyan-Allow-Removals: machine=6");
    let left: Vec<_> = cluster.machines().into_iter().map(|m| m.name).collect();
    assert_eq!(left, ["m10", "m7", "m8", "m9"]);
}

#[test]
fn dripping_does_not_get_round_the_share_and_a_restart_does_not_forget_it() {
    let mut cluster = Cluster::started_with(Options {
        machines: 10,
        ..Options::default()
    });
    for number in 1..=5 {
        cluster.remove(&format!("machines/m{number}.yaml"));
        cluster.apply("Remove one");
    }
    cluster.kill9();
    cluster.start();
    cluster.remove("machines/m6.yaml");
    refused(
        &cluster,
        "Remove one more",
        &whole(&["6 of 10 within a day", "m6", "machine=1"]),
    );
}

#[test]
fn a_whole_kind_cannot_go_and_neither_can_everything() {
    let cluster = Cluster::started();
    cluster.remove("machines");
    refused(&cluster, "No machines", &whole(&["all 3", "machine=3"]));

    let good = cluster.status().applied.unwrap().id;
    let (generation, picture) = (cluster.status().generation, cluster.picture());
    cluster.repo.git(["rm", "-r", "--quiet", "."]).unwrap();
    let commit = cluster.push("Nothing at all");
    let status = cluster.await_decision(&commit);
    assert_eq!(status.state, "refused");
    assert!(
        status
            .findings
            .iter()
            .any(|f| f.message.contains("Cluster")),
        "{status:#?}"
    );
    assert_eq!(
        (status.generation, cluster.picture()),
        (generation, picture)
    );
    mended(&cluster, &good);
}

#[test]
fn a_protected_machine_and_the_engines_recipient_stay() {
    let cluster = Cluster::started_with(Options {
        machines: 5,
        ..Options::default()
    });
    let protected = format!("{}  protected: true\n", cluster.read("machines/m1.yaml"));
    cluster.write("machines/m1.yaml", &protected);
    cluster.apply("Protect m1");
    cluster.remove("machines/m1.yaml");
    let expected = Expected {
        path: "machines/m1.yaml",
        line: 1,
        words: &["m1 is protected"],
    };
    refused(
        &cluster,
        "Remove it\n\nBanyan-Allow-Removals: machine=1",
        &expected,
    );

    let text = cluster.read("cluster.yaml");
    let (_, _, other) = banyan_manifest::Identities::generate();
    let own = cluster.recipients().first().unwrap();
    cluster.write("cluster.yaml", &text.replace(&own.0, &other.0));
    let commit = cluster.push("Another recipient");
    let status = cluster.await_decision(&commit);
    assert_eq!(status.state, "refused", "{status:#?}");
    assert!(
        status
            .findings
            .iter()
            .all(|f| f.path.ends_with(".yaml") && f.line > 0),
        "{status:#?}"
    );
}
