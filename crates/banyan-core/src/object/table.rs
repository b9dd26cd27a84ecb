//! The records of one kind by name, with indexes that are kept in step.
//!
//! A table is a persistent value: cloning is cheap, and two tables share the records and nodes in which they agree, so
//! that computing their difference costs only the difference.

use std::fmt;
use std::ops::{Deref, Index};
use std::sync::Arc;

use imbl::OrdMap;
use imbl::ordmap::DiffItem;
use jiff::Timestamp;

use crate::multimap::Multimap;
use crate::{Machine, Name, Permission, PublicKey, Record, Role, User, has_expired};

/// An object type whose tables maintain an index.
pub trait Indexed: Clone + PartialEq {
    /// The index.
    type Index: Default + Clone + fmt::Debug;

    #[doc(hidden)]
    fn add(index: &mut Self::Index, name: &Name, object: &Self);
    #[doc(hidden)]
    fn take(index: &mut Self::Index, name: &Name, object: &Self);
}

/// Records by name. Dereferences to the map; only [`Table::insert`] and [`Table::remove`] change it.
pub struct Table<T: Indexed> {
    records: OrdMap<Name, Arc<Record<T>>>,
    index: T::Index,
}

/// A record that differs between two tables.
#[derive(Debug)]
pub struct Difference<'a, T> {
    /// Its name.
    pub name: &'a Name,
    /// The record in the first table.
    pub before: Option<&'a Arc<Record<T>>>,
    /// The record in the second table.
    pub after: Option<&'a Arc<Record<T>>>,
}

impl<T: Indexed> Table<T> {
    /// The record of a name.
    #[must_use]
    pub fn get(&self, name: &Name) -> Option<&Arc<Record<T>>> {
        self.records.get(name)
    }

    /// Adds or replaces a record; returns the previous one.
    pub fn insert(&mut self, name: Name, record: Arc<Record<T>>) -> Option<Arc<Record<T>>> {
        if let Some(before) = self.records.get(&name) {
            T::take(&mut self.index, &name, &before.spec);
        }
        T::add(&mut self.index, &name, &record.spec);
        self.records.insert(name, record)
    }

    /// Removes and returns a record.
    pub fn remove(&mut self, name: &Name) -> Option<Arc<Record<T>>> {
        let record = self.records.remove(name)?;
        T::take(&mut self.index, name, &record.spec);
        Some(record)
    }

    /// Changes a record in place, like an edit of the store; does nothing if the name is missing.
    #[cfg(any(test, feature = "fixture"))]
    pub fn alter(&mut self, name: &Name, change: impl FnOnce(&mut T)) {
        if let Some(record) = self.get(name) {
            let mut record = (**record).clone();
            change(&mut record.spec);
            self.insert(name.clone(), Arc::new(record));
        }
    }

    /// The differences from here to `after`, by name. Records that both tables share are skipped.
    pub fn diff<'a>(&'a self, after: &'a Self) -> impl Iterator<Item = Difference<'a, T>>
    where
        Record<T>: Eq,
    {
        self.records.diff(&after.records).map(|item| match item {
            DiffItem::Add(name, record) => Difference {
                name,
                before: None,
                after: Some(record),
            },
            DiffItem::Remove(name, record) => Difference {
                name,
                before: Some(record),
                after: None,
            },
            DiffItem::Update {
                old: (name, before),
                new: (_, after),
            } => Difference {
                name,
                before: Some(before),
                after: Some(after),
            },
        })
    }
}

impl<T: Indexed> Deref for Table<T> {
    type Target = OrdMap<Name, Arc<Record<T>>>;

    fn deref(&self) -> &Self::Target {
        &self.records
    }
}

impl<T: Indexed> Index<&Name> for Table<T> {
    type Output = Arc<Record<T>>;

    #[expect(
        clippy::indexing_slicing,
        reason = "it panics as the map's own index does"
    )]
    fn index(&self, name: &Name) -> &Self::Output {
        &self.records[name]
    }
}

impl<T: Indexed, const N: usize> From<[(Name, Arc<Record<T>>); N]> for Table<T> {
    fn from(records: [(Name, Arc<Record<T>>); N]) -> Self {
        records.into_iter().collect()
    }
}

impl<T: Indexed> Default for Table<T> {
    fn default() -> Self {
        Self {
            records: OrdMap::new(),
            index: T::Index::default(),
        }
    }
}

impl<T: Indexed> Clone for Table<T> {
    fn clone(&self) -> Self {
        Self {
            records: self.records.clone(),
            index: self.index.clone(),
        }
    }
}

impl<T: Indexed + fmt::Debug> fmt::Debug for Table<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.records.fmt(f)
    }
}

impl<T: Indexed> PartialEq for Table<T>
where
    Record<T>: PartialEq,
{
    fn eq(&self, other: &Self) -> bool {
        self.records == other.records
    }
}

impl<T: Indexed> Eq for Table<T> where Record<T>: Eq {}

impl<T: Indexed> FromIterator<(Name, Arc<Record<T>>)> for Table<T> {
    fn from_iter<I: IntoIterator<Item = (Name, Arc<Record<T>>)>>(records: I) -> Self {
        let mut table = Self::default();
        for (name, record) in records {
            table.insert(name, record);
        }
        table
    }
}

