//! Decides whether a checked commit may be applied, and settles everything that applying it needs.

mod address;
mod guard;
mod record;
mod scope;

use jiff::Timestamp;

use self::address::Held;
use crate::people::People;
use crate::{
    Change, Checked, CommitInfo, Finding, Generation, Guards, Kind, Name, Objects, Recipient,
    changes,
};
use serde::{Deserialize, Serialize};

pub use guard::Reduction;

/// What was applied as a generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// The number of the generation.
    pub generation: Generation,
    /// The commit.
    pub commit: CommitInfo,
    /// When it was applied.
    pub at: Timestamp,
}

/// What is in force: the last applied commit and the objects it produced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InForce {
    /// `None` before the first commit.
    pub applied: Option<Applied>,
    /// The objects.
    pub objects: Objects,
}

impl InForce {
    /// The generation in force; 0 before the first commit.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.applied
            .as_ref()
            .map_or(Generation(0), |a| a.generation)
    }
}

/// The inputs of admission other than the two states.
#[derive(Debug, Clone)]
pub struct AdmitContext<'a> {
    /// The guards of the engine's configuration.
    pub guards: Guards,
    /// The recipients of the cluster's engines, starting with this engine's.
    pub engine_recipients: &'a [EngineRecipients],
    /// The reductions of the last 24 hours that no trailer announced.
    pub recent: &'a [Reduction],
    /// Users that git does not declare, and which users can log in.
    pub people: &'a People,
    /// The documents from which the records in force were made, if known: then only the differences are examined. The
    /// target is the same either way.
    pub made_of: Option<&'a Checked>,
    /// The time of the decision.
    pub now: Timestamp,
}

/// The age recipients an engine can decrypt for. At least one must remain in `Cluster.spec.recipients`; otherwise the
/// engine could not open values sealed later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineRecipients {
    /// The engine; `None` for the one that decides.
    pub engine: Option<Name>,
    /// Its recipients; empty if the engine has no age identity and so decrypts nothing.
    pub recipients: Vec<Recipient>,
}

/// A complete, numbered state to apply. Only [`admit`] and [`restore`] create one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    parent: Generation,
    applied: Applied,
    objects: Objects,
    changes: Vec<Change>,
    reductions: Vec<Reduction>,
    people: Option<u64>,
}

impl Target {
    /// The generation it is based on; it can be applied only while that one is in force.
    #[must_use]
    pub fn parent(&self) -> Generation {
        self.parent
    }

    /// The generation, commit and time of this target.
    #[must_use]
    pub fn applied(&self) -> &Applied {
        &self.applied
    }

    /// All objects after applying it.
    #[must_use]
    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    /// The differences from its parent, sorted.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The reductions that no trailer announced: they count against later commits for a day.
    #[must_use]
    pub fn reductions(&self) -> &[Reduction] {
        &self.reductions
    }

    /// The [`People::revision`] it was decided on; `None` if the decision does not depend on it.
    #[must_use]
    pub fn people(&self) -> Option<u64> {
        self.people
    }

    /// The number of objects added, changed (moves included) and removed.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts::of(&self.changes)
    }
}

/// The number of objects added, changed and removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// New objects.
    pub added: usize,
    /// Changed or moved objects.
    pub changed: usize,
    /// Removed objects.
    pub removed: usize,
}

impl Counts {
    /// Counts changes.
    #[must_use]
    pub fn of(changes: &[Change]) -> Self {
        let mut counts = Self::default();
        for change in changes {
            match (&change.before, &change.after) {
                (None, _) => counts.added += 1,
                (Some(_), Some(_)) => counts.changed += 1,
                (Some(_), None) => counts.removed += 1,
            }
        }
        counts
    }
}

/// Decides on a checked commit.
///
/// # Errors
/// Why it is refused: a guard, or a range that cannot change in a live cluster. What is in force is not touched.
pub fn admit(
    in_force: &InForce,
    checked: &Checked,
    commit: &CommitInfo,
    circumstances: &AdmitContext<'_>,
) -> Result<Target, Vec<Finding>> {
    let parent = in_force.generation();
    let stamp = record::Stamp {
        commit: commit.id,
        author: &commit.author,
        people: circumstances.people,
        generation: parent.next(),
        now: circumstances.now,
        lost: false,
    };
    let scope = scope::Scope {
        before: &in_force.objects,
        made_of: circumstances.made_of,
        checked,
    };
    let objects = record::objects(&scope, Held::Trusted, &stamp);
    let changes = changes(&in_force.objects, &objects);
    let reductions = guard::judge(in_force, checked, &objects, &changes, commit, circumstances)?;
    Ok(Target {
        parent,
        applied: Applied {
            generation: stamp.generation,
            commit: commit.clone(),
            at: circumstances.now,
        },
        objects,
        changes,
        reductions,
        people: Some(circumstances.people.revision),
    })
}

/// Computes how to return records that were tampered with to what the commit in force says.
///
/// The result is the same commit under the next generation. No guard applies, because all of it was admitted before.
/// Correct records stay unchanged. If two machines' keys give the same IPv4 address, the commit does not say which of
/// them held it; if neither holds it any more, it is assigned again.
///
/// `applied` is the commit from which `in_force` was made, and `checked` is the tree of that commit. A user whose
/// record is missing is identified by the account in `people`.
#[must_use]
pub fn restore(
    in_force: &InForce,
    checked: &Checked,
    applied: &Applied,
    people: &People,
    now: Timestamp,
) -> Target {
    let stamp = record::Stamp {
        commit: applied.commit.id,
        author: &applied.commit.author,
        people,
        generation: applied.generation.next(),
        now,
        lost: true,
    };
    let scope = scope::Scope {
        before: &in_force.objects,
        made_of: None,
        checked,
    };
    let objects = record::objects(&scope, Held::Doubted, &stamp);
    Target {
        parent: applied.generation,
        applied: Applied {
            generation: stamp.generation,
            commit: applied.commit.clone(),
            at: now,
        },
        changes: changes(&in_force.objects, &objects),
        objects,
        reductions: Vec::new(),
        people: None,
    }
}

/// The kinds whose removals guards count.
const GUARDED: [Kind; 3] = [Kind::Role, Kind::User, Kind::Machine];

#[cfg(test)]
mod restore_tests;
#[cfg(test)]
mod tests;
