//! Decides whether a checked commit may get into force, and settles everything that applying it needs.

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

/// What got into force with a generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Its number.
    pub generation: Generation,
    /// The commit.
    pub commit: CommitInfo,
    /// When it got into force.
    pub at: Timestamp,
}

/// What is in force: the last applied commit and the objects it left.
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

/// What admission needs to know besides the two states.
#[derive(Debug, Clone)]
pub struct AdmitContext<'a> {
    /// The guards of the engine's own configuration.
    pub guards: Guards,
    /// With what the engines of the cluster open sealed values, the one that judges first.
    pub engine_recipients: &'a [EngineRecipients],
    /// What earlier commits of the last 24 hours took away without a trailer.
    pub recent: &'a [Reduction],
    /// What is kept of people: the users that git does not declare, and who is able to log in.
    pub people: &'a People,
    /// The documents of which what is in force was made, if they are known: then only what differs from them is looked at.
    /// The target is the same without them.
    pub made_of: Option<&'a Checked>,
    /// The instant at which this is judged.
    pub now: Timestamp,
}

/// With what an engine opens sealed values. One of them must stay among the Cluster's, or the engine is cut off from
/// whatever is sealed from then on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineRecipients {
    /// The engine; `None` for the one that judges.
    pub engine: Option<Name>,
    /// Its recipients; empty when it has no age identity, and so nothing to lose.
    pub recipients: Vec<Recipient>,
}

/// A numbered and settled state to bring into force. It can be had from [`admit`] and [`restore`]
/// only.
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
    /// The generation on which it builds; it can only be applied when this one is in force.
    #[must_use]
    pub fn parent(&self) -> Generation {
        self.parent
    }

    /// Its own number, commit and time.
    #[must_use]
    pub fn applied(&self) -> &Applied {
        &self.applied
    }

    /// Every object as it will be.
    #[must_use]
    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    /// What differs from its parent, sorted.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// What it takes away without a trailer: later commits are charged with it for a day.
    #[must_use]
    pub fn reductions(&self) -> &[Reduction] {
        &self.reductions
    }

    /// On which [`People::revision`] it was decided; `None` where people do not matter.
    #[must_use]
    pub fn people(&self) -> Option<u64> {
        self.people
    }

    /// How many objects come, change (moves included) and go.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts::of(&self.changes)
    }
}

/// How many objects come, change and go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// New objects.
    pub added: usize,
    /// Objects that change or move.
    pub changed: usize,
    /// Objects that go.
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

/// Decides about a checked commit.
///
/// # Errors
/// Why it is refused: guards, or a range that cannot change in a live cluster. What is in force is untouched.
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

/// Settles how to bring records that somebody altered back to what the commit in force says.
///
/// It is the same commit under the next generation. Nothing guards it, because all of it was admitted before. Records
/// that are right stay as they are. Of two machines whose keys give the same IPv4 address, the one that held it is not
/// in the commit: where neither holds it any more it is given anew.
///
/// `applied` is what `in_force` stems from, and `checked` is the tree of its commit. A user whose record is gone is the
/// one of whom `people` has an account.
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

/// The kinds of which guards count what goes.
const GUARDED: [Kind; 3] = [Kind::Role, Kind::User, Kind::Machine];

#[cfg(test)]
mod restore_tests;
#[cfg(test)]
mod tests;
