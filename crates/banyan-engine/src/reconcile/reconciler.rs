//! The passes: one at a time, triggered and periodic, each from state and not from the event that triggered it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use banyan_core::audit::AuditEntry;
use banyan_core::{
    Ancestry, Applied, CommitId, CommitInfo, EngineRecipients, Finding, Name, Plan, Target,
};
use banyan_repo::{Admitted, Baseline, EngineContext, Lineage, Revision, decide, decide_restore};
use banyan_state::{
    AdvanceError, HistoryEntry, Leadership, Outcome, State, StateError, Term, View,
};
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span, debug, error, field, info, info_span, warn};

use super::reader::{ReadFailure, Reader};
use crate::audit::{Audit, Unsettled};
use crate::metrics::Metrics;
use crate::peers::PeersDone;
use crate::status::{Standing, Status};

use super::handle::Requests;
use super::record::{self, put_back};
use super::schedule::Schedule;

/// What a pass did, for those who watch. An unchanged branch is no event.
#[derive(Debug, Clone)]
pub enum Event {
    /// A commit is in force.
    Applied {
        /// The generation and its commit.
        applied: Applied,
        /// What it changed.
        plan: Arc<Plan>,
        /// From the start of the pass until store and peers had it.
        took: Duration,
    },
    /// A commit was refused.
    Refused {
        /// The commit.
        commit: CommitInfo,
        /// Why.
        findings: Arc<Vec<Finding>>,
    },
    /// What somebody did behind the engine's back was put right.
    PutBack {
        /// What it was, for people.
        what: Vec<String>,
    },
    /// A pass failed; it is tried again.
    Failed {
        /// Why.
        error: String,
    },
}

pub(crate) struct Reconciler {
    pub(crate) state: Arc<State>,
    pub(crate) reader: Arc<Mutex<Reader>>,
    pub(crate) own: EngineContext,
    pub(crate) poll: Duration,
    pub(crate) peers: PeersDone,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) requests: Requests,
    pub(crate) status: watch::Sender<Arc<Status>>,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) role: watch::Receiver<Leadership>,
    /// The engine's name, where it shares its store with others.
    pub(crate) name: Option<Name>,
    pub(crate) audit: Audit,
    pub(crate) unsettled: Unsettled,
}

/// How often a pass begins anew at once because people were changed meanwhile, before that counts as a failure.
const AGAIN: u32 = 5;

