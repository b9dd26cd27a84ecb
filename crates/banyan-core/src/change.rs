//! The difference between two sets of objects, object by object and field by field.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::Arc;

use jiff::Timestamp;

use crate::{
    Cluster, Indexed, Kind, Machine, Name, Objects, Origin, Record, Role, Table, User, has_expired,
};

/// One object of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// The cluster.
    Cluster(Arc<Record<Cluster>>),
    /// A role.
    Role(Arc<Record<Role>>),
    /// A user.
    User(Arc<Record<User>>),
    /// A machine.
    Machine(Arc<Record<Machine>>),
}

impl Object {
    /// The origin of the object.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        match self {
            Self::Cluster(record) => &record.origin,
            Self::Role(record) => &record.origin,
            Self::User(record) => &record.origin,
            Self::Machine(record) => &record.origin,
        }
    }
}

/// A field that differs. The text never contains a secret or a sealed value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldChange {
    /// The field's name.
    pub field: &'static str,
    /// The change in readable form: `viewer → admin`, `+ 10.0.0.0/8`, `replaced`.
    pub text: String,
}

/// A change of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: Name,
    /// The object before; `None` if it is added.
    pub before: Option<Object>,
    /// The object after; `None` if it is removed.
    pub after: Option<Object>,
    /// The fields that differ; empty if the object is added, removed or only moved to another file or line.
    pub fields: Vec<FieldChange>,
}

impl Change {
    /// Whether only the position of the document changes.
    #[must_use]
    pub fn is_move(&self) -> bool {
        self.before.is_some() && self.after.is_some() && self.fields.is_empty()
    }

    /// Whether the change reduces access at `now`, so that guards count it as a removal: the object is removed,
    /// disabled or emptied, gets an expiry or an earlier one, or a new key.
    #[must_use]
    pub fn reduces(&self, now: Timestamp) -> bool {
        match (&self.before, &self.after) {
            (None, _) => false,
            (Some(before), after) => reduces(before, after.as_ref(), now),
        }
    }
}

fn reduces(before: &Object, after: Option<&Object>, now: Timestamp) -> bool {
    match (before, after) {
        (Object::User(old), None) => old.spec.is_active(now),
        (Object::Machine(old), None) => old.spec.is_active(now),
        (Object::Role(_) | Object::Cluster(_), None) => true,
        (Object::User(old), Some(Object::User(new))) => {
            let (old, new) = (&old.spec, &new.spec);
            old.is_active(now)
                && (new.disabled
                    || sooner(old.expires, new.expires)
                    || (!old.roles.is_empty() && new.roles.is_empty()))
        }
        (Object::Machine(old), Some(Object::Machine(new))) => {
            let (old, new) = (&old.spec, &new.spec);
            old.is_active(now)
                && (sooner(old.expires, new.expires) || old.public_key != new.public_key)
        }
        (Object::Role(old), Some(Object::Role(new))) => {
            !old.spec.permissions.is_empty() && new.spec.permissions.is_empty()
        }
        _ => false,
    }
}

fn sooner(old: Option<Timestamp>, new: Option<Timestamp>) -> bool {
    match (old, new) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(old), Some(new)) => new < old,
    }
}

/// All differences between two sets, sorted by kind and name. Shared records are skipped.
#[must_use]
pub fn changes(before: &Objects, after: &Objects) -> Vec<Change> {
    let mut changes = Vec::new();
    cluster_change(before, after, &mut changes);
    diff(
        Kind::Role,
        &before.roles,
        &after.roles,
        Object::Role,
        role_fields,
        &mut changes,
    );
    diff(
        Kind::User,
        &before.users,
        &after.users,
        Object::User,
        user_fields,
        &mut changes,
    );
    diff(
        Kind::Machine,
        &before.machines,
        &after.machines,
        Object::Machine,
        machine_fields,
        &mut changes,
    );
    changes
}

fn cluster_change(before: &Objects, after: &Objects, changes: &mut Vec<Change>) {
    let one = |objects: &Objects| -> BTreeMap<Name, _> {
        let record = objects.cluster.iter();
        record
            .map(|r| (r.spec.name.clone(), Arc::clone(r)))
            .collect()
    };
    let (before, after) = (one(before), one(after));
    let names: BTreeSet<&Name> = before.keys().chain(after.keys()).collect();
    for name in names {
        let (old, new) = (before.get(name), after.get(name));
        if old != new {
            changes.push(change(
                Kind::Cluster,
                name,
                (old, new),
                Object::Cluster,
                cluster_fields,
            ));
        }
    }
}

fn diff<T: Indexed>(
    kind: Kind,
    before: &Table<T>,
    after: &Table<T>,
    object: fn(Arc<Record<T>>) -> Object,
    fields: fn(&T, &T) -> Vec<FieldChange>,
    changes: &mut Vec<Change>,
) where
    Record<T>: Eq,
{
    let differences = before.diff(after);
    changes.extend(differences.map(|difference| {
        let records = (difference.before, difference.after);
        change(kind, difference.name, records, object, fields)
    }));
}

