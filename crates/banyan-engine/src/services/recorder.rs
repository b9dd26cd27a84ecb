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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use banyan_core::audit::{Action, Actor};
    use banyan_core::fixture::t;
    use banyan_state::AuditLog;
    use banyan_store::MemoryStore;
    use tonic::Code;

    use super::*;
    use crate::audit::Writer;
    use crate::ops::metrics::Metrics;

    /// A recorder whose entries nobody writes as long as its writer does not run.
    fn recorder() -> (Recorder, Writer) {
        let log = AuditLog::new(Arc::new(MemoryStore::new()), "north".parse().unwrap());
        let (audit, writer) = Audit::new(log, 10, Arc::new(Metrics::new()));
        (Recorder(audit), writer)
    }

    fn entry() -> AuditEntry {
        AuditEntry::new(
            t("2026-01-01T00:00:00Z"),
            Actor::Engine,
            Action::STATE_BACKUP,
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_was_carried_out_succeeds_without_its_entry() {
        let (recorder, _writer) = recorder();
        let done = recorder.record(entry(), Ok(7), |_| String::new()).await;
        assert_eq!(done.unwrap(), 7);
        let refused = Err::<(), _>(Status::not_found("no such user"));
        let refused = recorder.record(entry(), refused, |()| String::new()).await;
        assert_eq!(refused.unwrap_err().code(), Code::NotFound);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_hands_out_secrets_is_not_carried_out_without_its_entry() {
        let (late, _writer) = recorder();
        let (lost, writer) = recorder();
        drop(writer);
        for recorder in [late, lost] {
            let status = recorder.require(entry()).await.unwrap_err();
            assert_eq!(status.code(), Code::Unavailable);
            assert!(
                status.message().starts_with("nothing was done: "),
                "{status}"
            );
        }
    }
}
