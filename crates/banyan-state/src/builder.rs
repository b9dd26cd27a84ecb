//! Builds the live view from the store's entries and then from its events. Pure: it receives data and fetches none.
//!
//! Records of generations that the pointer has not reached are staged; only the pointer puts them in force. Any other
//! change to a record in force, or to the pointer, was made out of band: it is noted and not applied.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use banyan_core::{Floor, Generation, Kind, Name, Object, Objects};
use banyan_store::{Entry, Event, Op, Revision};
use jiff::Timestamp;
use tracing::warn;

use crate::engines::{Engine, Leader, Seat};
use crate::key::{
    self, ALIVE, ENGINE_V4, ENGINES, FLOOR, HINT, HISTORY, LEADER, POINTER, PUBLISHED_STATUS,
    RECORDS, RecordKey,
};
use crate::marks::unfit;
use crate::people::PeopleIndex;
use crate::stored::{self, Pointer, Sum};
use crate::{Outcome, StateError, Tampering, View};

type Id = (Kind, Name);

/// The version of a record that is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    generation: Generation,
    sum: Sum,
}

/// A staged version of a record.
#[derive(Debug, Clone)]
struct Staged {
    /// `None` if the record is removed in that generation; an error if the value is not one this program writes.
    object: Result<Option<Object>, ()>,
    sum: Sum,
}

/// The view under construction, with the state needed to apply the next event.
#[derive(Debug, Clone, Default)]
pub(crate) struct Builder {
    view: View,
    /// The version in force of each record.
    held: BTreeMap<Id, Held>,
    /// The versions that are staged.
    staged: BTreeMap<Generation, BTreeMap<Id, Staged>>,
    /// Versions that no reader needs any more.
    garbage: BTreeSet<String>,
    /// The sum of all records held.
    sum: Sum,
    /// The accepted value of the pointer.
    pointer: Option<Pointer>,
    /// The revision at which the pointer was last written, by any writer; 0 if it is missing.
    pointer_at: Revision,
    /// The revision at which the floor was last written; 0 if there is none.
    floor_at: Revision,
    /// The revisions of the entries about users.
    kept: PeopleIndex,
    /// Whether the floor is not stored but was inferred from a missing pointer.
    floor_is_concluded: bool,
}

impl Builder {
    /// Builds the view from all entries of a snapshot, without earlier knowledge.
    pub(crate) fn new(entries: &[Entry], revision: Revision) -> Result<Self, StateError> {
        let mut builder = Self::default();
        let (pointer, rest): (Vec<_>, Vec<_>) = entries.iter().partition(|e| e.key == POINTER);
        for entry in rest {
            builder.put(entry)?;
        }
        let pointer = pointer.first();
        builder.pointer_at = pointer.map_or(Revision(0), |entry| entry.modified);
        if let Some(pointer) = pointer.map(|e| readable_pointer(e)).transpose()?.flatten() {
            builder.advance(pointer);
        } else if builder.view.floor.is_none() {
            // Commits were applied, but the record of the last one is missing: an operator must decide where to
            // continue.
            builder.view.floor = builder.last_applied().map(|at| Floor::Restored { at });
            builder.floor_is_concluded = builder.view.floor.is_some();
        }
        builder.view.revision = revision;
        Ok(builder)
    }