/// A record before and after.
type Pair<'a, T> = (Option<&'a Arc<Record<T>>>, Option<&'a Arc<Record<T>>>);

fn change<T>(
    kind: Kind,
    name: &Name,
    (old, new): Pair<'_, T>,
    object: fn(Arc<Record<T>>) -> Object,
    fields: fn(&T, &T) -> Vec<FieldChange>,
) -> Change {
    let fields = match (old, new) {
        (Some(old), Some(new)) => fields(&old.spec, &new.spec),
        _ => Vec::new(),
    };
    Change {
        kind,
        name: name.clone(),
        before: old.cloned().map(object),
        after: new.cloned().map(object),
        fields,
    }
}

/// Collects the fields that differ.
struct Fields(Vec<FieldChange>);

impl Fields {
    fn text(&mut self, field: &'static str, text: String) {
        self.0.push(FieldChange { field, text });
    }

    fn value<T: PartialEq>(
        &mut self,
        field: &'static str,
        old: &T,
        new: &T,
        show: fn(&T) -> String,
    ) {
        if old != new {
            self.text(field, format!("{} → {}", show(old), show(new)));
        }
    }

    fn set<'a, T: Ord + Display + 'a>(
        &mut self,
        field: &'static str,
        old: &BTreeSet<T>,
        new: &BTreeSet<T>,
    ) {
        let gone = old.difference(new).map(|v| format!("- {v}"));
        let come = new.difference(old).map(|v| format!("+ {v}"));
        let texts: Vec<_> = gone.chain(come).collect();
        if !texts.is_empty() {
            self.text(field, texts.join(", "));
        }
    }
}

fn optional<T: Display>(value: &Option<T>) -> String {
    value
        .as_ref()
        .map_or_else(|| "none".to_owned(), T::to_string)
}

fn labels(labels: &crate::Labels) -> String {
    let pairs: Vec<_> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    format!("{{{}}}", pairs.join(", "))
}

fn cluster_fields(old: &Cluster, new: &Cluster) -> Vec<FieldChange> {
    let mut fields = Fields(Vec::new());
    fields.value(
        "controlRange",
        &old.control_range,
        &new.control_range,
        ToString::to_string,
    );
    fields.value(
        "meshRange",
        &old.mesh_range,
        &new.mesh_range,
        ToString::to_string,
    );
    fields.set("recipients", &old.recipients, &new.recipients);
    fields.value("guards", &old.guards, &new.guards, |guards| {
        format!("{} %, {}", guards.max_removed_percent, guards.max_removed)
    });
    fields.value(
        "requireSealed",
        &old.require_sealed,
        &new.require_sealed,
        bool::to_string,
    );
    fields.0
}

fn role_fields(old: &Role, new: &Role) -> Vec<FieldChange> {
    let mut fields = Fields(Vec::new());
    fields.value("labels", &old.labels, &new.labels, labels);
    fields.set("permissions", &old.permissions, &new.permissions);
    fields.0
}

fn user_fields(old: &User, new: &User) -> Vec<FieldChange> {
    let mut fields = Fields(Vec::new());
    fields.value("labels", &old.labels, &new.labels, labels);
    fields.set("roles", &old.roles, &new.roles);
    fields.value("email", &old.email, &new.email, optional);
    fields.value("disabled", &old.disabled, &new.disabled, bool::to_string);
    fields.value("expires", &old.expires, &new.expires, optional);
    if old.password_hash != new.password_hash {
        fields.text("passwordHash", "replaced".to_owned());
    }
    fields.0
}

fn machine_fields(old: &Machine, new: &Machine) -> Vec<FieldChange> {
    let mut fields = Fields(Vec::new());
    fields.value("labels", &old.labels, &new.labels, labels);
    fields.value(
        "type",
        &old.machine_type,
        &new.machine_type,
        ToString::to_string,
    );
    if old.public_key != new.public_key {
        fields.text("publicKey", "replaced".to_owned());
    }
    fields.value(
        "control address",
        &old.control_v4,
        &new.control_v4,
        optional,
    );
    fields.value("endpoint", &old.endpoint, &new.endpoint, optional);
    fields.value(
        "meshAddress",
        &old.mesh_address,
        &new.mesh_address,
        optional,
    );
    fields.set("routes", &old.routes, &new.routes);
    fields.value("expires", &old.expires, &new.expires, optional);
    fields.value("protected", &old.protected, &new.protected, bool::to_string);
    fields.0
}

/// Whether this record is active at `now`; roles and clusters always are.
pub(crate) fn is_active(object: &Object, now: Timestamp) -> bool {
    match object {
        Object::User(user) => user.spec.is_active(now),
        Object::Machine(machine) => !has_expired(machine.spec.expires, now),
        Object::Role(_) | Object::Cluster(_) => true,
    }
}
