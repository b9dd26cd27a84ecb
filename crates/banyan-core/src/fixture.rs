//! Documents for tests: a small sound repo and parts to break it with.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{
    At, ClusterSpec, Document, Documents, Guards, MachineSpec, MachineType, Pos, PublicKey,
    Recipient, RoleSpec, Sealed, UserSpec, recipients_digest,
};

pub(crate) fn t(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn pos(line: u32) -> Pos {
    Pos { line, column: 3 }
}

fn document<T>(kind: &str, name: &str, spec: T) -> Arc<Document<T>> {
    Arc::new(Document {
        name: At::new(name.parse().unwrap(), pos(3)),
        labels: Default::default(),
        path: format!("{kind}/{name}.yaml").into(),
        pos: Pos { line: 1, column: 1 },
        spec,
    })
}

pub(crate) fn recipients() -> Vec<Recipient> {
    vec![Recipient("age1engine".into()), Recipient("age1ops".into())]
}

pub(crate) fn cluster(name: &str) -> Arc<Document<ClusterSpec>> {
    let spec = ClusterSpec {
        control_range: At::new("10.200.0.0/16".parse().unwrap(), pos(5)),
        mesh_range: At::new("10.201.0.0/16".parse().unwrap(), pos(6)),
        recipients: recipients()
            .into_iter()
            .map(|r| At::new(r, pos(8)))
            .collect(),
        guards: Guards::default(),
        require_sealed: true,
    };
    document("cluster", name, spec)
}

pub(crate) fn user(name: &str, roles: &[&str]) -> Arc<Document<UserSpec>> {
    let spec = UserSpec {
        roles: roles
            .iter()
            .map(|r| At::new(r.parse().unwrap(), pos(4)))
            .collect(),
        email: None,
        disabled: None,
        expires: None,
        password_hash: None,
    };
    document("users", name, spec)
}

pub(crate) fn role(name: &str, permissions: &[&str]) -> Arc<Document<RoleSpec>> {
    let permissions = permissions
        .iter()
        .map(|p| At::new(p.parse().unwrap(), pos(4)))
        .collect();
    document("roles", name, RoleSpec { permissions })
}

pub(crate) fn key(seed: u8) -> PublicKey {
    PublicKey::from_bytes([seed.max(2); 32]).unwrap()
}

fn machine_with(name: &str, seed: u8, recipients: &[Recipient]) -> Arc<Document<MachineSpec>> {
    let sealed = Sealed::Opened {
        value: key(seed),
        recipients: recipients_digest(recipients),
    };
    let spec = MachineSpec {
        machine_type: MachineType::Agent,
        public_key: At::new(sealed, pos(6)),
        endpoint: None,
        mesh_address: None,
        routes: Vec::new(),
        expires: None,
        protected: false,
    };
    document("machines", name, spec)
}

pub(crate) fn machine(name: &str, seed: u8) -> Arc<Document<MachineSpec>> {
    machine_with(name, seed, &recipients())
}

pub(crate) fn sealed_for(name: &str, seed: u8, recipient: &str) -> Arc<Document<MachineSpec>> {
    machine_with(name, seed, &[Recipient(recipient.into())])
}

/// Two admins, a viewer, two machines.
pub(crate) fn documents() -> Documents {
    Documents {
        clusters: vec![cluster("demo")],
        users: vec![
            user("alice", &["admin"]),
            user("bob", &["admin"]),
            user("vera", &["viewer"]),
        ],
        roles: Vec::new(),
        machines: vec![machine("worker-1", 1), machine("worker-2", 3)],
    }
}
