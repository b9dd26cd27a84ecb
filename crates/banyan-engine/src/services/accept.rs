//! Accepting a commit that does not descend from the one in force.

use std::sync::{Arc, Mutex, PoisonError};

use banyan_api::v1::GitopsStatus;
use banyan_core::audit::Action;
use banyan_core::{Ancestry, CommitId, Floor, floor};
use banyan_identity::Caller;
use banyan_state::View;
use tonic::Status;

use super::GitopsApi;
use crate::reconcile::{Reader, ResolveError, Resolved};
use crate::refusal::unavailable;

impl GitopsApi {
    /// Accepts a commit of the branch, and waits until a pass has judged the branch by it.
    pub(super) async fn accept_commit(
        &self,
        caller: &Caller,
        commit: &str,
    ) -> Result<GitopsStatus, Status> {
        let accepted = self.move_floor(commit).await;
        let entry = caller.did(Action::GITOPS_ACCEPTED, crate::clock::now());
        let entry = match &accepted {
            Ok(commit) => entry.commit(*commit),
            Err(_) => entry.on(&format!("commit {commit}")),
        };
        let commit = (self.recorder)
            .record(entry, accepted, |_| String::new())
            .await?;
        tracing::info!(%commit, "a commit was accepted");
        let by = self.pass(true).await.map_err(|mut status| {
            let text = format!(
                "commit {} is accepted, but whether it is in force is not known: {}",
                commit.short(),
                status.message()
            );
            let metadata = std::mem::take(status.metadata_mut());
            Status::with_metadata(status.code(), text, metadata)
        })?;
        Ok(self.status_by(by))
    }

    /// Everything is judged on one view.
    async fn move_floor(&self, commit: &str) -> Result<CommitId, Status> {
        let (text, reader) = (commit.to_owned(), Arc::clone(&self.reader));
        let view = self.state.view();
        let applied = view.in_force.applied.as_ref();
        let applied = applied.map(|applied| applied.commit.id);
        let found = tokio::task::spawn_blocking(move || find(&reader, &text, applied)).await;
        let found = found.map_err(|_| Status::internal("looking for the commit broke off"))?;
        let (Resolved { commit, head }, ancestry) = found.map_err(|error| refusal(&error))?;
        must_wait(&view, head, ancestry)?;
        let at = crate::clock::now();
        let accepted = self.state.set_floor(&Floor::Accepted { commit, at }).await;
        accepted.map_err(|error| unavailable(&error))?;
        Ok(commit)
    }
}

fn find(
    reader: &Mutex<Reader>,
    text: &str,
    applied: Option<CommitId>,
) -> Result<(Resolved, Ancestry), ResolveError> {
    let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
    let found = reader.resolve(text)?;
    let ancestry = reader.ancestry(found.head, applied, None)?;
    Ok((found, ancestry))
}

/// Refused if nothing is waiting: a stale acceptance could admit a later push.
fn must_wait(view: &View, head: CommitId, ancestry: Ancestry) -> Result<(), Status> {
    let applied = view.in_force.applied.as_ref();
    if view.floor.is_some() || floor::judge(applied, None, ancestry, head).is_err() {
        return Ok(());
    }
    Err(Status::failed_precondition(format!(
        "nothing is waiting to be accepted: the branch's head {} descends from the commit in force; see `banyan gitops status`",
        head.short()
    )))
}

fn refusal(error: &ResolveError) -> Status {
    let text = crate::report(error);
    match error {
        ResolveError::Malformed { .. } | ResolveError::Ambiguous { .. } => {
            Status::invalid_argument(text)
        }
        ResolveError::Absent { .. } => Status::not_found(text),
        // Not "unavailable": the engine answers, the repo does not.
        ResolveError::Read(_) => Status::failed_precondition(text),
    }
}
