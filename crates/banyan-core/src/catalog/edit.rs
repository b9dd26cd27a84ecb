//! Editing a catalog: adds and removes documents, and checks again whatever refers to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::Ipv4Net;

use super::shelf::Replaced;
use super::{AnyDocument, Catalog};
use crate::{
    ClusterSpec, Document, Kind, MachineSpec, Name, RoleSpec, UserSpec, recipients_digest,
};

/// A catalog that is being edited.
#[derive(Debug)]
pub struct Edit {
    catalog: Catalog,
    /// The effective `Cluster` before the edit.
    cluster: Option<Arc<Document<ClusterSpec>>>,
    /// The documents to check again.
    dirty: BTreeSet<(Kind, Name)>,
    /// The roles that were added or removed, and whether they existed before.
    roles: BTreeMap<Name, bool>,
}

impl Edit {
    pub(super) fn new(catalog: Catalog) -> Self {
        Self {
            cluster: catalog.cluster().cloned(),
            catalog,
            dirty: BTreeSet::new(),
            roles: BTreeMap::new(),
        }
    }

    /// Adds a document. Its position is its identity and must be unique in the catalog.
    pub fn insert(&mut self, document: AnyDocument) {
        match document {
            AnyDocument::Cluster(document) => {
                let place = document.place();
                self.catalog.clusters.insert(place, document);
            }
            AnyDocument::Role(document) => {
                let replaced = self.catalog.roles.insert(document);
                self.role(replaced);
            }
            AnyDocument::User(document) => {
                let replaced = self.catalog.users.insert(document);
                self.user(replaced);
            }
            AnyDocument::Machine(document) => {
                let replaced = self.catalog.machines.insert(document);
                self.machine(replaced);
            }
        }
    }

    /// Removes a document.
    pub fn remove(&mut self, document: &AnyDocument) {
        match document {
            AnyDocument::Cluster(document) => {
                self.catalog.clusters.remove(&document.place());
            }
            AnyDocument::Role(document) => {
                let replaced = self.catalog.roles.remove(document);
                self.role(replaced);
            }
            AnyDocument::User(document) => {
                let replaced = self.catalog.users.remove(document);
                self.user(replaced);
            }
            AnyDocument::Machine(document) => {
                let replaced = self.catalog.machines.remove(document);
                self.machine(replaced);
            }
        }
    }

    /// The new catalog, with everything touched checked again.
    #[must_use]
    pub fn finish(mut self) -> Catalog {
        self.follow_the_cluster();
        self.follow_the_roles();
        for subject in std::mem::take(&mut self.dirty) {
            if self.catalog.is_suspect(&subject) {
                self.catalog.suspects.insert(subject);
            } else {
                self.catalog.suspects.remove(&subject);
            }
        }
        self.catalog
    }

    fn role(&mut self, replaced: Replaced<RoleSpec>) {
        let Replaced { before, after } = replaced;
        let index = &mut self.catalog.index;
        if let Some(before) = &before {
            index.take_role(before);
        }
        if let Some(after) = &after {
            index.add_role(after);
        }
        let Some(name) = either(&before, &after) else {
            return;
        };
        self.roles.entry(name.clone()).or_insert(before.is_some());
        self.dirty.insert((Kind::Role, name.clone()));
    }

    fn user(&mut self, replaced: Replaced<UserSpec>) {
        let Replaced { before, after } = replaced;
        let index = &mut self.catalog.index;
        if let Some(before) = &before {
            index.take_user(before);
        }
        if let Some(after) = &after {
            index.add_user(after);
        }
        // Whether a role is used may have changed.
        for user in [&before, &after].into_iter().flatten() {
            let roles = user.spec.roles.iter().map(|role| role.value.clone());
            self.dirty.extend(roles.map(|role| (Kind::Role, role)));
        }
        if let Some(name) = either(&before, &after) {
            self.dirty.insert((Kind::User, name.clone()));
        }
    }