impl<'a, T: Indexed> IntoIterator for &'a Table<T> {
    type Item = (&'a Name, &'a Arc<Record<T>>);
    type IntoIter =
        imbl::ordmap::Iter<'a, Name, Arc<Record<T>>, imbl::shared_ptr::DefaultSharedPtr>;

    fn into_iter(self) -> Self::IntoIter {
        self.records.iter()
    }
}

/// Index of users: by role, by disabled state, by expiry.
#[derive(Debug, Clone, Default)]
pub struct UserIndex {
    by_role: Multimap<Name, Name>,
    expiring: Multimap<Timestamp, Name>,
    disabled: usize,
}

impl Indexed for User {
    type Index = UserIndex;

    fn add(index: &mut UserIndex, name: &Name, user: &Self) {
        for role in &user.roles {
            index.by_role.insert(role.clone(), name.clone());
        }
        if let Some(at) = user.expires {
            index.expiring.insert(at, name.clone());
        }
        index.disabled += usize::from(user.disabled);
    }

    fn take(index: &mut UserIndex, name: &Name, user: &Self) {
        for role in &user.roles {
            index.by_role.remove(role, name);
        }
        if let Some(at) = user.expires {
            index.expiring.remove(&at, name);
        }
        index.disabled = index.disabled.saturating_sub(usize::from(user.disabled));
    }
}

impl Table<User> {
    /// The users that have a role, by name.
    pub fn with_role<'a>(&'a self, role: &Name) -> impl Iterator<Item = &'a Name> + use<'a> {
        self.index.by_role.get(role)
    }

    /// The number of users active at `now`.
    #[must_use]
    pub fn active(&self, now: Timestamp) -> usize {
        let enabled = |name: &Name| self.get(name).is_some_and(|record| !record.spec.disabled);
        let expired = self.index.expiring.range(..=now);
        let expired = expired.filter(|(_, name)| enabled(name)).count();
        self.len().saturating_sub(self.index.disabled + expired)
    }

    /// The next expiry after `now`.
    pub(crate) fn next_expiry(&self, now: Timestamp) -> Option<Timestamp> {
        next_after(&self.index.expiring, now)
    }
}

/// Index of roles: those that grant everything.
#[derive(Debug, Clone, Default)]
pub struct RoleIndex {
    everything: imbl::OrdSet<Name>,
}

impl Indexed for Role {
    type Index = RoleIndex;

    fn add(index: &mut RoleIndex, name: &Name, role: &Self) {
        if role.permissions.iter().any(Permission::is_everything) {
            index.everything.insert(name.clone());
        }
    }

    fn take(index: &mut RoleIndex, name: &Name, _: &Self) {
        index.everything.remove(name);
    }
}

impl Table<Role> {
    /// The declared roles that grant `*`.
    pub(crate) fn with_everything(&self) -> impl Iterator<Item = &Name> {
        self.index.everything.iter()
    }
}

/// Index of machines: by key and by expiry.
#[derive(Debug, Clone, Default)]
pub struct MachineIndex {
    by_key: OrdMap<PublicKey, Name>,
    expiring: Multimap<Timestamp, Name>,
}

impl Indexed for Machine {
    type Index = MachineIndex;

    fn add(index: &mut MachineIndex, name: &Name, machine: &Self) {
        index.by_key.insert(machine.public_key, name.clone());
        if let Some(at) = machine.expires {
            index.expiring.insert(at, name.clone());
        }
    }

    fn take(index: &mut MachineIndex, name: &Name, machine: &Self) {
        if index.by_key.get(&machine.public_key) == Some(name) {
            index.by_key.remove(&machine.public_key);
        }
        if let Some(at) = machine.expires {
            index.expiring.remove(&at, name);
        }
    }
}

impl Table<Machine> {
    /// The machine that has a key.
    #[must_use]
    pub fn with_key(&self, key: &PublicKey) -> Option<&Arc<Record<Machine>>> {
        let name = self.index.by_key.get(key)?;
        let record = self.get(name)?;
        (record.spec.public_key == *key).then_some(record)
    }

    /// The number of machines active at `now`.
    #[must_use]
    pub fn active(&self, now: Timestamp) -> usize {
        let expired = self.index.expiring.range(..=now).count();
        self.len().saturating_sub(expired)
    }

    /// The machines that expire later than `after`, up to and including `until`.
    pub(crate) fn expiring(
        &self,
        after: Timestamp,
        until: Timestamp,
    ) -> impl Iterator<Item = &Name> {
        use std::ops::Bound::{Excluded, Included};
        let fits = after < until;
        let range = fits.then(|| {
            self.index
                .expiring
                .range((Excluded(after), Included(until)))
        });
        range.into_iter().flatten().map(|(_, name)| name)
    }

    /// The next expiry after `now`.
    pub(crate) fn next_expiry(&self, now: Timestamp) -> Option<Timestamp> {
        next_after(&self.index.expiring, now)
    }
}

fn next_after(expiring: &Multimap<Timestamp, Name>, now: Timestamp) -> Option<Timestamp> {
    use std::ops::Bound::{Excluded, Unbounded};
    let next = expiring.range((Excluded(now), Unbounded)).next();
    let at = next.map(|(at, _)| *at);
    debug_assert!(at.is_none_or(|at| !has_expired(Some(at), now)));
    at
}
