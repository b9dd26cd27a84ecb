//! The live view: what is in force and which engines serve it, as of one revision of the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use banyan_core::people::{Directory, People};
use banyan_core::{Floor, InForce, Name, Reduction};
use banyan_store::Revision;
use jiff::Timestamp;

use crate::engines::{Engine, Leader, PublishedStatus};
use crate::{HistoryEntry, Tampering};

/// What is in force, as of one revision of the store. Immutable: a newer one replaces it.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// The store's revision that it reflects.
    pub revision: Revision,
    /// The objects and the commit they come from.
    pub in_force: Arc<InForce>,
    /// The decision about commits that do not descend from the one in force.
    pub floor: Option<Floor>,
    /// The engines of the cluster.
    pub engines: Arc<BTreeMap<Name, Engine>>,
    /// The engine that has the first address of the control range; the others have only an IPv6 address.
    pub v4_holder: Option<Name>,
    /// The engine that leads, if several share the store.
    pub leader: Option<Leader>,
    /// The result of the leader's last pass.
    pub published_status: Option<Arc<PublishedStatus>>,
    /// The revision of the last request for a pass.
    pub hint: Revision,
    /// Records in force that were changed out of band, by their keys. This view has their original values, and the
    /// leader undoes the changes.
    pub tampered: Arc<BTreeMap<String, Tampering>>,
    /// Whether the records are not those that were applied, and it is unknown which ones differ: they must be restored
    /// from git.
    pub suspect: bool,
    /// What is stored about users besides git.
    pub people: Arc<People>,
    /// The newest history entries by key, oldest first.
    pub(crate) history: Arc<BTreeMap<String, Arc<HistoryEntry>>>,
}

impl View {
    /// All users, whatever their origin.
    #[must_use]
    pub fn directory(&self) -> Directory<'_> {
        Directory {
            objects: &self.in_force.objects,
            people: &self.people,
        }
    }

    /// Whether a commit gets the same decision on both views: the same is in force, with the same floor and the same
    /// users.
    #[must_use]
    pub fn judges_as(&self, other: &Self) -> bool {
        let in_force = self.in_force.generation() == other.in_force.generation();
        in_force && self.floor == other.floor && self.people.revision == other.people.revision
    }

    /// The reductions of the last day that no trailer announced.
    #[must_use]
    pub fn recent(&self, now: Timestamp) -> Vec<Reduction> {
        let entries = self.history.values();
        entries.flat_map(|e| e.counted(now)).cloned().collect()
    }

    /// The newest history entries, newest first.
    pub fn history(&self) -> impl Iterator<Item = &Arc<HistoryEntry>> {
        self.history.values().rev()
    }
}
