//! The effect of a change: which users gain or lose permissions, which peers join or leave.

use std::collections::{BTreeMap, BTreeSet};

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
    let mut users: Vec<&Name> = of_kind(Kind::User).collect();
    users.extend(of_kind(Kind::Role).flat_map(|role| after.users.with_role(role)));
    users.sort_unstable();
    users.dedup();
    // A role can have many holders, but there are few combinations of roles.
    let mut known: BTreeMap<_, Difference> = BTreeMap::new();
    let change = |user: &Name| {
        let roles = (
            active_roles(before, user, now),
            active_roles(after, user, now),
        );
        let Difference { gains, loses } = known
            .entry(roles)
            .or_insert_with(|| Difference::of(&held(before, roles.0), &held(after, roles.1)));
        (!gains.is_empty() || !loses.is_empty()).then(|| PowerChange {
            user: user.clone(),
            gains: gains.clone(),
            loses: loses.clone(),
        })
    };
    users.into_iter().filter_map(change).collect()
}

/// The roles that count: none where the user is not there or not active.
fn active_roles<'o>(
    objects: &'o Objects,
    user: &Name,
    now: Timestamp,
) -> Option<&'o BTreeSet<Name>> {
    let user = objects.users.get(user)?;
    user.spec.is_active(now).then_some(&user.spec.roles)
}

fn held(objects: &Objects, roles: Option<&BTreeSet<Name>>) -> BTreeSet<Permission> {
    let of = |role| objects.role_permissions(role).unwrap_or_default();
    roles.into_iter().flatten().flat_map(of).collect()
}

/// What one set of permissions covers and another does not, both ways.
struct Difference {
    gains: BTreeSet<Permission>,
    loses: BTreeSet<Permission>,
}

impl Difference {
    fn of(before: &BTreeSet<Permission>, after: &BTreeSet<Permission>) -> Self {
        let beyond =
            |one: &BTreeSet<Permission>, other: &BTreeSet<Permission>| -> BTreeSet<Permission> {
                let held = |p: &&Permission| other.iter().any(|o| o.covers(p));
                one.iter().filter(|p| !held(p)).cloned().collect()
            };
        Self {
            gains: beyond(after, before),
            loses: beyond(before, after),
        }
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
