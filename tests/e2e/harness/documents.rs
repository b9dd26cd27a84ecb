//! The documents of the cluster under test.

use std::collections::BTreeSet;

use banyan_core::{Kind, MachineType, Name, PublicKey, Recipient, SecretText};
use banyan_manifest::scaffold::{self, NewKey, NewMachine, NewUser};
use banyan_manifest::{PUBLIC_KEY, Payload, seal};
use banyan_wireguard::PrivateKey;

use super::Cluster;

impl Cluster {
    /// The cluster's recipient: the engine.
    pub(crate) fn recipients(&self) -> &BTreeSet<Recipient> {
        &self.recipients
    }

    /// The `Cluster` document, which names the engine's recipient.
    pub(crate) fn cluster_document(&self) -> String {
        let remark = |r: &Recipient| (r.clone(), "the engine".to_owned());
        let recipients: Vec<_> = self.recipients.iter().map(remark).collect();
        scaffold::cluster(&name("test"), &recipients, true)
    }

    /// The document of a machine with a new key, which is stored here under its name.
    pub(crate) fn new_machine(&mut self, machine: &str) -> String {
        let key = PrivateKey::generate().unwrap();
        let document = self.machine(machine, key.public_key());
        self.machine_keys.insert(machine.to_owned(), key);
        document
    }

    /// The document of a machine with this key, sealed.
    pub(crate) fn machine(&self, machine: &str, key: PublicKey) -> String {
        machine_for(machine, key, &self.recipients)
    }

    /// The private key of a machine of [`Self::new_machine`], the newest under that name.
    pub(crate) fn machine_key(&self, machine: &str) -> &PrivateKey {
        self.machine_keys.get(machine).expect("no such machine")
    }
}

/// A `User` document.
pub(crate) fn user(user: &str, roles: &[&str]) -> String {
    scaffold::user(&NewUser {
        name: name(user),
        roles: roles.iter().copied().map(name).collect(),
        email: None,
        expires: None,
    })
}

/// A `Machine` document, its key sealed for these recipients.
pub(crate) fn machine_for(
    machine: &str,
    key: PublicKey,
    recipients: &BTreeSet<Recipient>,
) -> String {
    let value = SecretText::new(key.to_string());
    let payload = Payload::new(Kind::Machine, name(machine), PUBLIC_KEY, value, recipients);
    scaffold::machine(&NewMachine {
        name: name(machine),
        machine_type: MachineType::Agent,
        key: NewKey::Sealed(seal(&payload, recipients).unwrap()),
        endpoint: None,
        mesh_address: None,
        routes: Vec::new(),
    })
}

/// A valid name.
pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}
