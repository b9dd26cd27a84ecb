//! Changes with an unknown outcome: the store was to be changed and did not answer.

use banyan_core::audit::AuditEntry;
use banyan_state::{StateError, View};

use super::Audit;

/// How many are remembered. An entry whose change did not happen is never found and eventually evicted.
const REMEMBERED: usize = 16;

/// Entries about changes that may or may not have happened. The history, which is written in the same transaction as
/// the change, shows the outcome as soon as the view has it.
#[derive(Debug, Default)]
pub(crate) struct Unsettled(Vec<AuditEntry>);

impl Unsettled {
    /// Remembers the entry of a change that failed with this error, if it may nevertheless have happened. The entry's
    /// time and commit must equal those of the history entry.
    pub(crate) fn failed(&mut self, entry: AuditEntry, error: &StateError) {
        if !matches!(error, StateError::Store(_) | StateError::Stopped) {
            return;
        }
        if self.0.len() >= REMEMBERED {
            self.0.remove(0);
        }
        self.0.push(entry);
    }

    /// Records the changes that the history shows to have happened.
    pub(crate) fn settle(&mut self, view: &View, audit: &Audit) {
        let happened = |entry: &mut AuditEntry| {
            let mut history = view.history();
            history.any(|past| past.at == entry.at && Some(past.commit.id) == entry.commit)
        };
        for entry in self.0.extract_if(.., happened) {
            audit.record(entry);
        }
    }
}
