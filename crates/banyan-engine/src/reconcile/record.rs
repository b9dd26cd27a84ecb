//! The results of passes, as entries of the audit log.

use banyan_core::audit::{Action, Actor, AuditEntry};
use banyan_core::{Applied, CommitInfo, Finding, Plan, Severity};
use jiff::Timestamp;

/// The maximum number of names in an entry.
const NAMED: usize = 10;

pub(crate) fn applied(applied: &Applied, plan: &Plan) -> AuditEntry {
    let counts = plan.counts();
    let author = Actor::author(&applied.commit);
    AuditEntry::new(applied.at, author, Action::GITOPS_APPLIED)
        .commit(applied.commit.id)
        .generation(applied.generation)
        .detail(&format!(
            "{} added, {} changed, {} removed",
            counts.added, counts.changed, counts.removed
        ))
}

pub(crate) fn refused(at: Timestamp, commit: &CommitInfo, findings: &[Finding]) -> AuditEntry {
    let error = findings.iter().find(|f| f.severity == Severity::Error);
    let reason = error.map(ToString::to_string).unwrap_or_default();
    AuditEntry::new(at, Actor::author(commit), Action::GITOPS_REFUSED)
        .commit(commit.id)
        .refused(&reason)
}

/// Out-of-band changes that were undone.
pub(crate) fn put_back(at: Timestamp, what: &[String]) -> AuditEntry {
    let mut detail: String = what
        .iter()
        .take(NAMED)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if what.len() > NAMED {
        detail += &format!(", and {} more", what.len() - NAMED);
    }
    AuditEntry::new(at, Actor::Engine, Action::GITOPS_RESTORED).detail(&detail)
}

#[cfg(test)]
mod tests {
    use banyan_core::fixture::t;

    use super::*;

    #[test]
    fn what_was_put_back_is_named_or_counted() {
        let what: Vec<String> = (0..12).map(|n| format!("user u{n}")).collect();
        let detail = |what: &[String]| {
            let entry = put_back(t("2026-01-01T00:00:00Z"), what);
            entry.detail.unwrap().to_string()
        };
        assert_eq!(detail(&what[..2]), "user u0, user u1");
        assert!(detail(&what).ends_with("user u9, and 2 more"));
    }
}
