//! Changes of users by calls, each with its entry in the audit log.

use std::collections::BTreeMap;
use std::sync::Arc;

use banyan_api::v1;
use banyan_core::audit::AuditEntry;
use banyan_core::{Name, UserId};
use banyan_identity::{Caller, Decision, DecisionContext};
use banyan_state::{Scope, State, View};
use jiff::Timestamp;
use tonic::Status;

use super::{Recorder, no_such};
use crate::refusal::not_changed;

/// Makes changes of users.
#[derive(Clone)]
pub(crate) struct Changes {
    pub(crate) state: Arc<State>,
    pub(crate) recorder: Recorder,
}

impl Changes {
    /// Makes a change that a caller asked for, and records it.
    pub(super) async fn make<T>(
        &self,
        scope: Scope,
        by: &Caller,
        entry: AuditEntry,
        mut decide: impl FnMut(DecisionContext<'_>) -> Decision<T> + Send,
        detail: impl FnOnce(&T) -> String,
    ) -> Result<T, Status> {
        let now = entry.at;
        let changed = self.state.change(scope, |view| {
            let directory = view.directory();
            decide(DecisionContext { directory, by, now })
        });
        let changed = changed.await.map_err(not_changed);
        self.recorder.record(entry, changed, detail).await
    }

    /// A user in the current view.
    pub(super) fn user(&self, name: &Name) -> Result<v1::User, Status> {
        let (view, now) = (self.state.view(), crate::clock::now());
        let person = view.directory().find(name);
        let person = person.ok_or_else(|| no_such("user", name))?;
        let live = live_sessions(&view, now);
        let id = person.record.spec.id();
        Ok(v1::User::new(
            view.directory(),
            &person,
            live.get(&id).copied().unwrap_or(0),
            now,
        ))
    }
}

/// How many live sessions each user has.
pub(super) fn live_sessions(view: &View, now: Timestamp) -> BTreeMap<UserId, u32> {
    let mut live = BTreeMap::new();
    for (_, session) in view.directory().live_sessions(now) {
        let count: &mut u32 = live.entry(session.user.clone()).or_default();
        *count = count.saturating_add(1);
    }
    live
}
