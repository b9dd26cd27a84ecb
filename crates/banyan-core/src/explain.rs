//! Explains an object: its origin, since when it is in force, and its effects.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::people::{Directory, Inactive, Lock, Person};
use crate::{
    Generation, Kind, Machine, Name, Objects, Origin, Permission, Record, Role, built_in_role,
    control_v6,
};

/// The explanation of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: Name,
    /// Its origin; `None` for a built-in object.
    pub origin: Option<Origin>,
    /// The generation that last changed it.
    pub generation: Generation,
    /// When that was; `None` for a built-in object.
    pub since: Option<Timestamp>,
    /// Whether it has an effect now.
    pub state: ObjectState,
    /// Its effects, one sentence each.
    pub implies: Vec<String>,
}

/// The state of an object: a word, with its expiry and lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectState {
    /// `active`, `disabled`, `locked` or `expired` for users and machines; `in-force` or `built-in` for other objects.
    pub word: &'static str,
    /// When it expires.
    pub expires: Option<Timestamp>,
    /// The lock of a user.
    pub lock: Option<Lock>,
}

impl ObjectState {
    fn new(word: &'static str) -> Self {
        Self {
            word,
            expires: None,
            lock: None,
        }
    }

    /// The state of a user at `now`. A locked user is reported as locked even if also disabled or expired.
    #[must_use]
    pub fn of_user(person: &Person<'_>, now: Timestamp) -> Self {
        let word = match person.inactive(now) {
            Some(Inactive::Locked(_)) => "locked",
            Some(Inactive::Disabled) => "disabled",
            Some(Inactive::Expired) => "expired",
            None => "active",
        };
        Self {
            expires: person.record.spec.expires,
            lock: person.account.and_then(|account| account.lock.clone()),
            ..Self::new(word)
        }
    }

    /// The state of a machine at `now`.
    #[must_use]
    pub fn of_machine(machine: &Machine, now: Timestamp) -> Self {
        let word = match machine.is_active(now) {
            true => "active",
            false => "expired",
        };
        Self {
            expires: machine.expires,
            ..Self::new(word)
        }
    }
}

impl Directory<'_> {
    /// Explains an object; `None` if it does not exist.
    #[must_use]
    pub fn explain(&self, kind: Kind, name: &Name, now: Timestamp) -> Option<Explanation> {
        let objects = self.objects;
        match kind {
            Kind::Cluster => {
                let record = objects.cluster.as_ref().filter(|c| c.spec.name == *name)?;
                Some(of(
                    kind,
                    name,
                    record,
                    ObjectState::new("in-force"),
                    self.cluster_implies(),
                ))
            }
            Kind::User => {
                let person = self.find(name)?;
                let implies = self.user_implies(&person, now);
                let state = ObjectState::of_user(&person, now);
                Some(of(kind, name, person.record, state, implies))
            }
            Kind::Role => self.explain_role(name),
            Kind::Machine => {
                let record = objects.machines.get(name)?;
                let state = ObjectState::of_machine(&record.spec, now);
                Some(of(
                    kind,
                    name,
                    record,
                    state,
                    machine_implies(&record.spec, now),
                ))
            }
        }
    }

    fn explain_role(&self, name: &Name) -> Option<Explanation> {
        let holders = self.holders(name);
        let implies = |permissions: BTreeSet<Permission>| role_implies(&permissions, &holders);
        if let Some(record) = self.objects.roles.get(name) {
            let implies = implies(record.spec.permissions.clone());
            let state = ObjectState::new("in-force");
            return Some(of(Kind::Role, name, record, state, implies));
        }
        let permissions = built_in_role(name.as_str())?;
        Some(Explanation {
            kind: Kind::Role,
            name: name.clone(),
            origin: None,
            generation: Generation(0),
            since: None,
            state: ObjectState::new("built-in"),
            implies: implies(permissions),
        })
    }

    /// The users that have a role, by name.
    #[must_use]
    pub fn holders(&self, role: &Name) -> Vec<&Name> {
        self.iter()
            .filter(|person| person.record.spec.roles.contains(role))
            .map(|person| person.name())
            .collect()
    }

    fn cluster_implies(&self) -> Vec<String> {
        let Some(cluster) = &self.objects.cluster else {
            return Vec::new();
        };
        let spec = &cluster.spec;
        let sealed = if spec.require_sealed {
            "must"
        } else {
            "need not"
        };
        vec![
            format!(
                "control tunnel in {}, mesh in {}",
                spec.control_range, spec.mesh_range
            ),
            format!(
                "keys {sealed} be sealed, for {} recipients",
                spec.recipients.len()
            ),
            format!(
                "a commit may remove {} objects or {} % of a kind without a trailer",
                spec.guards.max_removed, spec.guards.max_removed_percent
            ),
        ]
    }

    fn user_implies(&self, person: &Person<'_>, now: Timestamp) -> Vec<String> {
        let user = &person.record.spec;
        let mut by_permission: BTreeMap<Permission, Vec<&str>> = BTreeMap::new();
        for role in &user.roles {
            for permission in self.objects.role_permissions(role).unwrap_or_default() {
                by_permission
                    .entry(permission)
                    .or_default()
                    .push(role.as_str());
            }
        }
        if person.inactive(now).is_some() {
            return vec!["has no permissions while inactive".to_owned()];
        }
        if by_permission.is_empty() {
            return vec!["has no permissions: no role grants any".to_owned()];
        }
        (by_permission.iter())
            .map(|(permission, roles)| {
                format!("has {permission} through role {}", roles.join(", "))
            })
            .collect()
    }
}