    /// Builds the view from all entries of a snapshot, given what was in force at an earlier revision: unless another
    /// generation was applied since, that remains authoritative, and differences were made out of band.
    pub(crate) fn renewed(
        &self,
        entries: &[Entry],
        revision: Revision,
    ) -> Result<Self, StateError> {
        let Some(known) = &self.pointer else {
            return Self::new(entries, revision);
        };
        // A restored backup is meant to replace what was in force.
        let restored = entries.iter().find(|e| e.key == FLOOR);
        let restored = restored.and_then(|e| stored::decode::<Floor>(FLOOR, &e.value).ok());
        let restored = restored.filter(|floor| matches!(floor, Floor::Restored { .. }));
        if restored.is_some() && restored != self.view.floor {
            return Self::new(entries, revision);
        }
        let pointer = entries.iter().find(|e| e.key == POINTER);
        if let Some(entry) = pointer
            && let Some(found) = readable_pointer(entry)?
            && (found.applied.generation > known.applied.generation || self.view.suspect)
        {
            return Self::new(entries, revision);
        }
        let mut next = Self {
            view: View {
                in_force: Arc::clone(&self.view.in_force),
                suspect: self.view.suspect,
                ..View::default()
            },
            held: self.held.clone(),
            sum: self.sum,
            pointer: self.pointer.clone(),
            garbage: self.garbage.clone(),
            ..Self::default()
        };
        let mut seen = BTreeSet::new();
        for entry in entries {
            next.put(entry)?;
            seen.insert(entry.key.as_str());
        }
        next.garbage.retain(|key| seen.contains(key.as_str()));
        let gone: Vec<String> = (next.held.iter())
            .map(|(id, held)| record_key(id, held.generation))
            .chain([POINTER.to_owned()])
            .filter(|key| !seen.contains(key.as_str()))
            .collect();
        for key in gone {
            next.tampered(key, Some(Tampering::Removed));
        }
        next.view.revision = revision;
        Ok(next)
    }

