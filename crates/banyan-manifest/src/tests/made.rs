//! What is made new loads without a finding.

use banyan_core::{Kind, MachineType, Recipient};
use proptest::prelude::*;

use super::{KEY, Warm, identities, load_with, recipients, repo, sealed, secret};
use crate::PUBLIC_KEY;
use crate::scaffold::{NewKey, NewMachine, NewUser, cluster, machine, role, user};

fn remarked() -> Vec<(Recipient, String)> {
    let ssh = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICEaopw9+uEoltljAV4Z2N1osjxPovBh7Rmguc4+Oo0w";
    vec![
        (secret().1.clone(), "the engine\n- age1evil".to_owned()),
        (Recipient(ssh.to_owned()), String::new()),
    ]
}

fn new_user(name: &str, roles: &[&str], email: Option<&str>) -> NewUser {
    NewUser {
        name: name.parse().unwrap(),
        roles: roles.iter().map(|role| role.parse().unwrap()).collect(),
        email: email.map(str::to_owned),
        expires: Some("2040-01-01T00:00:00Z".parse().unwrap()),
    }
}

fn new_machine(name: &str, key: NewKey) -> NewMachine {
    NewMachine {
        name: name.parse().unwrap(),
        machine_type: MachineType::Agent,
        key,
        endpoint: Some("[2001:db8::1]:51820".parse().unwrap()),
        mesh_address: Some("10.201.0.9".parse().unwrap()),
        routes: vec![
            "192.168.0.0/24".parse().unwrap(),
            "fd00::/64".parse().unwrap(),
        ],
    }
}

#[test]
fn the_text_is_as_a_person_would_write_it() {
    insta::assert_snapshot!(user(&new_user("alice", &["admin", "123"], Some("a@example.org"))), @r#"
    apiVersion: banyan/v1
    kind: User
    metadata:
      name: alice
    spec:
      roles: [admin, "123"]
      email: a@example.org
      expires: 2040-01-01T00:00:00Z
    "#);
    insta::assert_snapshot!(machine(&new_machine("off", NewKey::Plain(KEY.parse().unwrap()))), @r#"
    apiVersion: banyan/v1
    kind: Machine
    metadata:
      name: "off"
    spec:
      type: agent
      publicKey:
        plain: "y/xUY4hUb/bH2i5OVLMPtS3fdGcKQ3eaKTkBVqZqZEc="
      endpoint: "[2001:db8::1]:51820"
      meshAddress: 10.201.0.9
      routes: [192.168.0.0/24, fd00::/64]
    "#);
    insta::assert_snapshot!(role(&"ops".parse().unwrap(), &["*".parse().unwrap(), "a:*".parse().unwrap()]), @r#"
    apiVersion: banyan/v1
    kind: Role
    metadata:
      name: ops
    spec:
      permissions: ["*", "a:*"]
    "#);
}

#[test]
fn everything_that_is_made_loads_without_a_finding() {
    let armored = sealed(Kind::Machine, "sealed", PUBLIC_KEY, KEY);
    let made = repo([
        (
            "cluster.yaml",
            &cluster(&"demo".parse().unwrap(), &remarked(), false),
        ),
        (
            "role.yaml",
            &role(
                &"ops".parse().unwrap(),
                &["*".parse().unwrap(), "a:*".parse().unwrap()],
            ),
        ),
        ("user.yaml", &user(&new_user("null", &[], None))),
        (
            "plain.yaml",
            &machine(&new_machine("plain", NewKey::Plain(KEY.parse().unwrap()))),
        ),
        (
            "sealed.yaml",
            &machine(&new_machine("sealed", NewKey::Sealed(armored))),
        ),
    ]);
    let loaded = load_with(&mut Warm::new(Some(identities())), &made);
    assert_eq!(loaded.findings, []);
    let spec = &loaded.documents().clusters[0].spec;
    assert!(!spec.require_sealed);
    let found: Vec<Recipient> = spec.recipients.iter().map(|r| r.value.clone()).collect();
    assert_eq!(
        found,
        remarked().into_iter().map(|(r, _)| r).collect::<Vec<_>>()
    );
    assert!(recipients().contains(&found[0]));
    assert_eq!(loaded.documents().machines[0].spec.routes.len(), 2);
}

proptest! {
    #[test]
    fn any_name_address_and_permission_survives(
        name in "[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?|no|null|true|0x1f|1e3|0o17",
        email in prop::option::of("[!-~&&[^@]]{1,8}@[!-~&&[^@]]{1,8}"),
        permission in "[a-z0-9_.-]{1,6}:([a-z0-9_.-]{1,6}|\\*)|\\*",
    ) {
        let permission: banyan_core::Permission = permission.parse().unwrap();
        let made = repo([
            ("user.yaml", &user(&new_user(&name, &[&name], email.as_deref()))),
            ("role.yaml", &role(&name.parse().unwrap(), std::slice::from_ref(&permission))),
        ]);
        let loaded = load_with(&mut Warm::new(None), &made);
        prop_assert_eq!(&loaded.findings, &[]);
        let user = &loaded.documents().users[0];
        prop_assert_eq!(user.name.value.as_str(), name.as_str());
        prop_assert_eq!(&user.spec.email, &email);
        prop_assert_eq!(&loaded.documents().roles[0].spec.permissions[0].value, &permission);
    }
}