    fn machine(&mut self, replaced: Replaced<MachineSpec>) {
        let Replaced { before, after } = replaced;
        let range = self.range();
        if let Some(before) = &before {
            self.touch_neighbours(before);
            self.catalog.index.take_machine(before, range);
        }
        if let Some(after) = &after {
            self.catalog.index.add_machine(after, range);
            self.touch_neighbours(after);
        }
        if let Some(name) = either(&before, &after) {
            self.dirty.insert((Kind::Machine, name.clone()));
        }
    }

    /// Marks the machines that share a key, address or range with this one.
    fn touch_neighbours(&mut self, machine: &Document<MachineSpec>) {
        let (spec, index) = (&machine.spec, &self.catalog.index);
        let keys = (spec.public_key.value.value()).into_iter();
        let same_key = keys.flat_map(|key| index.keys.get(key));
        let addresses = spec.mesh_address.iter();
        let same_address = addresses.flat_map(|at| index.mesh.get(&at.value));
        let inside = (spec.routes.iter()).flat_map(|route| index.inside(&route.value));
        let names: BTreeSet<Name> = same_key
            .chain(same_address)
            .chain(inside)
            .cloned()
            .collect();
        self.dirty
            .extend(names.into_iter().map(|name| (Kind::Machine, name)));
    }

    /// The control range the index is based on.
    fn range(&self) -> Option<Ipv4Net> {
        let cluster = self.cluster.as_ref()?;
        Some(cluster.spec.control_range.value)
    }

    /// Users are affected only by whether the role exists. A replaced document was removed and added.
    fn follow_the_roles(&mut self) {
        for (role, existed) in std::mem::take(&mut self.roles) {
            if self.catalog.roles.first().contains_key(&role) != existed {
                let users = self.catalog.index.users_of.get(&role).cloned();
                self.dirty.extend(users.map(|user| (Kind::User, user)));
            }
        }
    }

    /// Other documents depend on three fields of the `Cluster`. If one of these changed, every document it concerns is
    /// checked again.
    fn follow_the_cluster(&mut self) {
        let range = self.range();
        let (before, after) = (self.cluster.take(), self.catalog.cluster().cloned());
        self.cluster = after;
        if essence(before.as_deref()) == essence(self.cluster.as_deref()) {
            return;
        }
        self.catalog.recipients = (self.cluster.as_ref())
            .map(|cluster| recipients_digest(cluster.spec.recipients.iter().map(|at| &at.value)));
        let Catalog {
            machines,
            users,
            index,
            ..
        } = &mut self.catalog;
        let new_range = self.cluster.as_ref().map(|c| c.spec.control_range.value);
        if range != new_range {
            index.candidates = Default::default();
            for machine in machines.first().values() {
                index.add_candidate(machine, new_range);
            }
        }
        let names = machines.first().keys().cloned();
        self.dirty.extend(names.map(|name| (Kind::Machine, name)));
        let sealed = users
            .first()
            .iter()
            .filter(|(_, user)| user.spec.password_hash.is_some());
        let names = sealed.map(|(name, _)| name.clone());
        self.dirty.extend(names.map(|name| (Kind::User, name)));
    }
}

fn either<'a, T>(
    one: &'a Option<Arc<Document<T>>>,
    other: &'a Option<Arc<Document<T>>>,
) -> Option<&'a Name> {
    let document = one.as_ref().or(other.as_ref())?;
    Some(&document.name.value)
}

/// The fields of the `Cluster` that other documents are checked against.
fn essence(
    cluster: Option<&Document<ClusterSpec>>,
) -> Option<(Ipv4Net, Ipv4Net, BTreeSet<&str>, bool)> {
    let spec = &cluster?.spec;
    let recipients = spec
        .recipients
        .iter()
        .map(|at| at.value.0.as_str())
        .collect();
    Some((
        spec.control_range.value,
        spec.mesh_range.value,
        recipients,
        spec.require_sealed,
    ))
}
