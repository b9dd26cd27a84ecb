//! The effect of a change: which users gain or lose permissions, which peers join or leave.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::{Change, Kind, Machine, Name, Object, Objects, Permission};

/// The effect of a change on users and machines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effect {
    /// Users whose permissions change, by name.
    pub powers: Vec<PowerChange>,
    /// Machines whose membership in the private network changes, by name.
    pub peers: Vec<PeerEffect>,
}

/// The permissions one user gains and loses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PowerChange {
    /// The user.
    pub user: Name,
    /// Permissions the user gains.
    pub gains: BTreeSet<Permission>,
    /// Permissions the user loses.
    pub loses: BTreeSet<Permission>,
}

/// The change of one machine's membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerEffect {
    /// It joins.
    Joins(Name),
    /// It leaves: its packets are no longer accepted.
    Leaves(Name),
    /// The peer with its old key is removed and one with its new key added.
    Rekeyed(Name),
    /// It stays, with other addresses.
    Readdressed(Name),
}

impl Effect {
    /// The effect at `now` of all changes between `before` and `after`.
    pub(super) fn of(
        changes: &[Change],
        before: &Objects,
        after: &Objects,
        now: Timestamp,
    ) -> Self {
        Self {
            powers: powers(changes, before, after, now),
            peers: changes
                .iter()
                .filter_map(|change| peer(change, now))
                .collect(),
        }
    }

    /// Whether no user and no machine is affected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.powers.is_empty() && self.peers.is_empty()
    }
}

fn powers(
    changes: &[Change],
    before: &Objects,
    after: &Objects,
    now: Timestamp,
) -> Vec<PowerChange> {
    let of_kind = |kind| {
        changes
            .iter()
            .filter(move |c| c.kind == kind)
            .map(|c| &c.name)
    };
    let mut users: BTreeSet<&Name> = of_kind(Kind::User).collect();
    users.extend(of_kind(Kind::Role).flat_map(|role| after.users.with_role(role)));
    let permissions = |objects: &Objects, name: &Name| {
        let user = objects.users.get(name);
        user.map(|record| objects.permissions(&record.spec, now))
            .unwrap_or_default()
    };
    let change =
        |name: &Name| PowerChange::new(name, &permissions(before, name), &permissions(after, name));
    users.into_iter().filter_map(change).collect()
}

impl PowerChange {
    fn new(
        user: &Name,
        before: &BTreeSet<Permission>,
        after: &BTreeSet<Permission>,
    ) -> Option<Self> {
        let beyond =
            |one: &BTreeSet<Permission>, other: &BTreeSet<Permission>| -> BTreeSet<Permission> {
                let held = |p: &&Permission| other.iter().any(|o| o.covers(p));
                one.iter().filter(|p| !held(p)).cloned().collect()
            };
        let change = Self {
            user: user.clone(),
            gains: beyond(after, before),
            loses: beyond(before, after),
        };
        (!change.gains.is_empty() || !change.loses.is_empty()).then_some(change)
    }
}

fn peer(change: &Change, now: Timestamp) -> Option<PeerEffect> {
    let name = change.name.clone();
    let before = active(change.before.as_ref(), now);
    let after = active(change.after.as_ref(), now);
    match (before, after) {
        (None, Some(_)) => Some(PeerEffect::Joins(name)),
        (Some(_), None) => Some(PeerEffect::Leaves(name)),
        (Some(old), Some(new)) if old.public_key != new.public_key => {
            Some(PeerEffect::Rekeyed(name))
        }
        (Some(old), Some(new)) if old.control_v4 != new.control_v4 => {
            Some(PeerEffect::Readdressed(name))
        }
        _ => None,
    }
}

fn active(object: Option<&Object>, now: Timestamp) -> Option<&Machine> {
    match object {
        Some(Object::Machine(record)) if record.spec.is_active(now) => Some(&record.spec),
        _ => None,
    }
}
