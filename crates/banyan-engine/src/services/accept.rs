//! Accepting a commit that does not descend from the one in force.

use std::sync::{Arc, PoisonError};

use banyan_api::v1::GitopsStatus;
use banyan_core::audit::Action;
use banyan_core::{Ancestry, CommitId, Floor, floor};
use tonic::Status;

use super::Shared;
use crate::access::Caller;
use crate::reconcile::{Reader, ResolveError, Resolved};
use crate::refusal::unavailable;

impl Shared {
    /// Moves the floor to a commit of the branch, and waits until a pass has judged the branch by it.
    pub(super) async fn accept(
        self: &Arc<Self>,
        caller: &Caller,
        commit: &str,
    ) -> Result<GitopsStatus, Status> {
        let accepted = self.move_floor(commit).await;
        let entry = caller.result(Action::GITOPS_ACCEPTED, accepted.as_ref());
        let entry = match &accepted {
            Ok(commit) => entry.commit(*commit),
            Err(_) => entry.on(&format!("commit {commit}")),
        };
        let commit = self.audited(entry, accepted).await?;
        tracing::info!(%commit, "a commit was accepted");
        let by = self.pass(true).await.map_err(|mut status| {
            let said = format!(
                "commit {} is accepted, but whether it is in force is not known: {}",
                commit.short(),
                status.message()
            );
            let metadata = std::mem::take(status.metadata_mut());
            Status::with_metadata(status.code(), said, metadata)
        })?;
        Ok(self.status_by(by))
    }

    async fn move_floor(self: &Arc<Self>, commit: &str) -> Result<CommitId, Status> {
        let (commit, shared) = (commit.to_owned(), Arc::clone(self));
        let found = tokio::task::spawn_blocking(move || shared.find(&commit)).await;
        let found = found.map_err(|_| Status::internal("looking for the commit broke off"))?;
        let (Resolved { commit, head }, ancestry) = found.map_err(|error| refusal(&error))?;
        self.must_wait(head, ancestry)?;
        let at = crate::clock::now();
        let accepted = self.state.set_floor(&Floor::Accepted { commit, at }).await;
        accepted.map_err(|error| unavailable(&error))?;
        Ok(commit)
    }

    fn find(&self, text: &str) -> Result<(Resolved, Ancestry), ResolveError> {
        let applied = self.state.view().in_force.applied.clone();
        let applied = applied.map(|applied| applied.commit.id);
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let found = Reader::resolve(&mut reader, text)?;
        let ancestry = reader.ancestry(found.head, applied, None)?;
        Ok((found, ancestry))
    }

    /// A floor that nothing needs would lie about, for whoever pushes that commit later.
    fn must_wait(&self, head: CommitId, ancestry: Ancestry) -> Result<(), Status> {
        let view = self.state.view();
        let applied = view.in_force.applied.as_ref();
        if view.floor.is_some() || floor::judge(applied, None, ancestry, head).is_err() {
            return Ok(());
        }
        Err(Status::failed_precondition(format!(
            "nothing waits to be accepted: the branch's head {} may follow what is in force as it is; see `banyan gitops status`",
            head.short()
        )))
    }
}

fn refusal(error: &ResolveError) -> Status {
    let text = crate::report(error);
    match error {
        ResolveError::Malformed { .. } | ResolveError::Ambiguous { .. } => {
            Status::invalid_argument(text)
        }
        ResolveError::Absent { .. } => Status::not_found(text),
        // Whether the engine answers is not the question: it says that the repo does not.
        ResolveError::Read(_) => Status::failed_precondition(text),
    }
}
