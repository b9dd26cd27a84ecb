//! The audit log of calls: one policy for all of them.
//!
//! A refused call is answered at once. A completed one is answered when its entry is in the store. If that takes too long,
//! the call still succeeds, because its effect stands and repeating it would be wrong; the entry is written when the store
//! answers again, and the engine's log says so. A call that hands out secrets requires its entry beforehand.

use banyan_api::Unavailable;
use banyan_core::audit::AuditEntry;
use tonic::Status;

use crate::audit::Audit;

/// Records calls in the audit log.
#[derive(Clone)]
pub(crate) struct Recorder(pub(crate) Audit);

impl Recorder {
    /// Records a completed or refused call and returns its result. `detail` adds to the entry of a completed one.
    pub(super) async fn record<T>(
        &self,
        entry: AuditEntry,
        result: Result<T, Status>,
        detail: impl FnOnce(&T) -> String,
    ) -> Result<T, Status> {
        let done = match result {
            Ok(done) => done,
            Err(status) => {
                self.0.record(entry.refused(status.message()));
                return Err(status);
            }
        };
        let entry = match detail(&done) {
            none if none.is_empty() => entry,
            text => entry.detail(&text),
        };
        if let Err(error) = self.0.record_and_wait(entry).await {
            tracing::warn!(%error, "a call was carried out before it was in the audit log");
        }
        Ok(done)
    }

    /// Records a call before it is carried out.
    ///
    /// # Errors
    /// The entry cannot be written in time; the call must not be carried out.
    pub(super) async fn require(&self, entry: AuditEntry) -> Result<(), Status> {
        let written = self.0.record_and_wait(entry).await;
        written.map_err(|error| Unavailable::Store.refusal(format!("nothing was done: {error}")))
    }
}
