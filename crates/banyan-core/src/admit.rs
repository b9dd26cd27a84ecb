//! Decides whether a checked commit may get into force, and settles everything that applying it needs.

mod guard;
mod record;

use jiff::Timestamp;

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
pub struct Circumstances<'a> {
    /// The guards of the engine's own configuration.
    pub guards: Guards,
    /// The recipient with which the engine opens sealed values, when it has one.
    pub engine_recipient: Option<&'a Recipient>,
    /// What earlier commits of the last 24 hours took away without a trailer.
    pub recent: &'a [Reduction],
    /// The users who could not log in although they hold `*`.
    pub cannot_log_in: &'a [Name],
    /// The instant at which this is judged.
    pub now: Timestamp,
}

/// A numbered and settled state to bring into force. It can be had from [`admit`] only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    parent: Generation,
    applied: Applied,
    objects: Objects,
    changes: Vec<Change>,
    reductions: Vec<Reduction>,
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
    circumstances: &Circumstances<'_>,
) -> Result<Target, Vec<Finding>> {
    let parent = in_force.generation();
    let stamp = record::Stamp {
        commit: commit.id,
        generation: parent.next(),
        now: circumstances.now,
    };
    let objects = record::objects(&in_force.objects, checked, &stamp);
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
    })
}

/// The kinds of which guards count what goes.
const GUARDED: [Kind; 3] = [Kind::Role, Kind::User, Kind::Machine];

#[cfg(test)]
mod tests;
