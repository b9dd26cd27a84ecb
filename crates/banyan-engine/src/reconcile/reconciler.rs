//! The passes: one at a time, triggered and periodic, each based on the state and not on the event that triggered it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use banyan_core::{Finding, Name};
use banyan_repo::EngineContext;
use banyan_state::{Leadership, State, Term};
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug, error, field, info, info_span, warn};

use super::event::Event;
use super::failure::PassFailure;
use super::handle::Requests;
use super::read_ahead::read_ahead;
use super::reader::Reader;
use super::schedule::Schedule;
use crate::audit::{Audit, Unsettled};
use crate::ops::metrics::Metrics;
use crate::status::{HeadState, Status};
use crate::tunnel::peers::PeersDone;

pub(crate) struct Reconciler {
    pub(crate) state: Arc<State>,
    pub(crate) reader: Arc<Mutex<Reader>>,
    pub(crate) context: EngineContext,
    pub(crate) poll: Duration,
    pub(crate) peers: PeersDone,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) requests: Requests,
    pub(crate) status: watch::Sender<Arc<Status>>,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) role: watch::Receiver<Leadership>,
    /// The engine's name, if it shares its store with others.
    pub(crate) name: Option<Name>,
    pub(crate) audit: Audit,
    pub(crate) unsettled: Unsettled,
}

/// How many more attempts a pass makes when the state changes concurrently, before it counts as failed.
const MORE_ATTEMPTS: u32 = 5;

/// How a pass ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// With a decision on the branch head.
    Decided,
    /// Without a decision; it will be retried.
    Failed,
    /// Because another engine leads.
    Deposed,
}

/// Waits until another engine, or this one's own service, requests a pass through the store.
async fn requested_through_store(
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
    /// Runs passes while this engine leads, until cancelled; a running pass is finished first.
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
                    // If it no longer leads, another engine's result is authoritative.
                    let led = end != End::Deposed && term.is_valid();
                    let wait = schedule.after(end != End::Decided, &crate::random::jitter);
                    self.publish(|status| {
                        status.next_at = crate::clock::now().checked_add(wait).ok();
                    });
                    self.publish_status(term, hint).await;
                    (wait, led)
                }
                None => (self.poll, false),
            };
            self.requests.done(asked, led);
            if term.is_none() {
                tokio::select! {
                    () = stop.cancelled() => break,
                    ahead = read_ahead(&self.reader, read) => read = ahead,
                }
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.requests.wanted() => {}
                () = tokio::time::sleep(wait) => {}
                () = requested_through_store(&self.state, &mut changes, hint), if term.is_some() => {}
                () = Leadership::changed(&mut self.role) => {}
            }
        }
    }

    /// Publishes the status for the other engines.
    async fn publish_status(&self, term: &Term, served: banyan_store::Revision) {
        let Some(name) = &self.name else {
            return;
        };
        let status = Arc::clone(&self.status.borrow());
        let published = status.to_published(name.clone(), served, crate::clock::now());
        if let Err(error) = self.state.publish(term, &published).await {
            warn!(
                error = crate::report(&error),
                "could not publish the status for the other engines"
            );
        }
    }

    /// One pass.
    async fn pass(&mut self, term: &Term) -> End {
        let started = Instant::now();
        let parent = self.state.view().in_force.generation().0;
        let span = info_span!("pass", commit = field::Empty, parent);
        let mut result = self.reconcile(term, started).instrument(span.clone()).await;
        for _ in 0..MORE_ATTEMPTS {
            if !result.as_ref().is_err_and(PassFailure::is_superseded) {
                break;
            }
            debug!("the state changed during the decision; deciding again");
            // Callers who change users continuously must not delay a commit, which may revoke access, so further attempts
            // hold them off.
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
                info!("another engine leads now; leaving the pass to it");
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
                    "a pass was aborted; the last good state stays in force"
                ),
                _ => warn!(
                    error = text,
                    "a pass failed; retrying; the last good state stays in force"
                ),
            }
            let _ = self.events.send(Event::Failed {
                error: text.clone(),
            });
        }
        self.publish(|status| {
            status.state = HeadState::Failed;
            status.error = Some(text.clone());
            status.failures = status.failures.saturating_add(1);
        });
    }

    /// The branch head is in force; `news` are its warnings, if it was just decided on.
    pub(super) fn in_force(&self, news: Option<Vec<Finding>>) {
        let view = self.state.view();
        self.publish(|status| {
            let same = status.state == HeadState::InForce && news.is_none();
            status.state = HeadState::InForce;
            status.refused = None;
            status.seen = view.in_force.applied.as_ref().map(|a| a.commit.clone());
            if !same {
                status.findings = news.unwrap_or_default();
            }
            status.error = None;
            status.failures = 0;
        });
    }

    pub(super) fn publish(&self, change: impl FnOnce(&mut Status)) {
        self.status
            .send_modify(|status| change(Arc::make_mut(status)));
    }
}
