//! One attempt of a pass: it decides everything on one view of the state and at one time.
//!
//! Its writes are fenced by that view. If the state has changed meanwhile, the attempt is superseded and the pass makes
//! another one; with two views, it could decide on a state that never existed.

use std::sync::{Arc, Mutex};

use banyan_core::{Ancestry, CommitId, EngineRecipients, Finding, Name};
use banyan_repo::{Admitted, Baseline, EngineContext, Lineage, Revision, decide, decide_restore};
use banyan_state::{State, View};
use jiff::Timestamp;

use super::failure::PassFailure;
use super::made_of::MadeOf;
use super::reader::{Reader, with_reader};

#[derive(Clone)]
pub(super) struct Attempt {
    pub(super) view: Arc<View>,
    pub(super) now: Timestamp,
}

impl Attempt {
    pub(super) fn new(state: &State, now: Timestamp) -> Self {
        Self {
            view: state.view(),
            now,
        }
    }

    /// The commit in force.
    pub(super) fn applied(&self) -> Option<CommitId> {
        let applied = self.view.in_force.applied.as_ref();
        applied.map(|applied| applied.commit.id)
    }

    /// The commit's ancestry, as far as the floor needs it, and the documents in force, if known.
    pub(super) async fn ancestry(
        &self,
        reader: &Arc<Mutex<Reader>>,
        commit: CommitId,
    ) -> Result<(Ancestry, MadeOf), PassFailure> {
        let (applied, floor) = (self.applied(), self.view.floor.clone());
        let ask = move |reader: &mut Reader| {
            let ancestry = reader.ancestry(commit, applied, floor.as_ref());
            ancestry.map(|ancestry| (ancestry, reader.made_of().clone()))
        };
        Ok(with_reader(reader, ask).await??)
    }

    /// Decides on a commit.
    pub(super) async fn decide(
        &self,
        engine: &EngineContext,
        name: Option<&Name>,
        revision: Revision,
        (ancestry, made_of): (Ancestry, MadeOf),
    ) -> Result<Result<Admitted, Vec<Finding>>, PassFailure> {
        let (view, now, engine) = (Arc::clone(&self.view), self.now, engine.clone());
        let others = other_engines(&view, name);
        let decision = move || {
            let made_of = made_of.documents_of(&view.in_force);
            let baseline = Baseline {
                in_force: &view.in_force,
                recent: &view.recent(now),
                others: &others,
                people: &view.people,
                made_of: made_of.as_ref(),
                now,
            };
            let floor = view.floor.as_ref();
            let lineage = Lineage { floor, ancestry };
            decide(Some(&engine), &baseline, Some(lineage), revision)
        };
        Ok(tokio::task::spawn_blocking(decision).await?)
    }

    /// Decides how to restore altered records from the commit in force.
    pub(super) async fn decide_restore(&self, revision: Revision) -> Result<Admitted, PassFailure> {
        let (view, now) = (Arc::clone(&self.view), self.now);
        let decision = move || decide_restore(&view.in_force, &view.people, revision, now);
        let restored = tokio::task::spawn_blocking(decision).await?;
        restored.map_err(PassFailure::Unrestorable)
    }
}

/// The recipients that the other engines of the cluster can decrypt for.
pub(super) fn other_engines(view: &View, me: Option<&Name>) -> Vec<EngineRecipients> {
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
