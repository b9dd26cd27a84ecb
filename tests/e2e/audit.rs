//! The audit log of a running engine, as a backup carries it.

use banyan_core::audit::{AuditEntry, Head, Link, Outcome, verify};
use banyan_testkit::netns::until;

use anyhow::ensure;

use crate::harness::{Backup, Cluster, PATIENCE, user};

/// The log in a backup, which must contain exactly one, complete.
#[track_caller]
fn log(backup: &Backup) -> (Head, Vec<AuditEntry>) {
    let under = |prefix: &'static str| {
        let all = backup.entries.iter();
        all.filter_map(move |(key, value)| Some((key.strip_prefix(prefix)?, value)))
    };
    let heads: Vec<(&str, Head)> = under("audit1-head/")
        .map(|(engine, head)| (engine, serde_json::from_str(head).unwrap()))
        .collect();
    let [(engine, head)] = heads[..] else {
        panic!("{heads:?}");
    };
    let links: Vec<Link> = under("audit1/")
        .map(|(_, link)| serde_json::from_str(link).unwrap())
        .collect();
    verify(&engine.parse().unwrap(), &links, head, None).unwrap();
    let read = |link: &Link| serde_json::from_str(&link.entry).unwrap();
    (head, links.iter().map(read).collect())
}

fn actions(entries: &[AuditEntry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.action.as_str()).collect()
}

#[test]
fn what_becomes_of_commits_is_in_a_log_that_a_restore_carries_on() {
    let mut cluster = Cluster::started();
    let first = cluster.status().applied.unwrap().id;
    cluster.write("users/zoe.yaml", &user("zoe", &["no-such-role"]));
    let refused = cluster.push("Zoe");
    let status = cluster.await_decision(&refused);
    assert_eq!(status.state, "refused", "{status:#?}");
    cluster.write("users/zoe.yaml", &user("zoe", &["viewer"]));
    let applied = cluster.apply("Zoe, who views");
    let applied = applied.applied.unwrap().id;
    cluster.backup("one");
    // The backup is itself an entry, which the next one contains.
    let two = cluster.backup("two");
    let (head, entries) = log(&two);
    assert_eq!(
        actions(&entries),
        [
            "gitops.applied",
            "gitops.refused",
            "gitops.applied",
            "state.backup"
        ]
    );
    for (entry, commit) in entries.iter().zip([first, refused, applied]) {
        assert_eq!(entry.commit.unwrap().to_string(), commit);
    }
    let Outcome::Refused { reason } = &entries[1].outcome else {
        panic!("{entries:#?}");
    };
    assert!(reason.as_str().contains("no-such-role"), "{reason}");
    let by = serde_json::to_string(&entries[3].actor).unwrap();
    assert!(by.starts_with(r#"{"kind":"host","uid":"#), "{by}");

    assert!(cluster.terminate().success());
    let stopped = cluster.backup("stopped");
    let (later, _) = log(&stopped);
    assert_eq!(later.seq, head.seq + 1);
    cluster.restore(&two.file);
    cluster.start();
    let after = until(PATIENCE, || {
        let after = cluster.backup("after");
        let (_, entries) = log(&after);
        // A backup is taken before its own entry is written, so it does not contain it.
        ensure!(entries.len() > 5, "{entries:#?}");
        Ok(entries)
    });
    let after = after.unwrap();
    assert_eq!(after[..4], entries);
    assert_eq!(after[4].action.as_str(), "state.restored");
}