    /// Applies the events of one transaction; returns those accepted, that is, all but out-of-band changes. After an
    /// error the builder must be discarded and rebuilt.
    pub(crate) fn apply<'a>(
        &mut self,
        revision: Revision,
        events: &'a [Event],
    ) -> Result<Vec<&'a Event>, StateError> {
        // It is unknown which records are wrong, so a repair cannot be told from further damage.
        let decides = |event: &Event| {
            let record = RecordKey::parse(event.key());
            event.key() == POINTER || record.is_some_and(|r| r.generation <= self.reached())
        };
        if self.view.suspect && events.iter().any(decides) {
            return Err(StateError::Changed);
        }
        // Records first: the pointer also puts in force what is staged in its own transaction.
        let (last, first): (Vec<_>, Vec<_>) = events.iter().partition(|e| e.key() == POINTER);
        let mut taken = Vec::with_capacity(events.len());
        for event in first.into_iter().chain(last) {
            match event {
                Event::Put(entry) => self.put(entry)?,
                Event::Delete { key } => self.delete(key),
            }
            if !self.view.tampered.contains_key(event.key()) {
                taken.push(event);
            }
        }
        self.view.revision = revision;
        Ok(taken)
    }

    /// When the last commit in the history was applied.
    fn last_applied(&self) -> Option<Timestamp> {
        let newest = self
            .view
            .history()
            .find(|entry| matches!(entry.outcome, Outcome::Applied { .. }));
        newest.map(|entry| entry.at)
    }

    pub(crate) fn view(&self) -> Arc<View> {
        Arc::new(self.view.clone())
    }

    pub(crate) fn garbage(&self) -> &BTreeSet<String> {
        &self.garbage
    }

    /// The revision at which the pointer was last written; 0 if it is missing.
    pub(crate) fn pointer_at(&self) -> Revision {
        self.pointer_at
    }

    /// The revision at which the floor was last written; 0 if there is none.
    pub(crate) fn floor_at(&self) -> Revision {
        self.floor_at
    }

    /// The revision at which an entry about users was last written; 0 if it is missing.
    pub(crate) fn people_at(&self, key: &str) -> Revision {
        self.kept.at(key)
    }

    /// The sum after these records have changed.
    pub(crate) fn sum_after<'a>(
        &self,
        changes: impl Iterator<Item = (Kind, &'a Name, Option<Sum>)>,
    ) -> Sum {
        let mut sum = self.sum;
        for (kind, name, after) in changes {
            if let Some(held) = self.held.get(&(kind, name.clone())) {
                sum = sum.minus(held.sum);
            }
            sum = sum.plus(after.unwrap_or_default());
        }
        sum
    }

    /// The operations that undo all out-of-band changes: records first, the pointer last.
    pub(crate) fn repairs(&self) -> Result<Vec<Op>, StateError> {
        let mut ops = Vec::new();
        let (last, first): (Vec<_>, Vec<_>) =
            (self.view.tampered.iter()).partition(|(key, _)| *key == POINTER);
        for (key, tampering) in first.into_iter().chain(last) {
            let value = match tampering {
                Tampering::Added => None,
                Tampering::Removed | Tampering::Altered if key == POINTER => {
                    let pointer = self.pointer.as_ref();
                    pointer.map(stored::encode).transpose()?
                }
                Tampering::Removed | Tampering::Altered => self.value_of(key)?,
            };
            ops.push(match value {
                Some(value) => Op::Put {
                    key: key.clone(),
                    value,
                    lease: None,
                },
                None => Op::Delete { key: key.clone() },
            });
        }
        Ok(ops)
    }

    /// The value of a record in force, as this program encodes it.
    fn value_of(&self, key: &str) -> Result<Option<Arc<[u8]>>, StateError> {
        let Some(record) = RecordKey::parse(key) else {
            return Ok(None);
        };
        let object = get(&self.view.in_force.objects, record.kind, &record.name);
        match object {
            Some(object) => stored::encode_object(Some(&object)).map(Some),
            None => Ok(None),
        }
    }

    /// Everything in force as entries: what another process must read to build this view. Users are left out: an engine
    /// that starts without its store authenticates none, so their secrets need not be copied.
    pub(crate) fn entries(&self) -> Result<BTreeMap<String, Arc<[u8]>>, StateError> {
        let mut entries = BTreeMap::new();
        for (id, held) in &self.held {
            let object = get(&self.view.in_force.objects, id.0, &id.1);
            if let Some(object) = object {
                let value = stored::encode_object(Some(&object))?;
                entries.insert(record_key(id, held.generation), value);
            }
        }
        for (key, entry) in &*self.view.history {
            entries.insert(key.clone(), stored::encode(&**entry)?);
        }
        for (name, engine) in &*self.view.engines {
            if let Some(registration) = &engine.registration {
                entries.insert(key::engine(name), stored::encode(&**registration)?);
            }
        }
        if let Some(floor) = &self.view.floor {
            entries.insert(FLOOR.to_owned(), stored::encode(floor)?);
        }
        if let Some(name) = &self.view.v4_holder {
            entries.insert(ENGINE_V4.to_owned(), stored::encode(name)?);
        }
        if let Some(pointer) = &self.pointer {
            entries.insert(POINTER.to_owned(), stored::encode(pointer)?);
        }
        Ok(entries)
    }

    /// The keys an unfinished attempt has staged.
    pub(crate) fn left_over(&self) -> Vec<String> {
        let staged = self.staged.iter();
        staged
            .flat_map(|(generation, records)| {
                records.keys().map(move |id| record_key(id, *generation))
            })
            .collect()
    }

    pub(crate) fn current(&self) -> &View {
        &self.view
    }

    fn put(&mut self, entry: &Entry) -> Result<(), StateError> {
        let key = entry.key.as_str();
        if key == POINTER {
            self.put_pointer(entry)?;
        } else if key.starts_with(RECORDS) {
            self.put_record(key, &entry.value);
        } else if self.kept.put(&mut self.view.people, entry) {
            // Applied.
        } else if let Some(unfit) = unfit(std::slice::from_ref(entry))? {
            return Err(StateError::Unfit(unfit));
        } else if let Err(error) = self.put_other(entry) {
            // None of these decides what is in force, so a damaged value must not stop the engine.
            warn!(key, %error, "ignoring an unreadable entry of the store");
        }
        Ok(())
    }

    fn put_other(&mut self, entry: &Entry) -> Result<(), StateError> {
        let (key, value) = (entry.key.as_str(), &entry.value);
        let view = &mut self.view;
        if key.starts_with(HISTORY) {
            let entry = stored::decode(key, value)?;
            Arc::make_mut(&mut view.history).insert(key.to_owned(), Arc::new(entry));
        } else if let Some(name) = key.strip_prefix(ENGINES) {
            let registration = stored::decode(key, value)?;
            engine(view, key, name)?.registration = Some(Arc::new(registration));
        } else if let Some(name) = key.strip_prefix(ALIVE) {
            let alive = stored::decode(key, value)?;
            engine(view, key, name)?.alive = Some(Arc::new(alive));
        } else if key == LEADER {
            let Seat { engine, since } = stored::decode(key, value)?;
            view.leader = Some(Leader {
                engine,
                since,
                elected: entry.created,
                lease: entry.lease,
            });
        } else if key == FLOOR {
            view.floor = Some(stored::decode(key, value)?);
            self.floor_at = entry.modified;
            self.floor_is_concluded = false;
        } else if key == ENGINE_V4 {
            view.v4_holder = Some(stored::decode(key, value)?);
        } else if key == PUBLISHED_STATUS {
            view.published_status = Some(Arc::new(stored::decode(key, value)?));
        } else if key == HINT {
            view.hint = entry.modified;
        }
        Ok(())
    }

    fn put_pointer(&mut self, entry: &Entry) -> Result<(), StateError> {
        self.pointer_at = entry.modified;
        let found = readable_pointer(entry)?;
        let reached = self.reached();
        match found {
            // The next generation, by any leader; or the first one.
            Some(next) if next.applied.generation == reached.next() => self.advance(next),
            Some(next) if self.pointer.is_none() => self.advance(next),
            found if found == self.pointer => self.tampered(POINTER.to_owned(), None),
            _ => self.tampered(POINTER.to_owned(), Some(Tampering::Altered)),
        }
        Ok(())
    }

    fn put_record(&mut self, key: &str, value: &[u8]) {
        let Some(record) = RecordKey::parse(key) else {
            return self.tampered(key.to_owned(), Some(Tampering::Added));
        };
        let id = (record.kind, record.name);
        let sum = Sum::of(id.0, &id.1, value);
        if record.generation > self.reached() {
            let object = stored::object(id.0, key, value).map_err(|_| ());
            let staged = self.staged.entry(record.generation).or_default();
            staged.insert(id, Staged { object, sum });
            return;
        }
        let held = self.held.get(&id);
        let note = match held {
            Some(held) if held.generation == record.generation && held.sum == sum => None,
            Some(held) if held.generation == record.generation => Some(Tampering::Altered),
            Some(held) if held.generation > record.generation => return self.superseded(key),
            None if value == b"null" || self.garbage.contains(key) => return self.superseded(key),
            _ => Some(Tampering::Added),
        };
        self.tampered(key.to_owned(), note);
    }

    fn superseded(&mut self, key: &str) {
        self.garbage.insert(key.to_owned());
    }

    /// Records an out-of-band change, or clears the record.
    fn tampered(&mut self, key: String, note: Option<Tampering>) {
        if note.is_none() && self.view.tampered.is_empty() {
            return;
        }
        let tampered = Arc::make_mut(&mut self.view.tampered);
        match note {
            Some(note) => drop(tampered.insert(key, note)),
            None => drop(tampered.remove(&key)),
        }
    }

    fn delete(&mut self, key: &str) {
        if key == POINTER {
            self.pointer_at = Revision(0);
            let known = self.pointer.is_some();
            return self.tampered(key.to_owned(), known.then_some(Tampering::Removed));
        }
        if key.starts_with(RECORDS) {
            return self.delete_record(key);
        }
        if self.kept.delete(&mut self.view.people, key) {
            return;
        }
        let view = &mut self.view;
        if key.starts_with(HISTORY) {
            Arc::make_mut(&mut view.history).remove(key);
        } else if let Some(name) = key.strip_prefix(ENGINES) {
            forget(view, name, |engine| engine.registration = None);
        } else if let Some(name) = key.strip_prefix(ALIVE) {
            forget(view, name, |engine| engine.alive = None);
        } else if key == LEADER {
            view.leader = None;
        } else if key == FLOOR {
            view.floor = None;
            self.floor_at = Revision(0);
        } else if key == ENGINE_V4 {
            view.v4_holder = None;
        } else if key == PUBLISHED_STATUS {
            view.published_status = None;
        }
    }

    fn delete_record(&mut self, key: &str) {
        self.garbage.remove(key);
        let Some(record) = RecordKey::parse(key) else {
            return self.tampered(key.to_owned(), None);
        };
        let id = (record.kind, record.name);
        if record.generation > self.reached() {
            if let Some(staged) = self.staged.get_mut(&record.generation) {
                staged.remove(&id);
                if staged.is_empty() {
                    self.staged.remove(&record.generation);
                }
            }
            return;
        }
        let held = self.held.get(&id);
        let in_force = held.is_some_and(|held| held.generation == record.generation);
        self.tampered(key.to_owned(), in_force.then_some(Tampering::Removed));
    }

    fn reached(&self) -> Generation {
        let pointer = self.pointer.as_ref();
        pointer.map_or(Generation(0), |pointer| pointer.applied.generation)
    }

    /// Puts everything staged up to the pointer's generation in force, in order.
    fn advance(&mut self, pointer: Pointer) {
        self.tampered(POINTER.to_owned(), None);
        if std::mem::take(&mut self.floor_is_concluded) {
            self.view.floor = None;
        }
        let later = self.staged.split_off(&pointer.applied.generation.next());
        let due = std::mem::replace(&mut self.staged, later);
        let in_force = Arc::make_mut(&mut self.view.in_force);
        in_force.applied = Some(pointer.applied.clone());
        let mut tampered = Arc::unwrap_or_clone(std::mem::take(&mut self.view.tampered));
        for (generation, records) in due {
            for (id, Staged { object, sum }) in records {
                let key = record_key(&id, generation);
                let Ok(object) = object else {
                    // No version of this program wrote it: it belongs to no commit, and the record it replaced is
                    // missing.
                    tampered.insert(key, Tampering::Added);
                    continue;
                };
                let old = if object.is_some() {
                    self.sum = self.sum.plus(sum);
                    self.held.insert(id.clone(), Held { generation, sum })
                } else {
                    self.garbage.insert(key);
                    self.held.remove(&id)
                };
                if let Some(old) = old {
                    self.sum = self.sum.minus(old.sum);
                    let key = record_key(&id, old.generation);
                    // An out-of-band change concerned the old version, which is superseded.
                    tampered.remove(&key);
                    self.garbage.insert(key);
                }
                set(&mut in_force.objects, id.0, id.1, object);
            }
        }
        self.view.tampered = Arc::new(tampered);
        self.view.suspect = pointer.sum.is_some_and(|sum| sum != self.sum);
        self.pointer = Some(pointer);
    }
}

