//! Commits, findings, plans and explanations on the wire.

use banyan_core::{
    Change, CommitInfo, Counts, Explanation, Finding, PeerEffect, Plan, Pos, Severity,
};

use super::{texts, timestamp};
use crate::v1;

/// The maximum size of a plan request, in bytes of file content.
pub const MAX_PLAN_BYTES: usize = 64 * 1024 * 1024;

/// A finding on the wire.
#[must_use]
pub fn finding(finding: &Finding) -> v1::Finding {
    v1::Finding {
        path: finding.path.to_string(),
        line: finding.pos.map_or(0, |p| p.line),
        column: finding.pos.map_or(0, |p| p.column),
        severity: finding.severity.to_string(),
        rule: finding.rule.to_string(),
        message: finding.message.clone(),
        help: finding.help.clone().unwrap_or_default(),
    }
}

/// A finding from the wire.
#[must_use]
pub fn from_finding(finding: &v1::Finding) -> Finding {
    Finding {
        path: finding.path.as_str().into(),
        pos: (finding.line > 0).then_some(Pos {
            line: finding.line,
            column: finding.column,
        }),
        severity: match finding.severity.as_str() {
            "warning" => Severity::Warning,
            _ => Severity::Error,
        },
        rule: finding.rule.clone().into(),
        message: finding.message.clone(),
        help: Some(finding.help.clone()).filter(|help| !help.is_empty()),
    }
}

impl From<&CommitInfo> for v1::Commit {
    fn from(commit: &CommitInfo) -> Self {
        Self {
            id: commit.id.to_string(),
            author: commit.author.clone(),
            committed_at: Some(timestamp(commit.committed_at)),
            summary: commit.summary.clone(),
        }
    }
}

impl From<Counts> for v1::Counts {
    fn from(counts: Counts) -> Self {
        Self {
            added: counts.added as u64,
            changed: counts.changed as u64,
            removed: counts.removed as u64,
        }
    }
}

impl From<&Change> for v1::Change {
    fn from(change: &Change) -> Self {
        let action = match (&change.before, &change.after) {
            (None, _) => "add",
            (Some(_), Some(_)) => "change",
            (Some(_), None) => "remove",
        };
        Self {
            action: action.to_owned(),
            kind: change.kind.to_string(),
            name: change.name.to_string(),
            text: change.to_string(),
        }
    }
}

impl From<&PeerEffect> for v1::PeerChange {
    fn from(effect: &PeerEffect) -> Self {
        let (machine, effect) = match effect {
            PeerEffect::Joins(name) => (name, "joins"),
            PeerEffect::Leaves(name) => (name, "leaves"),
            PeerEffect::Rekeyed(name) => (name, "rekeyed"),
            PeerEffect::Readdressed(name) => (name, "readdressed"),
        };
        Self {
            machine: machine.to_string(),
            effect: effect.to_owned(),
        }
    }
}

impl From<&Plan> for v1::PlanResponse {
    fn from(plan: &Plan) -> Self {
        let powers = plan.effect.powers.iter().map(|change| v1::PowerChange {
            user: change.user.to_string(),
            gains: texts(&change.gains),
            loses: texts(&change.loses),
        });
        Self {
            generation: plan.parent.0,
            refused: false,
            findings: plan.warnings.iter().map(finding).collect(),
            changes: plan.changes.iter().map(Into::into).collect(),
            powers: powers.collect(),
            peers: plan.effect.peers.iter().map(Into::into).collect(),
            counts: Some(plan.counts().into()),
            text: plan.to_string(),
        }
    }
}

impl From<&Explanation> for v1::Explanation {
    fn from(explanation: &Explanation) -> Self {
        let origin = explanation.origin.as_ref();
        let lock = explanation.state.lock.as_ref();
        Self {
            kind: explanation.kind.to_string(),
            name: explanation.name.to_string(),
            origin: Some(origin.map_or_else(v1::Origin::built_in, Into::into)),
            generation: explanation.generation.0,
            since: explanation.since.map(timestamp),
            state: explanation.state.word.to_owned(),
            implies: explanation.implies.clone(),
            expires: explanation.state.expires.map(timestamp),
            locked_at: lock.map(|lock| timestamp(lock.at)),
            locked_by: lock.map(|lock| lock.by.clone()).unwrap_or_default(),
            lock_reason: lock.map(|lock| lock.reason.clone()).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_comes_back_as_it_went() {
        let path = "users/a.yaml".into();
        let pos = Pos { line: 3, column: 9 };
        for one in [
            Finding::error(&path, pos, "dangling-role", "no role x").help("declare it"),
            Finding::warning(&path, pos, "unused-role", "nobody has it"),
            Finding::whole(&"".into(), "no-cluster", "none"),
        ] {
            assert_eq!(from_finding(&finding(&one)), one);
        }
    }
}
