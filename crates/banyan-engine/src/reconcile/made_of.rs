//! The documents behind what is in force: with them, a decision costs only the differences.
//!
//! This is only a cache. An engine that has just started or become the leader has none and decides from scratch.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use banyan_core::{Checked, Generation, InForce};

/// The documents of one generation, shared by passes and plans.
#[derive(Debug, Clone, Default)]
pub(crate) struct MadeOf(Arc<ArcSwapOption<(Generation, Checked)>>);

impl MadeOf {
    /// Keeps the documents of the generation that was just applied.
    pub(super) fn keep(&self, generation: Generation, documents: Checked) {
        self.0.store(Some(Arc::new((generation, documents))));
    }

    /// The documents behind what is in force, if those of this generation are known.
    pub(super) fn documents_of(&self, in_force: &InForce) -> Option<Checked> {
        let known = self.0.load_full()?;
        let (generation, documents) = &*known;
        let objects = &in_force.objects;
        let counts = documents.counts().map(|(_, count)| count);
        // A generation has a unique content; comparing the counts is a cheap sanity check.
        let agree = counts
            == [
                objects.roles.len(),
                objects.users.len(),
                objects.machines.len(),
            ];
        (*generation == in_force.generation() && agree).then(|| documents.clone())
    }
}
