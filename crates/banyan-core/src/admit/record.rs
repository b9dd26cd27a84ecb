//! From documents to records, keeping every record that does not change.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use jiff::Timestamp;

use crate::people::People;
use crate::{
    At, Checked, Cluster, ClusterSpec, CommitId, Creation, Document, Generation, Machine,
    MachineSpec, Name, Objects, Origin, PublicKey, Record, Role, Sealed, User, UserId, assign_v4,
    control_v4,
};

/// What a record that changes is marked with.
pub(super) struct Stamp<'a> {
    pub(super) commit: CommitId,
    /// Who wrote the commit.
    pub(super) author: &'a str,
    /// What is kept of users beside their records.
    pub(super) people: &'a People,
    pub(super) generation: Generation,
    pub(super) now: Timestamp,
    /// Whether records may be missing that were in force.
    pub(super) lost: bool,
}

/// Whether the addresses that records hold are those that were once given to them.
#[derive(Clone, Copy)]
pub(super) enum Held {
    Trusted,
    Doubted,
}

pub(super) fn objects(
    before: &Objects,
    checked: &Checked,
    addresses: BTreeMap<Name, Option<Ipv4Addr>>,
    stamp: &Stamp<'_>,
) -> Objects {
    let cluster = stamp.record(
        before.cluster.as_ref(),
        cluster(&checked.cluster),
        &checked.cluster,
    );
    // One for each machine, in their order.
    let mut addresses = addresses.into_values();
    Objects {
        cluster: Some(cluster),
        users: stamp.records(&before.users, &checked.users, |document| User {
            name: document.name.value.clone(),
            labels: document.labels.clone(),
            roles: values(&document.spec.roles),
            email: document.spec.email.clone(),
            disabled: document.spec.disabled.as_ref().is_some_and(|d| d.value),
            expires: document.spec.expires.as_ref().map(|at| at.value),
            password_hash: (document.spec.password_hash.as_ref())
                .and_then(|hash| hash.value.value().cloned()),
            made: stamp.made(before, &document.name.value),
        }),
        roles: stamp.records(&before.roles, &checked.roles, |document| Role {
            name: document.name.value.clone(),
            labels: document.labels.clone(),
            permissions: values(&document.spec.permissions),
        }),
        machines: stamp.records(&before.machines, &checked.machines, |document| {
            machine(document, addresses.next().flatten())
        }),
    }
}

fn values<T: Ord + Clone>(list: &[At<T>]) -> std::collections::BTreeSet<T> {
    list.iter().map(|at| at.value.clone()).collect()
}

fn cluster(document: &Document<ClusterSpec>) -> Cluster {
    let spec = &document.spec;
    Cluster {
        name: document.name.value.clone(),
        control_range: spec.control_range.value,
        mesh_range: spec.mesh_range.value,
        recipients: values(&spec.recipients),
        guards: spec.guards,
        require_sealed: spec.require_sealed,
    }
}

fn machine(document: &Document<MachineSpec>, control_v4: Option<Ipv4Addr>) -> Machine {
    let spec = &document.spec;
    Machine {
        name: document.name.value.clone(),
        labels: document.labels.clone(),
        machine_type: spec.machine_type,
        public_key: key(&spec.public_key.value),
        control_v4,
        endpoint: spec.endpoint.clone(),
        mesh_address: spec.mesh_address.as_ref().map(|at| at.value),
        routes: values(&spec.routes),
        expires: spec.expires.as_ref().map(|at| at.value),
        protected: spec.protected,
    }
}

/// The key, or for a closed value one made from its ciphertext: without an identity a plan can still tell whether the
/// value was sealed anew. Such a target never gets into force, because an engine refuses closed values.
fn key(sealed: &Sealed<PublicKey>) -> PublicKey {
    match sealed {
        Sealed::Plain(key) | Sealed::Opened { value: key, .. } => *key,
        Sealed::Closed { ciphertext } => stand_in(ciphertext.0),
    }
}

fn stand_in(mut bytes: [u8; 32]) -> PublicKey {
    loop {
        if let Ok(key) = PublicKey::from_bytes(bytes) {
            return key;
        }
        bytes = bytes.map(|byte| byte.wrapping_add(1));
    }
}

/// Who has which IPv4 address. A doubted one counts when it is the one that the key gives.
pub(super) fn addresses(
    before: &Objects,
    checked: &Checked,
    trust: Held,
) -> BTreeMap<Name, Option<Ipv4Addr>> {
    let range = checked.cluster.spec.control_range.value;
    let counts = |machine: &Machine| match trust {
        Held::Trusted => machine.control_v4,
        Held::Doubted => {
            (machine.control_v4).filter(|v4| control_v4(&machine.public_key, range) == Some(*v4))
        }
    };
    let held = (before.machines.values())
        .map(|record| (record.spec.public_key, counts(&record.spec)))
        .collect();
    let machines = (checked.machines.iter())
        .map(|(name, document)| (name.clone(), key(&document.spec.public_key.value)))
        .collect();
    assign_v4(&machines, &held, range)
}

impl Stamp<'_> {
    /// Who a user is: whoever has the name already, or somebody new.
    ///
    /// A user that is missing from the records, but of whom an account is kept, was taken from them behind the engines'
    /// back; without the account's id the user would lose the password with the record.
    fn made(&self, before: &Objects, name: &Name) -> Option<Creation> {
        if let Some(record) = before.users.get(name) {
            return record.spec.made.clone();
        }
        let lost = self.lost.then(|| {
            let accounts = self.people.accounts.iter();
            accounts
                .filter(|(_, account)| account.name == *name)
                .map(|(id, _)| id.clone())
                .next()
        });
        let declared = || UserId::declared(name, self.commit, self.generation, self.now);
        Some(Creation {
            id: lost.flatten().unwrap_or_else(declared),
            at: self.now,
            by: self.author.to_owned(),
        })
    }

    fn records<T: PartialEq, D>(
        &self,
        before: &BTreeMap<Name, Arc<Record<T>>>,
        documents: &BTreeMap<Name, Arc<Document<D>>>,
        mut spec: impl FnMut(&Document<D>) -> T,
    ) -> BTreeMap<Name, Arc<Record<T>>> {
        // Both are sorted: walking them side by side spares a search for each.
        let mut before = before.iter().peekable();
        let record = |(name, document): (&Name, &Arc<Document<D>>)| {
            while before.next_if(|(other, _)| *other < name).is_some() {}
            let known = before.next_if(|(other, _)| *other == name);
            let known = known.map(|(_, record)| record);
            (name.clone(), self.record(known, spec(document), document))
        };
        documents.iter().map(record).collect()
    }

    fn record<T: PartialEq, D>(
        &self,
        before: Option<&Arc<Record<T>>>,
        spec: T,
        document: &Document<D>,
    ) -> Arc<Record<T>> {
        let (path, line) = (&document.path, document.pos.line);
        let same_place = |record: &Record<T>| matches!(&record.origin, Origin::Git { path: p, line: l, .. } if p == path && *l == line);
        let (generation, since) = match before {
            Some(record) if record.spec == spec && same_place(record) => return Arc::clone(record),
            // It only moved: what is in force is as old as before.
            Some(record) if record.spec == spec => (record.generation, record.since),
            _ => (self.generation, self.now),
        };
        let origin = Origin::Git {
            commit: self.commit,
            path: Arc::clone(path),
            line,
        };
        Arc::new(Record {
            spec,
            origin,
            generation,
            since,
        })
    }
}
