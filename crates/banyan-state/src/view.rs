//! The live view: what is in force, and who serves it, as of one revision of the store.

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
    /// What was decided about commits that do not descend from the one in force.
    pub floor: Option<Floor>,
    /// The engines of the cluster.
    pub engines: Arc<BTreeMap<Name, Engine>>,
    /// The engine that has the control range's first address; the others have an IPv6 address only.
    pub v4_holder: Option<Name>,
    /// The engine that leads, where several share a store.
    pub leader: Option<Leader>,
    /// What the leader's last pass found.
    pub standing: Option<Arc<PublishedStatus>>,
    /// The revision of the last request for a pass.
    pub hint: Revision,
    /// Records in force that somebody else altered in the store, by their keys. They are as they were in this view, and
    /// the leader puts them back.
    pub tampered: Arc<BTreeMap<String, Tampering>>,
    /// Whether the records are not those that were applied, and nobody here knows which ones: they must be restored
    /// from git.
    pub suspect: bool,
    /// What is kept of people besides what git says.
    pub people: Arc<People>,
    /// The newest entries of the history, by their keys: oldest first.
    pub(crate) history: Arc<BTreeMap<String, Arc<HistoryEntry>>>,
}

impl View {
    /// All users, whatever declares them.
    #[must_use]
    pub fn directory(&self) -> Directory<'_> {
        Directory {
            objects: &self.in_force.objects,
            people: &self.people,
        }
    }

    /// Whether a commit is judged on `other` as on this view: the same is in force, under the same floor, with the same
    /// users.
    #[must_use]
    pub fn judges_as(&self, other: &Self) -> bool {
        let in_force = self.in_force.generation() == other.in_force.generation();
        in_force && self.floor == other.floor && self.people.revision == other.people.revision
    }

    /// What commits of the last day took away without a trailer.
    #[must_use]
    pub fn recent(&self, now: Timestamp) -> Vec<Reduction> {
        let entries = self.history.values();
        entries.flat_map(|e| e.counted(now)).cloned().collect()
    }

    /// The newest entries of the history, newest first.
    pub fn history(&self) -> impl Iterator<Item = &Arc<HistoryEntry>> {
        self.history.values().rev()
    }
}