fn of<T>(
    kind: Kind,
    name: &Name,
    record: &Record<T>,
    state: ObjectState,
    implies: Vec<String>,
) -> Explanation {
    Explanation {
        kind,
        name: name.clone(),
        origin: Some(record.origin.clone()),
        generation: record.generation,
        since: Some(record.since),
        state,
        implies,
    }
}

fn role_implies(permissions: &BTreeSet<Permission>, holders: &[&Name]) -> Vec<String> {
    let list = |texts: Vec<String>, none: &str| match texts.is_empty() {
        true => none.to_owned(),
        false => texts.join(", "),
    };
    let permissions = permissions.iter().map(Permission::to_string).collect();
    let holders = holders.iter().map(|name| name.to_string()).collect();
    vec![
        format!("permits {}", list(permissions, "nothing")),
        format!("held by {}", list(holders, "nobody")),
    ]
}

fn machine_implies(machine: &Machine, now: Timestamp) -> Vec<String> {
    if !machine.is_active(now) {
        return vec!["is not a peer of the control tunnel while expired".to_owned()];
    }
    let v6 = control_v6(&machine.public_key);
    let mut implies = vec![match machine.control_v4 {
        Some(v4) => format!("is a peer of the control tunnel at {v4} and {v6}"),
        None => format!(
            "is a peer of the control tunnel at {v6}; another machine has the IPv4 address derived from its key"
        ),
    }];
    implies.extend(machine.routes.iter().map(|route| format!("routes {route}")));
    if machine.protected {
        implies.push("is protected: a commit that cuts it off is refused".to_owned());
    }
    implies
}

/// All roles with their origin, the built-in ones included, sorted by name.
#[must_use]
pub fn all_roles(objects: &Objects) -> Vec<(Role, Option<Origin>)> {
    let built_in = crate::built_in_roles().filter_map(|name| {
        let role = Role {
            name: name.parse().ok()?,
            labels: crate::Labels::new(),
            permissions: built_in_role(name)?,
        };
        Some((role, None))
    });
    let declared = objects.roles.values();
    let declared = declared.map(|r| (r.spec.clone(), Some(r.origin.clone())));
    let mut roles: Vec<_> = built_in.chain(declared).collect();
    roles.sort_by(|a, b| a.0.name.cmp(&b.0.name));
    roles
}