/// Why a pass came to no decision.
#[derive(Debug, thiserror::Error)]
enum PassFailure {
    #[error(transparent)]
    Read(#[from] ReadFailure),
    #[error(transparent)]
    Advance(#[from] AdvanceError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error("the commit in force cannot be read any more, so altered records cannot be restored from it: {}", first(.0))]
    Unrestorable(Vec<Finding>),
    #[error("a pass broke off")]
    Broken(#[from] tokio::task::JoinError),
}

/// How a pass ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// With what becomes of the branch's head.
    Decided,
    /// Without; it is tried again.
    Failed,
    /// With another engine leading.
    Deposed,
}

fn first(findings: &[Finding]) -> String {
    let first = findings.first();
    first.map(ToString::to_string).unwrap_or_default()
}

/// With what the other engines of the cluster open sealed values.
pub(crate) fn other_engines(view: &View, me: Option<&Name>) -> Vec<EngineRecipients> {
    let others = view.engines.iter().filter(|(name, _)| Some(*name) != me);
    let registered = others.filter_map(|(name, engine)| {
        let registration = engine.registration.as_ref()?;
        Some(EngineRecipients {
            engine: Some(name.clone()),
            recipients: registration.recipients.clone(),
        })
    });
    registered.collect()
}

impl PassFailure {
    /// Whether all that is wrong is that something else was changed first.
    fn is_superseded(&self) -> bool {
        matches!(self, Self::Advance(AdvanceError::Superseded { .. }))
    }

    /// Whether all that is wrong is that this engine leads no longer.
    fn is_another_leads(&self) -> bool {
        matches!(
            self,
            Self::State(StateError::NotLeading)
                | Self::Advance(AdvanceError::State(StateError::NotLeading))
        )
    }
}

/// Reads the branch's head without deciding about it, unless that is the commit read last. An engine that follows does
/// so, for its first pass as a leader is to cost what has changed and not the whole repo.
async fn read_ahead(reader: Arc<Mutex<Reader>>, last: Option<CommitId>) -> Option<CommitId> {
    let read = move || {
        let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
        let head = reader.head()?;
        if Some(head) == last {
            return Ok(head);
        }
        let commit = reader.read()?.commit.id;
        info!(%commit, "the branch is read ahead");
        Ok(commit)
    };
    match tokio::task::spawn_blocking(read).await {
        Ok(Ok(head)) => Some(head),
        // It leads nobody astray: whoever leads says what is wrong with the source.
        Ok(Err::<_, ReadFailure>(failure)) => {
            debug!(
                error = crate::report(&failure),
                "the branch cannot be read ahead"
            );
            last
        }
        Err(_) => last,
    }
}

/// Waits until another engine, or this one's own service, asks the leader for a pass through the store.
async fn asked_by_another(
    state: &State,
    changes: &mut watch::Receiver<banyan_store::Revision>,
    since: banyan_store::Revision,
) {
    while state.view().hint == since {
        if changes.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

impl Reconciler {
    /// Runs passes, while this engine leads, until it is told to stop; a pass under way is finished first.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut schedule = Schedule::new(self.poll);
        let mut changes = self.state.changes();
        let mut read = None;
        while !stop.is_cancelled() {
            let asked = self.requests.begin();
            let hint = self.state.view().hint;
            let term = self.role.borrow_and_update().term();
            let (wait, led) = match &term {
                Some(term) => {
                    let end = self.pass(term).await;
                    // After that, what this pass found is not what counts.
                    let led = end != End::Deposed && term.is_valid();
                    let wait = schedule.after(end != End::Decided, &crate::random::jitter);
                    self.publish(|status| {
                        status.next_at = crate::clock::now().checked_add(wait).ok();
                    });
                    self.say(term, hint).await;
                    (wait, led)
                }
                None => (self.poll, false),
            };
            self.requests.done(asked, led);
            if term.is_none() {
                tokio::select! {
                    () = stop.cancelled() => break,
                    ahead = read_ahead(Arc::clone(&self.reader), read) => read = ahead,
                }
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.requests.wanted() => {}
                () = tokio::time::sleep(wait) => {}
                () = asked_by_another(&self.state, &mut changes, hint), if term.is_some() => {}
                () = Leadership::changed(&mut self.role) => {}
            }
        }
    }

    /// Tells the other engines how things stand.
    async fn say(&self, term: &Term, served: banyan_store::Revision) {
        let Some(name) = &self.name else {
            return;
        };
        let status = Arc::clone(&self.status.borrow());
        let standing = status.to_standing(name.clone(), served, crate::clock::now());
        if let Err(error) = self.state.publish(term, &standing).await {
            warn!(
                error = crate::report(&error),
                "the other engines cannot be told how the repo stands"
            );
        }
    }

    /// One pass.
    async fn pass(&mut self, term: &Term) -> End {
        let started = Instant::now();
        let parent = self.state.view().in_force.generation().0;
        let span = info_span!("pass", commit = field::Empty, parent);
        let mut result = self.reconcile(term, started).instrument(span.clone()).await;
        for _ in 0..AGAIN {
            if !result.as_ref().is_err_and(PassFailure::is_superseded) {
                break;
            }
            debug!("people were changed while the commit was judged; it is judged again");
            // Whoever changes people all the time must not keep a commit, and what it revokes, out of force.
            let state = Arc::clone(&self.state);
            let _held = state.hold_people().await;
            result = self.reconcile(term, started).instrument(span.clone()).await;
        }
        let now = crate::clock::now();
        let end = match result {
            Ok(outcome) => {
                self.metrics.passed(outcome, started.elapsed());
                End::Decided
            }
            Err(failure) if failure.is_another_leads() => {
                self.metrics.passed("deposed", started.elapsed());
                info!("another engine leads now; the pass is left to it");
                End::Deposed
            }
            Err(failure) => {
                self.failed(&failure, started);
                End::Failed
            }
        };
        self.publish(|status| status.checked_at = Some(now));
        end
    }

    fn failed(&self, failure: &PassFailure, started: Instant) {
        let text = crate::report(failure);
        self.metrics.passed("failed", started.elapsed());
        let known = self.status.borrow().error.as_deref() == Some(text.as_str());
        if !known {
            match failure {
                PassFailure::Broken(_) => error!(
                    error = text,
                    "a pass broke off; the last good state stays in force"
                ),
                _ => warn!(
                    error = text,
                    "a pass failed and will be tried again; the last good state stays in force"
                ),
            }
            let _ = self.events.send(Event::Failed {
                error: text.clone(),
            });
        }
        self.publish(|status| {
            status.standing = Standing::Failed;
            status.error = Some(text.clone());
            status.failures = status.failures.saturating_add(1);
        });
    }

    async fn reconcile(
        &mut self,
        term: &Term,
        started: Instant,
    ) -> Result<&'static str, PassFailure> {
        self.unsettled.settle(&self.state.view(), &self.audit);
        if self.state.view().suspect {
            self.restore(term, started).await?;
        }
        let head = self.blocking(|reader| reader.head()).await??;
        let view = self.state.view();
        if view
            .in_force
            .applied
            .as_ref()
            .is_some_and(|a| a.commit.id == head)
        {
            self.in_force(None);
            return Ok("unchanged");
        }
        let revision = self.blocking(Reader::read).await??;
        let commit = revision.commit.clone();
        Span::current().record("commit", field::display(commit.id));
        let judged = self.judge(term, revision, started).await;
        if judged.is_err() {
            self.publish(|status| status.seen = Some(commit));
        }
        judged
    }

    /// What becomes of a commit. The status names it no sooner than that is known: never beside another's findings.
    async fn judge(
        &mut self,
        term: &Term,
        revision: Revision,
        started: Instant,
    ) -> Result<&'static str, PassFailure> {
        let commit = revision.commit.clone();
        let ancestry = self.ancestry(commit.id).await?;
        match self.decide(revision, ancestry).await? {
            Ok(admitted) => self
                .apply(term, admitted, started)
                .await
                .map(|()| "applied"),
            Err(findings) => self
                .refuse(term, commit, findings, started)
                .await
                .map(|()| "refused"),
        }
    }

    /// What git says of a commit, as far as the floor asks.
    async fn ancestry(&self, commit: CommitId) -> Result<Ancestry, PassFailure> {
        let view = self.state.view();
        let applied = view.in_force.applied.as_ref().map(|a| a.commit.id);
        let floor = view.floor.clone();
        let ancestry = move |reader: &mut Reader| reader.ancestry(commit, applied, floor.as_ref());
        Ok(self.blocking(ancestry).await??)
    }

    async fn decide(
        &self,
        revision: Revision,
        ancestry: Ancestry,
    ) -> Result<Result<Admitted, Vec<Finding>>, PassFailure> {
        let (own, view, now) = (self.own.clone(), self.state.view(), crate::clock::now());
        let others = other_engines(&view, self.name.as_ref());
        let decision = move || {
            let against = Baseline {
                in_force: &view.in_force,
                recent: &view.recent(now),
                others: &others,
                people: &view.people,
                now,
            };
            let floor = view.floor.as_ref();
            let lineage = Lineage { floor, ancestry };
            decide(Some(&own), &against, Some(lineage), revision)
        };
        Ok(tokio::task::spawn_blocking(decision).await?)
    }

    /// Brings records that somebody altered, nobody knows which, back to what the commit in force says.
    async fn restore(&mut self, term: &Term, started: Instant) -> Result<(), PassFailure> {
        let view = self.state.view();
        let Some(applied) = view.in_force.applied.as_ref().map(|a| a.commit.id) else {
            return Ok(());
        };
        warn!(commit = %applied, "the records are not those that were applied; they are restored from the commit");
        let revision = self
            .blocking(move |reader| reader.read_at(applied))
            .await??;
        let now = crate::clock::now();
        let decision = move || decide_restore(&view.in_force, &view.people, revision, now);
        let restored = tokio::task::spawn_blocking(decision).await?;
        let Admitted { target, .. } = restored.map_err(PassFailure::Unrestorable)?;
        let what: Vec<String> = (target.changes().iter())
            .map(|change| format!("{} {}", change.kind, change.name))
            .collect();
        let restored = self.state.restore(term, &target, millis(started)).await;
        let entry = put_back(target.applied().at, &what).commit(applied);
        self.recorded(entry.generation(target.applied().generation), restored)?;
        info!(
            records = what.len(),
            generation = target.applied().generation.0,
            "what the commit says is in force again"
        );
        self.metrics.put_back("record", what.len());
        let _ = self.events.send(Event::PutBack { what });
        Ok(())
    }

    async fn apply(
        &mut self,
        term: &Term,
        admitted: Admitted,
        started: Instant,
    ) -> Result<(), PassFailure> {
        let Admitted { target, plan } = admitted;
        let advanced = self.state.advance(term, &target, millis(started)).await;
        self.recorded(record::applied(target.applied(), &plan), advanced)?;
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

    /// Writes down what a change did, as far as it is known whether it happened.
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

    /// What cannot be collected now takes room until the next time, and nothing else.
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
        commit: CommitInfo,
        findings: Vec<Finding>,
        started: Instant,
    ) -> Result<(), PassFailure> {
        let entry = HistoryEntry {
            at: crate::clock::now(),
            commit: commit.clone(),
            took_ms: millis(started),
            outcome: Outcome::refused(&findings),
        };
        let audited = record::refused(entry.at, &commit, &findings);
        match self.state.refuse(term, entry).await {
            Ok(true) => self.audit.record(audited),
            // It is the newest entry already.
            Ok(false) => {}
            Err(error) => {
                self.unsettled.failed(audited, &error);
                return Err(error.into());
            }
        }
        let (id, before) = (commit.id, Arc::clone(&self.status.borrow()));
        let repeated = before.refused == Some(id) && before.findings == findings;
        if !repeated {
            let first = findings
                .iter()
                .find(|f| f.severity == banyan_core::Severity::Error);
            let reason = first.map(ToString::to_string).unwrap_or_default();
            warn!(
                findings = findings.len(),
                reason, "a commit was refused; the last good state stays in force"
            );
            self.metrics.refused();
            let findings = Arc::new(findings.clone());
            let commit = commit.clone();
            let _ = self.events.send(Event::Refused { commit, findings });
            self.collect_garbage(term).await;
        }
        self.publish(|status| {
            status.standing = Standing::Refused;
            status.seen = Some(commit);
            status.refused = Some(id);
            status.findings.clone_from(&findings);
            status.error = None;
            status.failures = 0;
        });
        Ok(())
    }

    /// The branch's head is in force; `news` are the warnings about it, where it has just been judged.
    fn in_force(&self, news: Option<Vec<Finding>>) {
        let view = self.state.view();
        self.publish(|status| {
            let same = status.standing == Standing::InForce && news.is_none();
            status.standing = Standing::InForce;
            status.refused = None;
            status.seen = view.in_force.applied.as_ref().map(|a| a.commit.clone());
            if !same {
                status.findings = news.unwrap_or_default();
            }
            status.error = None;
            status.failures = 0;
        });
    }

    fn publish(&self, change: impl FnOnce(&mut Status)) {
        self.status
            .send_modify(|status| change(Arc::make_mut(status)));
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Reader) -> T + Send + 'static,
    ) -> Result<T, tokio::task::JoinError> {
        let reader = Arc::clone(&self.reader);
        let locked = move || work(&mut reader.lock().unwrap_or_else(PoisonError::into_inner));
        tokio::task::spawn_blocking(locked).await
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
        "a commit is in force"
    );
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
