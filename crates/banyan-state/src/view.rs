//! The live view: what is in force, built from the store's entries and events. Pure: it is fed, it fetches nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use banyan_core::{Generation, InForce, Kind, Name, Object, Objects, Reduction};
use banyan_store::{Entry, Event, Revision};
use jiff::Timestamp;

use crate::key::{HISTORY, POINTER, RECORDS, RecordKey};
use crate::stored::{self, Pointer};
use crate::{HistoryEntry, StateError};

/// What is in force, as of one revision of the store. Immutable: a newer one replaces it.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// The store's revision that it reflects.
    pub revision: Revision,
    /// The objects and the commit they come from.
    pub in_force: Arc<InForce>,
    /// The newest entries of the history, by their keys: oldest first.
    pub(crate) history: BTreeMap<String, Arc<HistoryEntry>>,
}

impl View {
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

type Id = (Kind, Name);

/// A view in the making, with what it must remember to take in the next event.
#[derive(Debug, Clone, Default)]
pub(crate) struct Builder {
    view: View,
    /// Which version of each record is in force; of a record that is gone, until its tombstone is collected.
    versions: BTreeMap<Id, Generation>,
    /// What is staged and not in force.
    staged: BTreeMap<Generation, BTreeMap<Id, Option<Object>>>,
    /// Versions that no reader needs any more.
    garbage: BTreeSet<String>,
}

impl Builder {
    /// Builds the view of all entries of a snapshot.
    pub(crate) fn new(entries: &[Entry], revision: Revision) -> Result<Self, StateError> {
        let mut builder = Self::default();
        for entry in entries.iter().filter(|e| e.key != POINTER) {
            builder.put(entry)?;
        }
        if let Some(entry) = entries.iter().find(|e| e.key == POINTER) {
            builder.put(entry)?;
        }
        builder.view.revision = revision;
        Ok(builder)
    }

    /// Takes in what one transaction did. On an error the builder must be thrown away and built anew.
    pub(crate) fn apply(&mut self, revision: Revision, events: &[Event]) -> Result<(), StateError> {
        let pointer = |event: &&Event| event.key() == POINTER;
        for event in events
            .iter()
            .filter(|e| !pointer(e))
            .chain(events.iter().filter(pointer))
        {
            match event {
                Event::Put(entry) => self.put(entry)?,
                Event::Delete { key } => self.delete(key),
            }
        }
        self.view.revision = revision;
        Ok(())
    }

    pub(crate) fn view(&self) -> Arc<View> {
        Arc::new(self.view.clone())
    }

    pub(crate) fn garbage(&self) -> &BTreeSet<String> {
        &self.garbage
    }

    fn put(&mut self, entry: &Entry) -> Result<(), StateError> {
        let key = entry.key.as_str();
        if key == POINTER {
            self.advance(stored::pointer(key, &entry.value)?);
        } else if key.starts_with(HISTORY) {
            let entry = stored::decode(key, &entry.value)?;
            self.view.history.insert(key.to_owned(), Arc::new(entry));
        } else if key.starts_with(RECORDS) {
            let corrupt = || StateError::Corrupt {
                key: key.to_owned(),
                source: None,
            };
            let record = RecordKey::parse(key).ok_or_else(corrupt)?;
            let object = stored::object(record.kind, key, &entry.value)?;
            let staged = self.staged.entry(record.generation).or_default();
            staged.insert((record.kind, record.name), object);
        }
        Ok(())
    }

    fn delete(&mut self, key: &str) {
        self.garbage.remove(key);
        self.view.history.remove(key);
        let Some(record) = RecordKey::parse(key) else {
            return;
        };
        if let Some(staged) = self.staged.get_mut(&record.generation) {
            staged.remove(&(record.kind, record.name));
            if staged.is_empty() {
                self.staged.remove(&record.generation);
            }
        }
    }

    /// Brings everything staged up to the pointer's generation into force, in order.
    fn advance(&mut self, pointer: Pointer) {
        let reached = pointer.applied.generation;
        let later = self.staged.split_off(&reached.next());
        let due = std::mem::replace(&mut self.staged, later);
        let in_force = Arc::make_mut(&mut self.view.in_force);
        in_force.applied = Some(pointer.applied);
        for (generation, records) in due {
            for ((kind, name), object) in records {
                let old = self.versions.insert((kind, name.clone()), generation);
                let key = |generation| {
                    RecordKey {
                        generation,
                        kind,
                        name: name.clone(),
                    }
                    .to_key()
                };
                self.garbage.extend(old.map(key));
                if object.is_none() {
                    self.garbage.insert(key(generation));
                    self.versions.remove(&(kind, name.clone()));
                }
                set(&mut in_force.objects, kind, name, object);
            }
        }
    }
}

fn set(objects: &mut Objects, kind: Kind, name: Name, object: Option<Object>) {
    match object {
        Some(Object::Cluster(record)) => objects.cluster = Some(record),
        Some(Object::Role(record)) => drop(objects.roles.insert(name, record)),
        Some(Object::User(record)) => drop(objects.users.insert(name, record)),
        Some(Object::Machine(record)) => drop(objects.machines.insert(name, record)),
        None => match kind {
            Kind::Cluster => {
                objects.cluster = objects.cluster.take().filter(|c| c.spec.name != name);
            }
            Kind::Role => drop(objects.roles.remove(&name)),
            Kind::User => drop(objects.users.remove(&name)),
            Kind::Machine => drop(objects.machines.remove(&name)),
        },
    }
}
