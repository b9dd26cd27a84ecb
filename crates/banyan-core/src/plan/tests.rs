use std::sync::Arc;

use super::*;
use crate::fixture::{documents, machine, pos, role, t, user};
use crate::{At, CommitInfo, Documents, admit, check};

const NOW: &str = "2026-01-01T00:00:00Z";

fn target(in_force: &InForce, documents: &Documents, number: u8) -> Target {
    let commit = CommitInfo {
        id: crate::CommitId::from_sha1([number; 20]),
        author: String::new(),
        committed_at: t(NOW),
        summary: String::new(),
        trailers: vec![("Banyan-Allow-Removals".into(), "machine=2".into())],
    };
    let circumstances = crate::AdmitContext {
        guards: crate::Guards::default(),
        engine_recipients: &[],
        recent: &[],
        people: &crate::people::NOBODY,
        made_of: None,
        now: t(NOW),
    };
    admit(
        in_force,
        &check(documents, Vec::new(), t(NOW)).unwrap(),
        &commit,
        &circumstances,
    )
    .unwrap()
}

fn state(documents: &Documents) -> InForce {
    let target = target(&InForce::default(), documents, 1);
    InForce {
        applied: Some(target.applied().clone()),
        objects: target.objects().clone(),
    }
}

fn shown(before: &Documents, after: &Documents) -> String {
    let in_force = state(before);
    plan(&in_force, &target(&in_force, after, 2), t(NOW)).to_string()
}

#[test]
fn the_first_commit_adds_everything() {
    let first = plan(
        &InForce::default(),
        &target(&InForce::default(), &documents(), 1),
        t(NOW),
    );
    insta::assert_snapshot!(first, @"
    + cluster demo
    + user alice: admin
    + user bob: admin
    + user vera: viewer
    + machine worker-1: agent, 10.200.32.102
    + machine worker-2: agent, 10.200.200.198

    Effect:
      user alice gains *
      user bob gains *
      user vera gains containers:read, deployments:read, logs:read, password:change, status:read
      peer worker-1 joins the private network
      peer worker-2 joins the private network

    Plan: 6 to add, 0 to change, 0 to remove.
    ");
}

#[test]
fn a_plan_states_each_change_and_its_effect() {
    let mut before = documents();
    before
        .roles
        .push(role("operator", &["logs:read", "users:read"]));
    before.users.push(user("olga", &["operator"]));
    let mut after = documents();
    after.roles.push(role("operator", &["logs:*"]));
    after.users.push(user("olga", &["operator"]));
    after.users.push(user("nina", &["deployer"]));
    let mut vera = (*user("vera", &["viewer"])).clone();
    vera.spec.disabled = Some(At::new(true, pos(5)));
    after.users[2] = vera.into();
    after.machines = vec![machine("worker-1", 77), machine("laptop", 5)];
    insta::assert_snapshot!(shown(&before, &after), @"
    ~ role operator: permissions: - logs:read, - users:read, + logs:*
    + user nina: deployer
    ~ user vera: disabled: false → true
    + machine laptop: agent, 10.200.136.202
    ~ machine worker-1: publicKey: replaced; control address: 10.200.32.102 → 10.200.58.3
    - machine worker-2 (machines/worker-2.yaml:1)

    Effect:
      user nina gains containers:read, deployments:*, logs:read, password:change, secrets:read, status:read
      user olga gains logs:*
      user olga loses users:read
      user vera loses containers:read, deployments:read, logs:read, password:change, status:read
      peer laptop joins the private network
      peer worker-1 is cut off under its old key and joins under its new one
      peer worker-2 is cut off from the private network

    Plan: 2 to add, 3 to change, 1 to remove.
    ");
}

#[test]
fn a_move_is_said_and_has_no_effect() {
    let mut after = documents();
    let mut moved = (*after.machines[0]).clone();
    moved.path = "sites/berlin.yaml".into();
    after.machines[0] = Arc::new(moved);
    insta::assert_snapshot!(shown(&documents(), &after), @"
    ~ machine worker-1: moved (machines/worker-1.yaml:1) → (sites/berlin.yaml:1)

    Effect: nobody gains or loses anything.

    Plan: 0 to add, 1 to change, 0 to remove.
    ");
    assert_eq!(shown(&documents(), &documents()), "Nothing changes.\n");
}

#[test]
fn a_plan_never_shows_a_key() {
    let mut after = documents();
    after.machines[0] = machine("worker-1", 99);
    let text = shown(&documents(), &after);
    assert!(text.contains("publicKey: replaced"));
    for seed in [1, 3, 99] {
        assert!(!text.contains(&crate::fixture::key(seed).to_string()));
    }
}

#[test]
fn an_object_is_explained_with_its_origin_and_what_it_implies() {
    let mut repo = documents();
    repo.roles.push(role("operator", &["logs:read"]));
    repo.users.push(user("olga", &["operator", "viewer"]));
    let in_force = state(&repo);
    let directory = crate::people::Directory {
        objects: &in_force.objects,
        people: &crate::people::NOBODY,
    };
    let explain = |kind, name: &str| {
        let e = directory
            .explain(kind, &name.parse().unwrap(), t(NOW))
            .unwrap();
        format!(
            "{:?} {} {} {:?}\n{}",
            e.kind,
            e.name,
            e.state.word,
            e.origin,
            e.implies.join("\n")
        )
    };
    insta::assert_snapshot!(explain(crate::Kind::User, "olga"), @r#"
    User olga active Some(Git { commit: 0101010101010101010101010101010101010101, path: "users/olga.yaml", line: 1 })
    has containers:read through role viewer
    has deployments:read through role viewer
    has logs:read through role operator, viewer
    has password:change through role viewer
    has status:read through role viewer
    "#);
    insta::assert_snapshot!(explain(crate::Kind::Machine, "worker-1"), @r#"
    Machine worker-1 active Some(Git { commit: 0101010101010101010101010101010101010101, path: "machines/worker-1.yaml", line: 1 })
    is a peer of the control tunnel at 10.200.32.102 and fd62:616e:7961:dea7:11bd:28e6:ddbf:acf7
    "#);
    insta::assert_snapshot!(explain(crate::Kind::Role, "operator"), @r#"
    Role operator in-force Some(Git { commit: 0101010101010101010101010101010101010101, path: "roles/operator.yaml", line: 1 })
    permits logs:read
    held by olga
    "#);
    insta::assert_snapshot!(explain(crate::Kind::Role, "viewer"), @"
    Role viewer built-in None
    permits containers:read, deployments:read, logs:read, password:change, status:read
    held by olga, vera
    ");
    assert!(
        directory
            .explain(crate::Kind::User, &"nobody".parse().unwrap(), t(NOW))
            .is_none()
    );
}
