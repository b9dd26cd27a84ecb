//! Documents for tests of this crate and those above it: a small valid repo and parts that break it.
//!
//! All texts are constants of this module, so a text that does not parse is a bug here and fails the test.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{
    AdmitContext, At, ClusterSpec, CommitId, CommitInfo, Document, Documents, Guards, MachineSpec,
    MachineType, Pos, PublicKey, Recipient, RoleSpec, Sealed, UserSpec, recipients_digest,
};

fn made<T: std::str::FromStr>(text: &str) -> T {
    text.parse()
        .unwrap_or_else(|_| unreachable!("{text} is no {}", std::any::type_name::<T>()))
}

/// An instant.
#[must_use]
pub fn t(text: &str) -> Timestamp {
    made(text)
}

/// A position on this line.
#[must_use]
pub fn pos(line: u32) -> Pos {
    Pos { line, column: 3 }
}

fn document<T>(kind: &str, name: &str, spec: T) -> Arc<Document<T>> {
    Arc::new(Document {
        name: At::new(made(name), pos(3)),
        labels: Default::default(),
        path: format!("{kind}/{name}.yaml").into(),
        pos: Pos { line: 1, column: 1 },
        spec,
    })
}

/// The recipients of [`cluster`].
#[must_use]
pub fn recipients() -> Vec<Recipient> {
    vec![Recipient("age1engine".into()), Recipient("age1ops".into())]
}

/// A cluster with default settings.
#[must_use]
pub fn cluster(name: &str) -> Arc<Document<ClusterSpec>> {
    let spec = ClusterSpec {
        control_range: At::new(made("10.200.0.0/16"), pos(5)),
        mesh_range: At::new(made("10.201.0.0/16"), pos(6)),
        recipients: recipients()
            .into_iter()
            .map(|r| At::new(r, pos(8)))
            .collect(),
        guards: Guards::default(),
        require_sealed: true,
    };
    document("cluster", name, spec)
}

/// A user.
#[must_use]
pub fn user(name: &str, roles: &[&str]) -> Arc<Document<UserSpec>> {
    let spec = UserSpec {
        roles: roles.iter().map(|r| At::new(made(r), pos(4))).collect(),
        email: None,
        disabled: None,
        expires: None,
        password_hash: None,
    };
    document("users", name, spec)
}

/// A role.
#[must_use]
pub fn role(name: &str, permissions: &[&str]) -> Arc<Document<RoleSpec>> {
    let permissions = permissions
        .iter()
        .map(|p| At::new(made(p), pos(4)))
        .collect();
    document("roles", name, RoleSpec { permissions })
}

/// A key; each seed from 2 on gives a different one.
#[must_use]
pub fn key(seed: u8) -> PublicKey {
    match PublicKey::from_bytes([seed.max(2); 32]) {
        Ok(key) => key,
        Err(error) => unreachable!("{error}"),
    }
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

/// A machine, sealed for [`recipients`].
#[must_use]
pub fn machine(name: &str, seed: u8) -> Arc<Document<MachineSpec>> {
    machine_with(name, seed, &recipients())
}

/// A machine, sealed for another recipient.
#[must_use]
pub fn sealed_for(name: &str, seed: u8, recipient: &str) -> Arc<Document<MachineSpec>> {
    machine_with(name, seed, &[Recipient(recipient.into())])
}

/// Two admins, a viewer, two machines.
#[must_use]
pub fn documents() -> Documents {
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

/// A commit.
#[must_use]
pub fn commit(number: u8) -> CommitInfo {
    CommitInfo {
        id: CommitId::from_sha1([number; 20]),
        author: "Ada <ada@example.org>".to_owned(),
        committed_at: t("2026-01-01T00:00:00Z"),
        summary: format!("commit {number}"),
        trailers: Vec::new(),
    }
}

/// A context whose guards prevent nothing but the loss of the last admin.
#[must_use]
pub fn lenient(now: Timestamp) -> AdmitContext<'static> {
    AdmitContext {
        guards: Guards {
            max_removed_percent: 100,
            max_removed: u32::MAX,
        },
        engine_recipients: &[],
        recent: &[],
        people: &crate::people::NOBODY,
        made_of: None,
        now,
    }
}
