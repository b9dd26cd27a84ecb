//! Managing engines, through any of them.

use anyhow::ensure;
use banyan_testkit::netns::until;

use super::fleet;
use crate::harness::{Cluster, PATIENCE, text, user};

fn listed(cluster: &Cluster) -> serde_json::Value {
    let list = cluster.banyan_ok(&["engine", "list", "-o", "json"]);
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    list["engines"].clone()
}

#[test]
fn a_commit_is_accepted_through_an_engine_that_follows() {
    let engines = fleet(2);
    let (leader, follower) = (&engines[0], &engines[1]);
    let old = leader.status().applied.unwrap().id;
    leader.write("users/nina.yaml", &user("nina", &["viewer"]));
    let good = leader.apply("Add nina").generation;
    leader.repo.reset(&old).unwrap();
    leader.repo.force_push().unwrap();
    assert_eq!(follower.await_decision(&old).state, "refused");
    let output = follower.banyan(&["gitops", "accept", &old]);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}{}", text(&output.stdout));
    let expected = format!("generation {} is in force after {good}", good + 1);
    assert!(said.contains(&expected), "{said}");
    assert_eq!(leader.status().applied.unwrap().id, old);
    assert_eq!(leader.picture(), follower.picture());
}

#[test]
fn an_engine_is_removed_once_it_does_not_run_and_not_before() {
    let mut engines = fleet(2);
    let refused = engines[0].banyan(&["engine", "remove", "engine-2"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("stop it first"));
    assert_eq!(listed(&engines[0]).as_array().unwrap().len(), 2);

    engines[1].kill9();
    let gone = until(PATIENCE, || {
        let list = listed(&engines[0]);
        ensure!(list[1]["alive"] == false, "{list}");
        Ok(list)
    });
    let list = gone.unwrap();
    assert_eq!(
        (&list[0]["self"], &list[0]["leads"]),
        (&true.into(), &true.into())
    );
    assert_eq!(
        (&list[1]["name"], &list[1]["host"]),
        (&"engine-2".into(), &serde_json::Value::Null)
    );
    engines[0].banyan_ok(&["engine", "remove", "engine-2"]);
    assert_eq!(listed(&engines[0]).as_array().unwrap().len(), 1);
    assert_eq!(engines[0].itself().engines, 1);
}
