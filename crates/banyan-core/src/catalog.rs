//! The documents of a repo as one value; the cost of the next value is that of its differences.
//!
//! Besides the documents it holds an index of references (roles, keys, routes, addresses, expiries) and the *suspects*:
//! the documents that have findings. An edit checks only the documents it touches and those that refer to them;
//! [`Catalog::check`] then looks only at the suspects. Findings that depend on the time are never stored.
//!
//! A catalog built from nothing is an edit of the empty one, so there is one code path.

mod edit;
mod index;
mod shelf;

pub use edit::Edit;
pub(crate) use index::Index;
pub(crate) use shelf::Shelf;

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use crate::{
    ClusterSpec, Digest, Document, Documents, Kind, MachineSpec, Name, Pos, RoleSpec, UserSpec,
};

/// A document of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnyDocument {
    /// A `Cluster`.
    Cluster(Arc<Document<ClusterSpec>>),
    /// A `Role`.
    Role(Arc<Document<RoleSpec>>),
    /// A `User`.
    User(Arc<Document<UserSpec>>),
    /// A `Machine`.
    Machine(Arc<Document<MachineSpec>>),
}

/// The position of a document, which is also the sort order.
pub(crate) type Place = (Arc<str>, Pos);

/// All documents of a repo. A persistent value: cloning is cheap.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    pub(crate) clusters: OrdMap<Place, Arc<Document<ClusterSpec>>>,
    pub(crate) users: Shelf<UserSpec>,
    pub(crate) roles: Shelf<RoleSpec>,
    pub(crate) machines: Shelf<MachineSpec>,
    pub(crate) index: Index,
    /// The digest of the recipients of the effective `Cluster`.
    pub(crate) recipients: Option<Digest>,
    /// The documents with a finding that does not depend on the time.
    pub(crate) suspects: OrdSet<(Kind, Name)>,
}

impl Catalog {
    /// The catalog of these documents.
    #[must_use]
    pub fn of(documents: &Documents) -> Self {
        let mut edit = Self::default().edit();
        for document in documents.all() {
            edit.insert(document);
        }
        edit.finish()
    }

    /// Starts an edit, which leaves this catalog unchanged.
    #[must_use]
    pub fn edit(&self) -> Edit {
        Edit::new(self.clone())
    }

    /// All documents as plain lists, in the order of path and position.
    #[must_use]
    pub fn documents(&self) -> Documents {
        Documents {
            clusters: self.clusters.values().cloned().collect(),
            users: self.users.all(),
            roles: self.roles.all(),
            machines: self.machines.all(),
        }
    }

    /// The `Cluster` documents, in the order of path and position; a valid repo has exactly one.
    pub fn clusters(&self) -> impl Iterator<Item = &Arc<Document<ClusterSpec>>> {
        self.clusters.values()
    }

    /// The number of documents, duplicates of a name included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.clusters.len() + self.users.len() + self.roles.len() + self.machines.len()
    }

    /// Whether there are no documents.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The effective `Cluster`: the first.
    pub(crate) fn cluster(&self) -> Option<&Arc<Document<ClusterSpec>>> {
        self.clusters.values().next()
    }
}

/// Comparing the documents suffices: everything else is derived from them.
impl PartialEq for Catalog {
    fn eq(&self, other: &Self) -> bool {
        self.clusters == other.clusters
            && self.users == other.users
            && self.roles == other.roles
            && self.machines == other.machines
    }
}

impl Documents {
    /// All documents, kind by kind.
    pub(crate) fn all(&self) -> impl Iterator<Item = AnyDocument> {
        let clusters = self.clusters.iter().cloned().map(AnyDocument::Cluster);
        let roles = self.roles.iter().cloned().map(AnyDocument::Role);
        let users = self.users.iter().cloned().map(AnyDocument::User);
        let machines = self.machines.iter().cloned().map(AnyDocument::Machine);
        clusters.chain(roles).chain(users).chain(machines)
    }
}

impl<T> Document<T> {
    pub(crate) fn place(&self) -> Place {
        (Arc::clone(&self.path), self.pos)
    }
}