/// The pointer in an entry; `None` for a value that no version of this program writes.
fn readable_pointer(entry: &Entry) -> Result<Option<Pointer>, StateError> {
    match stored::pointer(POINTER, &entry.value) {
        Ok(pointer) => Ok(Some(pointer)),
        Err(newer @ StateError::Newer { .. }) => Err(newer),
        Err(_) => Ok(None),
    }
}

fn record_key(id: &Id, generation: Generation) -> String {
    let record = RecordKey {
        generation,
        kind: id.0,
        name: id.1.clone(),
    };
    record.to_key()
}

fn engine<'a>(view: &'a mut View, key: &str, name: &str) -> Result<&'a mut Engine, StateError> {
    let name: Name = name.parse().map_err(|_| StateError::Corrupt {
        key: key.to_owned(),
        source: None,
    })?;
    Ok(Arc::make_mut(&mut view.engines).entry(name).or_default())
}

fn forget(view: &mut View, name: &str, part: impl FnOnce(&mut Engine)) {
    let Ok(name) = name.parse::<Name>() else {
        return;
    };
    let engines = Arc::make_mut(&mut view.engines);
    if let Some(engine) = engines.get_mut(&name) {
        part(engine);
        if *engine == Engine::default() {
            engines.remove(&name);
        }
    }
}

fn get(objects: &Objects, kind: Kind, name: &Name) -> Option<Object> {
    match kind {
        Kind::Cluster => (objects.cluster.clone())
            .filter(|cluster| cluster.spec.name == *name)
            .map(Object::Cluster),
        Kind::Role => objects.roles.get(name).cloned().map(Object::Role),
        Kind::User => objects.users.get(name).cloned().map(Object::User),
        Kind::Machine => objects.machines.get(name).cloned().map(Object::Machine),
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
