//! What may have happened: the store was to be changed and did not answer.

use banyan_core::audit::AuditEntry;
use banyan_state::{StateError, View};

use super::Audit;

/// How many are remembered. What did not happen is never found, and goes with the time.
const REMEMBERED: usize = 16;

/// Entries about changes of which it is not known whether they happened. The history, which is written in the same
/// transaction as the change, tells it as soon as the view has it.
#[derive(Debug, Default)]
pub(crate) struct Unsettled(Vec<AuditEntry>);

impl Unsettled {
    /// Remembers the entry of a change that failed with this error, if it may have happened all the same. Its time and
    /// commit have to be those of the history's entry.
    pub(crate) fn failed(&mut self, entry: AuditEntry, error: &StateError) {
        if !matches!(error, StateError::Store(_) | StateError::Stopped) {
            return;
        }
        if self.0.len() >= REMEMBERED {
            self.0.remove(0);
        }
        self.0.push(entry);
    }

    /// Records what the history says has happened.
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
