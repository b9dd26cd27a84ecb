//! Decides which commits may follow the one in force.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Applied, CommitId, Finding};

/// The rule name in a refusal.
pub const RULE: &str = "floor";

/// A decision about commits that do not descend from the one in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "floor", rename_all = "lowercase")]
pub enum Floor {
    /// This commit and its descendants may be applied.
    Accepted {
        /// The commit.
        commit: CommitId,
        /// When it was accepted.
        at: Timestamp,
    },
    /// A backup was restored: no commit may be applied until one is accepted.
    Restored {
        /// When.
        at: Timestamp,
    },
}

/// How the branch head relates to another commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Descent {
    /// It is that commit.
    Same,
    /// It descends from that commit.
    Descends,
    /// It does not descend from that commit.
    Apart,
    /// It does not, and the git repo does not contain that commit.
    Unknown,
}

impl Descent {
    fn holds(self) -> bool {
        matches!(self, Self::Same | Self::Descends)
    }
}

/// The branch head's ancestry, as far as the floor needs it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ancestry {
    /// How it relates to the commit in force; `None` if no commit was applied yet.
    pub applied: Option<Descent>,
    /// How it relates to the accepted commit; `None` if there is none.
    pub accepted: Option<Descent>,
}

/// Decides whether a commit may follow the one in force.
///
/// A relation missing from `ancestry` counts as "does not descend".
///
/// # Errors
/// If the commit rewrites history or is older than the one in force, or a backup was restored, and it was not accepted.
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
        // An accepted commit is the new floor: what came before it, on either line of history, is below it.
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

/// Decides on a commit when none is known to be in force: allowed, unless commits were applied earlier and the store
/// lost the record of the last one.
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
                "commits were applied until {at:.0}, and the store no longer records which one is in force"
            )
        }
    };
    let help = format!(
        "check that {seen} is the intended head of the branch and not older than the commit that was in force; if so: banyan gitops accept {seen}. Or restore a backup: banyan-engine restore"
    );
    let message = format!("commit {seen} is waiting: {waits}");
    Err(Finding::whole(&"".into(), RULE, message).help(help))
}

fn restored(applied: &Applied, at: Timestamp, commit: CommitId) -> (String, String) {
    let (seen, old) = (commit.short(), applied.commit.id.short());
    let message = format!(
        "commit {seen} is waiting: a backup with commit {old} in force was restored at {at:.0}, and commits applied after that backup are unknown"
    );
    let help = format!(
        "check that {seen} is the intended head of the branch and not older than the commit that was in force; if so: banyan gitops accept {seen}"
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
        Descent::Unknown => " and is no longer in the repo",
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
        "find out who pushed it, and see what it would revert with `banyan plan {seen}`; if this is intended: banyan gitops accept {seen}"
    );
    (message, help)
}

#[cfg(test)]
mod tests;
