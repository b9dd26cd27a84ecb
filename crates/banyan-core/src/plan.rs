//! A plan: what a target changes, and its effect on users and machines.

mod effect;
mod text;

pub use effect::{Effect, PeerEffect, PowerChange};

use jiff::Timestamp;

use crate::{Change, Counts, Finding, Generation, InForce, Objects, Target, changes};

/// What applying a target does. The plan is complete: applying it makes no choices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The generation it is based on.
    pub parent: Generation,
    /// The changes, object by object, sorted.
    pub changes: Vec<Change>,
    /// Their effect.
    pub effect: Effect,
    /// Findings that do not prevent the commit.
    pub warnings: Vec<Finding>,
}

impl Plan {
    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The number of objects added, changed and removed.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts::of(&self.changes)
    }
}

/// The plan of a target relative to what is in force.
#[must_use]
pub fn plan(in_force: &InForce, target: &Target, now: Timestamp) -> Plan {
    Plan {
        parent: in_force.generation(),
        ..plan_between(&in_force.objects, target.objects(), now)
    }
}

/// The plan between two sets of objects, without an engine.
#[must_use]
pub fn plan_between(before: &Objects, after: &Objects, now: Timestamp) -> Plan {
    let changes = changes(before, after);
    Plan {
        parent: Generation(0),
        effect: Effect::of(&changes, before, after, now),
        changes,
        warnings: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
