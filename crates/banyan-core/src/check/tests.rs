use super::*;
use crate::fixture::{cluster, documents, machine, pos, role, sealed_for, t, user};
use proptest::prelude::*;

fn shown(documents: &Documents) -> String {
    let findings = match check(documents, Vec::new(), t("2026-01-01T00:00:00Z")) {
        Ok(checked) => checked.warnings().to_vec(),
        Err(findings) => findings,
    };
    findings.iter().map(|f| format!("{f}\n")).collect()
}

#[test]
fn a_sound_repo_has_no_findings() {
    assert_eq!(shown(&documents()), "");
}

#[test]
fn a_repo_needs_exactly_one_cluster() {
    let mut repo = documents();
    let second = cluster("two");
    repo.clusters.push(second);
    insta::assert_snapshot!(shown(&repo), @"cluster/two.yaml:1:1: error: a second Cluster; the first is at cluster/demo.yaml:1 (keep one of them)");
    repo.clusters.clear();
    insta::assert_snapshot!(shown(&repo), @"(repository): error: there is no Cluster document (a repo has exactly one; `banyan repo init` writes it)");
}

#[test]
fn names_and_keys_are_unique() {
    let mut repo = documents();
    repo.users.push(user("alice", &["viewer"]));
    repo.machines.push(machine("other", 1));
    insta::assert_snapshot!(shown(&repo), @"
    machines/worker-1.yaml:6:3: error: machine worker-1 has the same public key as machine other (machines/other.yaml:1) (every machine needs its own key; generate a new one for one of them)
    users/alice.yaml:3:3: error: user alice is declared twice; first at users/alice.yaml:1 (rename or remove one of them)
    ");
}

#[test]
fn roles_must_exist_and_not_be_built_in_and_should_be_used() {
    let mut repo = documents();
    repo.users.push(user("carol", &["operater", "xyz"]));
    repo.roles.push(role(
        "operator",
        &["user:read", "users:reed", "logs:*", "user:*", "billing:run"],
    ));
    repo.roles.push(role("admin", &["*"]));
    insta::assert_snapshot!(shown(&repo), @"
    roles/admin.yaml:3:3: error: role admin is built in and cannot be declared (choose another name)
    roles/operator.yaml:3:3: warning: no user has role operator
    roles/operator.yaml:4:3: warning: user:* is not a permission of the engine, but resembles users:* (keep it if another service uses it)
    roles/operator.yaml:4:3: warning: user:read is not a permission of the engine, but resembles users:read (keep it if another service uses it)
    roles/operator.yaml:4:3: warning: users:reed is not a permission of the engine, but resembles users:read (keep it if another service uses it)
    users/carol.yaml:4:3: error: there is no role operater (did you mean operator?)
    users/carol.yaml:4:3: error: there is no role xyz (declare it, or use admin, deployer or viewer)
    ");
}

#[test]
fn routes_do_not_overlap_each_other_nor_the_tunnels() {
    let mut repo = documents();
    let mut one = (*machine("r-one", 11)).clone();
    let mut two = (*machine("r-two", 12)).clone();
    one.spec.routes = ["192.168.0.0/16", "10.200.7.0/24"]
        .map(|r| At::new(r.parse().unwrap(), pos(9)))
        .to_vec();
    two.spec.routes = [
        "192.168.3.0/24",
        "10.0.0.0/8",
        "fd62:616e:7961:1::/64",
        "172.16.0.0/24",
    ]
    .map(|r| At::new(r.parse().unwrap(), pos(9)))
    .to_vec();
    repo.machines.push(one.into());
    repo.machines.push(two.into());
    insta::assert_snapshot!(shown(&repo), @"
    machines/r-one.yaml:9:3: error: route 10.200.7.0/24 overlaps route 10.0.0.0/8 of machine r-two (machines/r-two.yaml:9) (a subnet can be behind one machine only)
    machines/r-one.yaml:9:3: error: route 10.200.7.0/24 overlaps the control range 10.200.0.0/16 (the tunnels' own addresses cannot be routed elsewhere)
    machines/r-two.yaml:9:3: error: route 192.168.3.0/24 overlaps route 192.168.0.0/16 of machine r-one (machines/r-one.yaml:9) (a subnet can be behind one machine only)
    machines/r-two.yaml:9:3: error: route 10.0.0.0/8 overlaps the control range 10.200.0.0/16 (the tunnels' own addresses cannot be routed elsewhere)
    machines/r-two.yaml:9:3: error: route 10.0.0.0/8 overlaps the mesh range 10.201.0.0/16 (the tunnels' own addresses cannot be routed elsewhere)
    machines/r-two.yaml:9:3: error: route fd62:616e:7961:1::/64 overlaps the control range fd62:616e:7961::/48 (the tunnels' own addresses cannot be routed elsewhere)
    ");
}

#[test]
fn mesh_addresses_lie_in_the_range_and_belong_to_one_machine() {
    let mut repo = documents();
    for (n, address) in ["10.201.0.9", "10.201.0.9", "10.9.0.1", "10.201.255.255"]
        .iter()
        .enumerate()
    {
        let mut one = (*machine(&format!("mesh-{n}"), 20 + n as u8)).clone();
        one.spec.mesh_address = Some(At::new(address.parse().unwrap(), pos(8)));
        repo.machines.push(one.into());
    }
    insta::assert_snapshot!(shown(&repo), @"
    machines/mesh-1.yaml:8:3: error: mesh address 10.201.0.9 is taken by machine mesh-0 (choose another, or omit the field)
    machines/mesh-2.yaml:8:3: error: mesh address 10.9.0.1 is not a host address in the mesh range 10.201.0.0/16 (choose one in the range, or omit the field)
    machines/mesh-3.yaml:8:3: error: mesh address 10.201.255.255 is not a host address in the mesh range 10.201.0.0/16 (choose one in the range, or omit the field)
    ");
}

#[test]
fn a_lasting_admin_must_remain_and_the_finding_points_at_the_cause() {
    let mut repo = documents();
    let mut alice = (*user("alice", &["admin"])).clone();
    alice.spec.disabled = Some(At::new(true, pos(5)));
    let mut bob = (*user("bob", &["admin"])).clone();
    bob.spec.expires = Some(At::new(t("2027-01-01T00:00:00Z"), pos(6)));
    repo.users = vec![alice.into(), bob.into()];
    insta::assert_snapshot!(shown(&repo), @"
    users/alice.yaml:5:3: error: no admin would remain: alice is disabled (one enabled user without `expires` must hold `*`, for example through the role admin)
    users/bob.yaml:6:3: error: no permanent admin would remain: bob expires at 2027-01-01T00:00:00Z (one enabled user without `expires` must hold `*`, for example through the role admin)
    ");
    repo.users = vec![user("alice", &["viewer"])];
    insta::assert_snapshot!(shown(&repo), @"cluster/demo.yaml:1:1: error: no admin would remain: no user holds `*` (one enabled user without `expires` must hold `*`, for example through the role admin)");
    // A custom role that grants `*` counts like the built-in one.
    repo.users = vec![user("alice", &["root"])];
    repo.roles.push(role("root", &["*"]));
    assert_eq!(shown(&repo), "");
}

#[test]
fn plain_keys_need_the_clusters_permission_and_sealed_ones_its_recipients() {
    let mut repo = documents();
    repo.machines
        .push(sealed_for("other-recipients", 30, "age1else"));
    let mut plain = (*machine("plain", 31)).clone();
    plain.spec.public_key.value = Sealed::Plain(*plain.spec.public_key.value.value().unwrap());
    repo.machines.push(plain.into());
    insta::assert_snapshot!(shown(&repo), @"
    machines/other-recipients.yaml:6:3: error: sealed for recipients other than the Cluster's (seal it again with `banyan seal`)
    machines/plain.yaml:6:3: error: this value must be sealed (seal it with `banyan seal`, or for keys set `requireSealed: false` in the Cluster)
    ");
}

#[test]
fn expired_objects_are_warned_about_and_the_repo_stays_valid() {
    let mut repo = documents();
    let mut carol = (*user("carol", &["viewer"])).clone();
    carol.spec.expires = Some(At::new(t("2025-12-31T23:59:59Z"), pos(7)));
    repo.users.push(carol.into());
    assert!(check(&repo, Vec::new(), t("2026-01-01T00:00:00Z")).is_ok());
    insta::assert_snapshot!(shown(&repo), @"users/carol.yaml:7:3: warning: user carol expired at 2025-12-31T23:59:59Z and is inactive (remove it, or set a later `expires`)");
}

#[test]
fn what_could_not_be_read_is_not_also_called_missing() {
    let unreadable = Finding::whole(&"cluster.yaml".into(), "yaml", "broken");
    let found = check(
        &Documents::default(),
        vec![unreadable],
        t("2026-01-01T00:00:00Z"),
    )
    .unwrap_err();
    assert_eq!(found.len(), 1);
}

proptest! {
    #[test]
    fn the_order_of_documents_does_not_matter(seed in any::<[u8; 8]>()) {
        let mut repo = documents();
        repo.users.push(user("zed", &["nobody"]));
        repo.users.push(user("yan", &["viewer"]));
        let expected = shown(&repo);
        // A shuffle derived from the seed: the same documents in another order.
        repo.users.sort_by_key(|u| u.name.value.as_str().bytes().map(|b| seed[usize::from(b % 8)]).collect::<Vec<_>>());
        repo.machines.sort_by_key(|m| m.name.value.as_str().bytes().map(|b| seed[usize::from(b % 8)]).collect::<Vec<_>>());
        prop_assert_eq!(shown(&repo), expected);
    }
}
