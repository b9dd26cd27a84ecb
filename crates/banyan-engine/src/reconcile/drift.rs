//! Undoes out-of-band changes to records and peers, and records that they happened.

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

/// How long to wait after the store failed.
const RETRY: Duration = Duration::from_millis(500);
/// Repeated changes are recorded once in this time.
const QUIET: Duration = Duration::from_secs(60);

/// Guards what is in force.
pub(crate) struct Drift {
    pub(crate) state: Arc<State>,
    pub(crate) role: watch::Receiver<Leadership>,
    pub(crate) reconciler: Handle,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) events: broadcast::Sender<Event>,
    /// Descriptions of what was restored on the device.
    pub(crate) peers: mpsc::Receiver<Vec<String>>,
    /// The engine's name, if it shares its store with others.
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

    /// Restores altered records if there are any and this engine leads; returns whether that is finished.
    async fn records(&mut self) -> bool {
        let view = self.state.view();
        self.unsettled.settle(&view, &self.audit);
        if view.suspect {
            // The correct records must be read from the commit, which is the job of a pass.
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
                        "records were changed out of band; restoring them"
                    );
                    self.metrics.put_back("record", what.len());
                    let _ = self.events.send(Event::PutBack { what });
                }
                true
            }
            // Something else was applied meanwhile, or another engine leads: the view will show it.
            Err(AdvanceError::Superseded { .. } | AdvanceError::State(StateError::NotLeading)) => {
                debug!("the state changed; checking again what to restore");
                false
            }
            Err(error) => {
                if let AdvanceError::State(error) = &error {
                    self.unsettled.failed(entry(&[]), error);
                }
                warn!(
                    error = crate::report(&error),
                    "could not restore records; retrying"
                );
                false
            }
        }
    }

    /// Records what was restored on the device.
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
                "could not record what was restored on the device"
            );
        }
    }
}
