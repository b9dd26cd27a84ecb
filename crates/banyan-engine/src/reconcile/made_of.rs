//! The documents of which what is in force was made: with them, a decision costs what differs from them.
//!
//! It is a memory and nothing more. Whoever leads for the first time, or starts again, has none and decides from nothing.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use banyan_core::{Checked, Generation, InForce};

/// The documents of one generation, shared by passes and plans.
#[derive(Debug, Clone, Default)]
pub(crate) struct MadeOf(Arc<ArcSwapOption<(Generation, Checked)>>);

impl MadeOf {
    /// Keeps the documents of the generation that has just got into force.
    pub(super) fn keep(&self, generation: Generation, documents: Checked) {
        self.0.store(Some(Arc::new((generation, documents))));
    }

    /// The documents of what is in force, if it is this generation that is known.
    pub(super) fn what_is(&self, in_force: &InForce) -> Option<Checked> {
        let known = self.0.load_full()?;
        let (generation, documents) = &*known;
        let objects = &in_force.objects;
        let counts = documents.counts().map(|(_, count)| count);
        // A generation has one content. That the numbers agree costs nothing to ask.
        let agree = counts
            == [
                objects.roles.len(),
                objects.users.len(),
                objects.machines.len(),
            ];
        (*generation == in_force.generation() && agree).then(|| documents.clone())
    }
}
