//! Which commits may follow the one in force.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Applied, CommitId, Finding};

/// The rule that a refusal names.
pub const RULE: &str = "floor";

/// What was decided about commits that do not descend from the one in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "floor", rename_all = "lowercase")]
pub enum Floor {
    /// This one, and what descends from it, may get into force.
    Accepted {
        /// The commit.
        commit: CommitId,
        /// When it was accepted.
        at: Timestamp,
    },
    /// A backup was restored: nothing may, until a commit is accepted.
    Restored {
        /// When.
        at: Timestamp,
    },
}

/// How the branch's head relates to another commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Descent {
    /// It is that commit.
    Same,
    /// It has that commit in its history.
    Descends,
    /// It does not.
    Apart,
    /// It does not, and git does not even have that commit.
    Unknown,
}

impl Descent {
    fn holds(self) -> bool {
        matches!(self, Self::Same | Self::Descends)
    }
}

/// What git says of the branch's head, as far as the floor asks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ancestry {
    /// How it relates to the commit in force; `None` when nothing was applied yet.
    pub applied: Option<Descent>,
    /// How it relates to the accepted commit; `None` without one.
    pub accepted: Option<Descent>,
}

/// Decides whether a commit may follow the one in force.
///
/// What `ancestry` does not say counts as "does not descend".
///
/// # Errors
/// It rewrites history or goes back in it, or a backup was restored, and nobody accepted it.
pub fn judge(
    applied: Option<&Applied>,
    floor: Option<&Floor>,
    ancestry: Ancestry,
    commit: CommitId,
) -> Result<(), Finding> {
    let Some(applied) = applied else {
        return first(floor, ancestry, commit);
    };
    let base = ancestry.applied.unwrap_or(Descent::Apart);
    let allowed = match floor {
        _ if commit == applied.commit.id => true,
        Some(Floor::Restored { .. }) => false,
        // The floor is where it was moved to: what came before it, on either line of history, is below.
        Some(Floor::Accepted { .. }) => ancestry.accepted.is_some_and(Descent::holds),
        None => base.holds(),
    };
    if allowed {
        return Ok(());
    }
    let (message, help) = match floor {
        Some(Floor::Restored { at }) => restored(applied, *at, commit),
        _ => rewritten(applied, floor, base, commit),
    };
    Err(Finding::whole(&"".into(), RULE, message).help(help))
}

/// Decides about a commit where none is known to be in force: fine, unless commits were applied once and the store lost
/// which one was the last.
fn first(floor: Option<&Floor>, ancestry: Ancestry, commit: CommitId) -> Result<(), Finding> {
    let seen = commit.short();
    let waits = match floor {
        None => return Ok(()),
        Some(Floor::Accepted { .. }) if ancestry.accepted.is_some_and(Descent::holds) => {
            return Ok(());
        }
        Some(Floor::Accepted { commit, .. }) => {
            format!(
                "it does not descend from commit {}, which was accepted",
                commit.short()
            )
        }
        Some(Floor::Restored { at }) => {
            format!(
                "commits were applied until {at:.0}, and the store no longer says which one is in force"
            )
        }
    };
    let help = format!(
        "check that {seen} is the branch as it should be, and no older than what was in force before; if it is: banyan gitops accept {seen}. Or restore a backup: banyan-engine restore"
    );
    let message = format!("commit {seen} waits: {waits}");
    Err(Finding::whole(&"".into(), RULE, message).help(help))
}

fn restored(applied: &Applied, at: Timestamp, commit: CommitId) -> (String, String) {
    let (seen, old) = (commit.short(), applied.commit.id.short());
    let message = format!(
        "commit {seen} waits: a backup was restored at {at:.0}, with commit {old} in force, and what was applied after the backup was made is not known here"
    );
    let help = format!(
        "check that {seen} is the branch as it should be, and no older than what was in force before; if it is: banyan gitops accept {seen}"
    );
    (message, help)
}

fn rewritten(
    applied: &Applied,
    floor: Option<&Floor>,
    base: Descent,
    commit: CommitId,
) -> (String, String) {
    let (seen, old) = (commit.short(), applied.commit.id.short());
    let gone = match base {
        Descent::Unknown => " and which the repo does not have any more",
        _ => "",
    };
    let from = match floor {
        Some(Floor::Accepted { commit, .. }) => {
            format!("commit {}, which was accepted", commit.short())
        }
        _ => format!("commit {old}, which is in force{gone}"),
    };
    let message = format!(
        "commit {seen} does not descend from {from}: history was rewritten or an old commit was pushed again"
    );
    let help = format!(
        "find out who pushed it and what it takes back, with `banyan plan {seen}`; if that is meant: banyan gitops accept {seen}"
    );
    (message, help)
}

#[cfg(test)]
mod tests;
