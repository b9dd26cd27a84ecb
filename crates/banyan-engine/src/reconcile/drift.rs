//! Puts back what somebody does to records and peers behind the engine's back, and writes down that it happened.

use std::sync::Arc;
use std::time::Duration;

use banyan_core::Name;
use banyan_state::{AdvanceError, Leadership, State, StateError};
use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::record::put_back;
use super::{Event, Handle};
use crate::audit::{Audit, Unsettled};
use crate::ops::metrics::Metrics;

/// How long to wait after the store refused.
const RETRY: Duration = Duration::from_millis(500);
/// What is done again and again is written down once in this time.
const QUIET: Duration = Duration::from_secs(60);

/// Watches over what is in force.
pub(crate) struct Drift {
    pub(crate) state: Arc<State>,
    pub(crate) role: watch::Receiver<Leadership>,
    pub(crate) reconciler: Handle,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) events: broadcast::Sender<Event>,
    /// What was put right on the device, for people.
    pub(crate) peers: mpsc::Receiver<Vec<String>>,
    /// The engine's name, where it shares its store with others.
    pub(crate) name: Option<Name>,
    pub(crate) audit: Audit,
    pub(crate) unsettled: Unsettled,
}

impl Drift {
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut changes = self.state.changes();
        let mut said: Option<(Vec<String>, tokio::time::Instant)> = None;
        loop {
            changes.mark_unchanged();
            self.role.mark_unchanged();
            let done = self.records().await;
            tokio::select! {
                () = stop.cancelled() => return,
                changed = changes.changed() => if changed.is_err() { return },
                () = Leadership::changed(&mut self.role) => {}
                () = tokio::time::sleep(RETRY), if !done => {}
                Some(what) = self.peers.recv() => {
                    let repeated = said.as_ref().is_some_and(|(known, at)| *known == what && at.elapsed() < QUIET);
                    if !repeated {
                        self.record(what.clone()).await;
                        said = Some((what, tokio::time::Instant::now()));
                    }
                }
            }
        }
    }

    /// Puts records back, if there is something to put back and this engine leads; whether that is over.
    async fn records(&mut self) -> bool {
        let view = self.state.view();
        self.unsettled.settle(&view, &self.audit);
        if view.suspect {
            // Only the commit tells what is right, and reading it is the work of a pass.
            self.reconciler.ask();
        }
        if view.tampered.is_empty() {
            return true;
        }
        let Some(term) = self.role.borrow().term() else {
            return true;
        };
        let now = crate::clock::now();
        let applied = view.in_force.applied.as_ref();
        let entry = |what: &[String]| match applied {
            Some(applied) => put_back(now, what).commit(applied.commit.id),
            None => put_back(now, what),
        };
        match self.state.put_back(&term, now).await {
            Ok(what) => {
                if !what.is_empty() {
                    self.audit.record(entry(&what));
                    warn!(
                        records = what.len(),
                        first = what.first(),
                        "records were changed behind the engine's back and are put back"
                    );
                    self.metrics.put_back("record", what.len());
                    let _ = self.events.send(Event::PutBack { what });
                }
                true
            }
            // Something else got into force meanwhile, or another leads: the view will show it.
            Err(AdvanceError::Superseded { .. } | AdvanceError::State(StateError::NotLeading)) => {
                debug!("what was to be put back is looked at again");
                false
            }
            Err(error) => {
                if let AdvanceError::State(error) = &error {
                    self.unsettled.failed(entry(&[]), error);
                }
                warn!(
                    error = crate::report(&error),
                    "records could not be put back and will be tried again"
                );
                false
            }
        }
    }

    /// Writes down what was put right on the device.
    async fn record(&self, what: Vec<String>) {
        let engine = self.name.as_ref().map(|name| format!(" on {name}"));
        let engine = engine.unwrap_or_default();
        let what: Vec<String> = what.into_iter().map(|w| format!("{w}{engine}")).collect();
        self.metrics.put_back("peer", what.len());
        let now = crate::clock::now();
        self.audit.record(put_back(now, &what));
        let _ = self.events.send(Event::PutBack { what: what.clone() });
        if let Err(error) = self.state.note(what, now).await {
            warn!(
                error = crate::report(&error),
                "what was put back on the device could not be written down"
            );
        }
    }
}
