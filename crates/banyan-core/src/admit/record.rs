//! Turns documents into records. Only documents that differ are examined, and unchanged records are kept.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use imbl::OrdMap;
use jiff::Timestamp;

use super::address::{Groups, Held};
use super::scope::Scope;
use crate::people::People;
use crate::{
    At, Checked, Cluster, ClusterSpec, CommitId, Creation, Document, Generation, Indexed, Machine,
    MachineSpec, Name, Objects, Origin, Record, Role, RoleSpec, Table, User, UserId, UserSpec,
};

/// The metadata written to a changed record.
pub(super) struct Stamp<'a> {
    pub(super) commit: CommitId,
    /// The author of the commit.
    pub(super) author: &'a str,
    /// What is stored about users apart from their records.
    pub(super) people: &'a People,
    pub(super) generation: Generation,
    pub(super) now: Timestamp,
    /// Whether records that were in force may be missing.
    pub(super) lost: bool,
}

pub(super) fn objects(scope: &Scope<'_>, trust: Held, stamp: &Stamp<'_>) -> Objects {
    let Scope {
        before, checked, ..
    } = *scope;
    let document = checked.cluster();
    let cluster = stamp.record(before.cluster.as_ref(), cluster(document), document);
    let names = scope.names(&before.users, Checked::users);
    let user = |document: &Document<UserSpec>| stamp.user(before, document);
    let users = stamp.records(&before.users, checked.users(), names, user);
    let names = scope.names(&before.roles, Checked::roles);
    let roles = stamp.records(&before.roles, checked.roles(), names, role);
    let mut names = scope.names(&before.machines, Checked::machines);
    let groups = Groups::new(scope, trust);
    let addresses = groups.of(&names);
    names.extend(addresses.iter().flat_map(|address| groups.names(address)));
    let held = groups.assign(&addresses);
    let machines = stamp.records(&before.machines, checked.machines(), names, |document| {
        machine(document, held.get(&document.name.value).copied())
    });
    Objects {
        cluster: Some(cluster),
        users,
        roles,
        machines,
    }
}

fn values<T: Ord + Clone>(list: &[At<T>]) -> BTreeSet<T> {
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

fn role(document: &Document<RoleSpec>) -> Role {
    Role {
        name: document.name.value.clone(),
        labels: document.labels.clone(),
        permissions: values(&document.spec.permissions),
    }
}

fn machine(document: &Document<MachineSpec>, control_v4: Option<Ipv4Addr>) -> Machine {
    let spec = &document.spec;
    Machine {
        name: document.name.value.clone(),
        labels: document.labels.clone(),
        machine_type: spec.machine_type,
        public_key: spec.public_key.value.key(),
        control_v4,
        endpoint: spec.endpoint.clone(),
        mesh_address: spec.mesh_address.as_ref().map(|at| at.value),
        routes: values(&spec.routes),
        expires: spec.expires.as_ref().map(|at| at.value),
        protected: spec.protected,
    }
}

impl Stamp<'_> {
    fn user(&self, before: &Objects, document: &Document<UserSpec>) -> User {
        User {
            name: document.name.value.clone(),
            labels: document.labels.clone(),
            roles: values(&document.spec.roles),
            email: document.spec.email.clone(),
            disabled: document.spec.disabled.as_ref().is_some_and(|d| d.value),
            expires: document.spec.expires.as_ref().map(|at| at.value),
            password_hash: (document.spec.password_hash.as_ref())
                .and_then(|hash| hash.value.value().cloned()),
            made: self.made(before, &document.name.value),
        }
    }

    /// The identity of a user: the existing one for that name, or a new one.
    ///
    /// A user whose record is missing but whose account exists had its record deleted out of band; without the
    /// account's id the user would lose the password with the record.
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

    /// The previous records, with those of these names made from their documents.
    fn records<T: Indexed, D>(
        &self,
        before: &Table<T>,
        documents: &OrdMap<Name, Arc<Document<D>>>,
        names: BTreeSet<Name>,
        spec: impl Fn(&Document<D>) -> T,
    ) -> Table<T> {
        let mut records = before.clone();
        for name in names {
            let known = before.get(&name);
            let Some(document) = documents.get(&name) else {
                records.remove(&name);
                continue;
            };
            let record = self.record(known, spec(document), document);
            if known.is_none_or(|known| !Arc::ptr_eq(known, &record)) {
                records.insert(name, record);
            }
        }
        records
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
            // It only moved: its age stays the same.
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
