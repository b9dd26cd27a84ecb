//! What a leader does with the branch head: repeated attempts, until one is not superseded.

use std::sync::Arc;
use std::time::{Duration, Instant};

use banyan_core::audit::AuditEntry;
use banyan_core::{Ancestry, CommitId, CommitInfo, Finding, Plan, Severity, Target};
use banyan_repo::{Admitted, Revision};
use banyan_state::{AdvanceError, HistoryEntry, Outcome, Term};
use tracing::{Span, field, info, warn};

use super::attempt::Attempt;
use super::event::Event;
use super::failure::PassFailure;
use super::made_of::MadeOf;
use super::reader::{Reader, with_reader};
use super::reconciler::Reconciler;
use super::record::{self, put_back};
use crate::status::HeadState;

impl Reconciler {
    fn attempt(&self) -> Attempt {
        Attempt::new(&self.state, crate::clock::now())
    }

    /// Applies or refuses the branch head; returns which, for the metrics.
    pub(super) async fn reconcile(
        &mut self,
        term: &Term,
        started: Instant,
    ) -> Result<&'static str, PassFailure> {
        let before = self.attempt();
        self.unsettled.settle(&before.view, &self.audit);
        let applied = match before.view.suspect {
            // A restoration creates another generation; everything else is left to the next attempt.
            true => self.restore(term, &before, started).await?,
            false => before.applied(),
        };
        let head = with_reader(&self.reader, |reader| reader.head()).await??;
        if applied == Some(head) {
            self.in_force(None);
            return Ok("unchanged");
        }
        // Reading may take a while, so the view for the decision is taken afterwards.
        let revision = with_reader(&self.reader, Reader::read).await??;
        let commit = revision.commit.clone();
        Span::current().record("commit", field::display(commit.id));
        let judged = self.judge(term, revision, started).await;
        if judged.is_err() {
            self.publish(|status| status.seen = Some(commit));
        }
        judged
    }

    async fn judge(
        &mut self,
        term: &Term,
        revision: Revision,
        started: Instant,
    ) -> Result<&'static str, PassFailure> {
        let attempt = self.attempt();
        let known = attempt.ancestry(&self.reader, revision.commit.id).await?;
        self.conclude(term, &attempt, revision, known, started)
            .await
    }

    /// Concludes the decision on a commit. The status names the commit only together with its own findings.
    async fn conclude(
        &mut self,
        term: &Term,
        attempt: &Attempt,
        revision: Revision,
        known: (Ancestry, MadeOf),
        started: Instant,
    ) -> Result<&'static str, PassFailure> {
        let commit = revision.commit.clone();
        let decided = attempt
            .decide(&self.context, self.name.as_ref(), revision, known.clone())
            .await?;
        match decided {
            Ok(admitted) => {
                self.apply(term, admitted, &known.1, started).await?;
                Ok("applied")
            }
            Err(findings) => {
                self.refuse(term, attempt, commit, findings, started)
                    .await?;
                Ok("refused")
            }
        }
    }

    /// Restores altered records, where it is unknown which ones were altered, from the commit in force; returns that
    /// commit.
    async fn restore(
        &mut self,
        term: &Term,
        attempt: &Attempt,
        started: Instant,
    ) -> Result<Option<CommitId>, PassFailure> {
        let Some(applied) = attempt.applied() else {
            return Ok(None);
        };
        warn!(commit = %applied, "the records are not those that were applied; restoring them from the commit");
        let revision = with_reader(&self.reader, move |reader| reader.read_at(applied)).await??;
        let Admitted { target, .. } = attempt.decide_restore(revision).await?;
        let what: Vec<String> = (target.changes().iter())
            .map(|change| format!("{} {}", change.kind, change.name))
            .collect();
        let restored = self.state.restore(term, &target, millis(started)).await;
        let entry = put_back(target.applied().at, &what).commit(applied);
        self.recorded(entry.generation(target.applied().generation), restored)?;
        info!(
            records = what.len(),
            generation = target.applied().generation.0,
            "restored the records from the commit"
        );
        self.metrics.put_back("record", what.len());
        let _ = self.events.send(Event::PutBack { what });
        Ok(Some(applied))
    }

    async fn apply(
        &mut self,
        term: &Term,
        admitted: Admitted,
        memory: &MadeOf,
        started: Instant,
    ) -> Result<(), PassFailure> {
        let Admitted {
            target,
            plan,
            made_of,
        } = admitted;
        let advanced = self.state.advance(term, &target, millis(started)).await;
        self.recorded(record::applied(target.applied(), &plan), advanced)?;
        memory.keep(target.applied().generation, made_of);
        let revision = self.state.view().revision;
        self.peers.wait_for(revision).await;
        let took = started.elapsed();
        announce(&target, &plan, took);
        self.metrics.applied(target.applied().generation);
        let warnings = plan.warnings.clone();
        let _ = self.events.send(Event::Applied {
            applied: target.applied().clone(),
            plan: Arc::new(plan),
            took,
        });
        self.in_force(Some(warnings));
        self.collect_garbage(term).await;
        Ok(())
    }

    /// Records a change in the audit log, as far as it is known whether it happened.
    fn recorded(
        &mut self,
        entry: AuditEntry,
        changed: Result<(), AdvanceError>,
    ) -> Result<(), AdvanceError> {
        match &changed {
            Ok(()) => self.audit.record(entry),
            Err(AdvanceError::State(error)) => self.unsettled.failed(entry, error),
            // It did not happen.
            Err(AdvanceError::Superseded { .. }) => {}
        }
        changed
    }

    /// Garbage that cannot be collected now only takes space until the next time.
    async fn collect_garbage(&self, term: &Term) {
        if let Err(error) = self.state.collect_garbage(term, crate::clock::now()).await {
            warn!(
                error = crate::report(&error),
                "old records are left for later"
            );
        }
    }

    async fn refuse(
        &mut self,
        term: &Term,
        attempt: &Attempt,
        commit: CommitInfo,
        findings: Vec<Finding>,
        started: Instant,
    ) -> Result<(), PassFailure> {
        let entry = HistoryEntry {
            at: attempt.now,
            commit: commit.clone(),
            took_ms: millis(started),
            outcome: Outcome::refused(&findings),
        };
        let audited = record::refused(entry.at, &commit, &findings);
        match self.state.refuse(term, entry, &attempt.view).await {
            Ok(true) => self.audit.record(audited),
            // It already is the newest entry.
            Ok(false) => {}
            Err(error) => {
                if let AdvanceError::State(error) = &error {
                    self.unsettled.failed(audited, error);
                }
                return Err(error.into());
            }
        }
        let (id, before) = (commit.id, Arc::clone(&self.status.borrow()));
        let repeated = before.refused == Some(id) && before.findings == findings;
        if !repeated {
            let first = findings.iter().find(|f| f.severity == Severity::Error);
            let reason = first.map(ToString::to_string).unwrap_or_default();
            warn!(
                findings = findings.len(),
                reason, "commit refused; the last good state stays in force"
            );
            self.metrics.refused();
            let findings = Arc::new(findings.clone());
            let commit = commit.clone();
            let _ = self.events.send(Event::Refused { commit, findings });
            self.collect_garbage(term).await;
        }
        self.publish(|status| {
            status.state = HeadState::Refused;
            status.seen = Some(commit);
            status.refused = Some(id);
            status.findings.clone_from(&findings);
            status.error = None;
            status.failures = 0;
        });
        Ok(())
    }
}

fn announce(target: &Target, plan: &Plan, took: Duration) {
    let applied = target.applied();
    let counts = plan.counts();
    info!(
        generation = applied.generation.0,
        added = counts.added,
        changed = counts.changed,
        removed = counts.removed,
        took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        "commit applied"
    );
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
